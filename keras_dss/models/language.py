"""Causal language models."""

import keras

from keras_dss.models.stack import DSSModel, apply_blocks, choose_blocks, encoder


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSLanguageModel(DSSModel):
    """Causal language model: the logits of each next token, from all tokens up to this one.

    Args:
        vocabulary_size: number of tokens, and of logits; 0 is padding, and masked.
        features, num_blocks, state_size, blocks, dtype, name, **options: as in `DSSClassifier`.

    Returns:
        A functional `keras.Model` from tokens (batch, length) to float32 logits
        (batch, length, vocabulary_size).

    Raises:
        TypeError: for an unknown option, or any beside `blocks`.
        ValueError: for bidirectional blocks, which would see the tokens to be predicted.

    Example:

    >>> model = DSSLanguageModel(67, features=16, num_blocks=1)
    >>> tuple(model(keras.ops.ones((2, 30), dtype="int32")).shape)
    (2, 30, 67)
    """

    def __init__(
        self,
        vocabulary_size,
        features=64,
        num_blocks=4,
        state_size=64,
        *,
        blocks=None,
        dtype=None,
        name=None,
        **options,
    ):
        dtype = keras.dtype_policies.get(dtype)
        blocks = choose_blocks(blocks, state_size, num_blocks, dtype, options)
        both = [block.name for block in blocks if block.ssm.bidirectional]
        if both:
            raise ValueError(
                "A language model needs causal blocks. "
                f"Received: bidirectional blocks {', '.join(both)}"
            )
        inputs, x = encoder(features, vocabulary_size, None, False, dtype)
        x = apply_blocks(x, blocks, dtype)  # (B, L, H)
        outputs = keras.layers.Dense(vocabulary_size, name="logits", dtype="float32")(x)
        config = {"vocabulary_size": vocabulary_size, "features": features}
        super().__init__(inputs, outputs, blocks=blocks, config=config, dtype=dtype, name=name)
