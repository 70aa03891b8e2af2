"""Classifiers of sequences, and of pairs of them."""

import keras

from keras_dss.layers import JoinPairs, Readout, SplitPairs
from keras_dss.layers.parameters import one_of, positive_integer
from keras_dss.models.stack import (
    DSSModel,
    apply_blocks,
    check_downsampling,
    choose_blocks,
    embed,
    encoder,
)


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSClassifier(DSSModel):
    """Classifier of sequences: encoder, DSS blocks, readout, logits.

    Args:
        num_classes: number of logits.
        features: H, the width of every block.
        num_blocks: number of blocks.
        state_size: N, or one N for each block.
        vocabulary_size: with it, inputs are tokens (batch, length) with 0 for padding, which is
            masked, and the encoder is an embedding.
        channels: without `vocabulary_size`, inputs are floats (batch, length, channels), and the
            encoder is a dense layer.
        mask_zeros: whether zeros at the end of floats are padding, to be masked.
        readout: `"mean"` over the valid steps, or the `"first"` or `"last"` of them.
        downsampling: one int for each block: as many steps become one before it, by
            `keras_dss.layers.Downsample`; none do by default.
        blocks: the `DSSBlock`s themselves, instead of `num_blocks`, `state_size` and `options`.
        dtype: dtype policy of all layers but the last. name: of the model.
        **options: `bidirectional`, `parameterization`, `kernel_length`, `eigenvalues`, `rate`,
            `dt_min`, `dt_max` as in `keras_dss.layers.DSS`, and `normalization`, `prenorm`, `glu`,
            `dropout` as in `keras_dss.layers.DSSBlock`; a pre-norm model ends with a normalization
            of its own.

    Returns:
        A functional `keras.Model` from inputs to float32 logits (batch, num_classes).

    Raises:
        TypeError: for an unknown option, or any beside `blocks`.
        ValueError: for a value that is not listed, or a list of state sizes of another length than
            `num_blocks`, or factors of `downsampling` of another length.

    Example:

    >>> model = DSSClassifier(num_classes=10, features=16, num_blocks=2, vocabulary_size=18)
    >>> tuple(model(keras.ops.ones((2, 30), dtype="int32")).shape)
    (2, 10)
    """

    def __init__(
        self,
        num_classes,
        features=64,
        num_blocks=4,
        state_size=64,
        *,
        vocabulary_size=None,
        channels=1,
        mask_zeros=False,
        readout="mean",
        downsampling=None,
        blocks=None,
        dtype=None,
        name=None,
        **options,
    ):
        dtype = keras.dtype_policies.get(dtype)
        blocks = choose_blocks(blocks, state_size, num_blocks, dtype, options)
        downsampling = check_downsampling(downsampling, blocks)
        inputs, x = encoder(features, vocabulary_size, channels, mask_zeros, dtype)
        x = apply_blocks(x, blocks, dtype, downsampling)  # (B, L, H)
        x = Readout(readout, name="readout", dtype=dtype)(x)  # (B, H)
        outputs = keras.layers.Dense(num_classes, name="logits", dtype="float32")(x)
        config = {
            "num_classes": num_classes,
            "features": features,
            "vocabulary_size": vocabulary_size,
            "channels": channels,
            "mask_zeros": mask_zeros,
            "readout": readout,
            "downsampling": downsampling,
        }
        super().__init__(inputs, outputs, blocks=blocks, config=config, dtype=dtype, name=name)


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSPairClassifier(DSSModel):
    """Classifier of pairs of token sequences: both pass the same DSS blocks, then a small head.

    The readouts a and b of the two sequences are joined, [a, b, a - b, a * b], and pass
    Dense(features), GELU and Dense(num_classes).

    Args:
        num_classes: number of logits.
        features, num_blocks, state_size, readout, downsampling, blocks, dtype, name, **options: as
            in `DSSClassifier`.
        vocabulary_size: number of tokens; 0 is padding, and masked.
        classes: K. With it a dense layer and a softmax give each step's shares of K classes, and
            what is read out are shares (batch, length, K): their mean tells how often each class
            occurs. Without it they are the features.
        standardize: whether a batch normalization gives the readouts mean 0 and deviation 1 before
            they are joined. Means over many steps differ little between sequences, and without it
            a * b tells little of what two of them share.

    Returns:
        A functional `keras.Model` from tokens (batch, 2, length) to float32 logits
        (batch, num_classes).

    Raises:
        TypeError, ValueError: as `DSSClassifier`; for `classes` that are no positive integer.

    Example:

    >>> model = DSSPairClassifier(2, features=16, num_blocks=1, vocabulary_size=257)
    >>> tuple(model(keras.ops.ones((3, 2, 30), dtype="int32")).shape)
    (3, 2)

    Source: Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
    """

    def __init__(
        self,
        num_classes=2,
        features=64,
        num_blocks=4,
        state_size=64,
        *,
        vocabulary_size,
        readout="mean",
        classes=None,
        standardize=False,
        downsampling=None,
        blocks=None,
        dtype=None,
        name=None,
        **options,
    ):
        dtype = keras.dtype_policies.get(dtype)
        blocks = choose_blocks(blocks, state_size, num_blocks, dtype, options)
        downsampling = check_downsampling(downsampling, blocks)
        if classes is not None:
            classes = positive_integer("classes", classes)
        one_of("standardize", standardize, (False, True))
        inputs = keras.Input((2, None), dtype="int32", name="tokens")
        x = embed(SplitPairs(name="split")(inputs), features, vocabulary_size, dtype)
        x = apply_blocks(x, blocks, dtype, downsampling)  # (2B, L, H)
        if classes is not None:
            x = keras.layers.Dense(classes, name="classes", dtype=dtype)(x)  # (2B, L, K)
            x = keras.layers.Activation("softmax", name="shares", dtype=dtype)(x)
        x = Readout(readout, name="readout", dtype=dtype)(x)  # (2B, H or K)
        if standardize:
            x = keras.layers.BatchNormalization(name="standardize", dtype=dtype)(x)
        x = JoinPairs(name="join", dtype=dtype)(x)  # (B, 4H or 4K)
        x = keras.layers.Dense(features, activation="gelu", name="hidden", dtype=dtype)(x)
        outputs = keras.layers.Dense(num_classes, name="logits", dtype="float32")(x)
        config = {
            "num_classes": num_classes,
            "features": features,
            "vocabulary_size": vocabulary_size,
            "readout": readout,
            "classes": classes,
            "standardize": standardize,
            "downsampling": downsampling,
        }
        super().__init__(inputs, outputs, blocks=blocks, config=config, dtype=dtype, name=name)
