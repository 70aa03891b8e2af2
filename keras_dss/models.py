"""Models of stacked DSS blocks."""

import keras

from keras_dss.layers import DSS, DSSBlock, Readout
from keras_dss.layers.block import make_normalization


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSClassifier(keras.Model):
    """Classifier of sequences: encoder, DSS blocks, readout, logits.

    Args:
        num_classes: number of logits.
        features: H, the width of every block.
        num_blocks: number of blocks.
        state_size: N, or one N for each block.
        vocabulary_size: with it, inputs are tokens (batch, length) with 0 for padding, which is masked,
            and the encoder is an embedding.
        channels: without `vocabulary_size`, inputs are floats (batch, length, channels), and the
            encoder is a dense layer.
        bidirectional, parameterization, kernel_length, eigenvalues, rate, dt_min, dt_max: as in
            `keras_dss.layers.DSS`.
        normalization, prenorm, glu, dropout: as in `keras_dss.layers.DSSBlock`; a pre-norm model ends
            with a normalization of its own.
        readout: `"mean"` over the valid steps or the `"last"` of them.
        blocks: the blocks themselves, instead of the arguments from `features` to `dropout`.

    Returns:
        A functional `keras.Model` from inputs to float32 logits (batch, num_classes).

    Raises:
        ValueError: for options that are not listed, or a list of state sizes of another length than
            `num_blocks`.

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
        bidirectional=False,
        parameterization="exp",
        kernel_length=None,
        eigenvalues="shared",
        rate=1.0,
        dt_min=1e-3,
        dt_max=1e-1,
        normalization="layer",
        prenorm=True,
        glu=False,
        dropout=0.0,
        readout="mean",
        blocks=None,
        **kwargs,
    ):
        if blocks is None:
            sizes = _state_sizes(state_size, num_blocks)
            ssm = {
                "bidirectional": bidirectional,
                "parameterization": parameterization,
                "kernel_length": kernel_length,
                "eigenvalues": eigenvalues,
                "rate": rate,
                "dt_min": dt_min,
                "dt_max": dt_max,
            }
            block = {
                "normalization": normalization,
                "prenorm": prenorm,
                "glu": glu,
                "dropout": dropout,
            }
            dtype = kwargs.get("dtype")
            blocks = [
                DSSBlock(
                    DSS(size, name=f"ssm_{i}", dtype=dtype, **ssm),
                    name=f"block_{i}",
                    dtype=dtype,
                    **block,
                )
                for i, size in enumerate(sizes)
            ]
        self.config = {
            "num_classes": num_classes,
            "features": features,
            "vocabulary_size": vocabulary_size,
            "channels": channels,
            "readout": readout,
        }
        dtype = kwargs.pop("dtype", None)
        if vocabulary_size is None:
            inputs = keras.Input((None, channels), name="inputs")
            encoder = keras.layers.Dense(features, name="encoder", dtype=dtype)
        else:
            inputs = keras.Input((None,), dtype="int32", name="tokens")
            encoder = keras.layers.Embedding(
                vocabulary_size,
                features,
                mask_zero=True,
                embeddings_initializer=keras.initializers.RandomNormal(0.0, 1.0),
                name="encoder",
                dtype=dtype,
            )
        x = encoder(inputs)  # (B, L, H)
        for block in blocks:
            x = block(x)
        last = blocks[-1]
        norm = make_normalization(last.normalization, dtype) if last.prenorm else None
        if norm is not None:
            x = norm(x)
        x = Readout(readout, name="readout", dtype=dtype)(x)  # (B, H)
        outputs = keras.layers.Dense(num_classes, name="logits", dtype="float32")(x)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.blocks = blocks

    def get_config(self):
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            **self.config,
            "blocks": [keras.saving.serialize_keras_object(block) for block in self.blocks],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["blocks"] = [
            keras.saving.deserialize_keras_object(block, custom_objects)
            for block in config["blocks"]
        ]
        trainable = config.pop("trainable", True)
        dtype = config.pop("dtype", None)
        if isinstance(dtype, dict):
            dtype = keras.saving.deserialize_keras_object(dtype)
        model = cls(**config, dtype=dtype)
        model.trainable = trainable
        return model


def _state_sizes(state_size, num_blocks):
    if isinstance(num_blocks, bool) or not isinstance(num_blocks, int) or num_blocks < 1:
        raise ValueError(f"`num_blocks` must be a positive integer. Received: {num_blocks!r}")
    if not isinstance(state_size, (list, tuple)):
        return [state_size] * num_blocks
    if len(state_size) != num_blocks:
        raise ValueError(
            f"`state_size` must be an int or one int for each of {num_blocks} blocks. "
            f"Received: state_size={state_size!r}"
        )
    return list(state_size)
