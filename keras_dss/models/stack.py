"""What all models share: an encoder of tokens or numbers, and a stack of DSS blocks."""

import keras

from keras_dss.layers import DSS, Downsample, DSSBlock, TrailingZeros
from keras_dss.layers.block import make_normalization
from keras_dss.layers.composed import Composed, apply_changes, changes
from keras_dss.layers.parameters import positive_integer


class DSSModel(keras.Model):
    """Base of the functional models: their configuration nests that of every block.

    A compressed model is therefore described by its configuration, whatever its blocks are, and so
    is one with layers that were frozen or quantised.

    Args:
        inputs, outputs: of the functional model.
        blocks: the `DSSBlock`s in it.
        config: the constructor's arguments besides `blocks`, `dtype` and `name`.
        dtype: dtype policy of all layers but the last.
        name: of the model.
    """

    def __init__(self, inputs, outputs, *, blocks, config, dtype, name):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.blocks = blocks
        self.config = config
        self.policy = dtype
        self.policies = {place: x.dtype_policy for place, x in self.other_layers().items()}

    def other_layers(self):
        """The layers outside the blocks by their places, "3", and those inside them, "3.mix"."""
        found = {}
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, DSSBlock):
                found[str(i)] = layer
                inner = layer.inner_layers() if isinstance(layer, Composed) else {}
                found |= {f"{i}.{name}": part for name, part in inner.items()}
        return found

    def get_config(self):
        changed = changes(self.other_layers(), self.policies, self.trainable)
        return {
            "name": self.name,
            "trainable": self.trainable,
            **self.config,
            "dtype": keras.dtype_policies.serialize(self.policy),
            "blocks": [keras.saving.serialize_keras_object(block) for block in self.blocks],
            **({"changed_layers": changed} if changed else {}),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["blocks"] = [
            keras.saving.deserialize_keras_object(block, custom_objects)
            for block in config["blocks"]
        ]
        trainable = config.pop("trainable", True)
        changed = config.pop("changed_layers", {})
        model = cls(**config)
        if not trainable:
            model.trainable = False
        apply_changes(model.other_layers(), changed)
        return model


def make_blocks(
    state_size,
    num_blocks,
    dtype,
    *,
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
):
    """Returns a list of `DSSBlock`s.

    Args:
        state_size: N, or one N for each block.
        num_blocks: how many.
        dtype: their dtype policy.
        bidirectional, parameterization, kernel_length, eigenvalues, rate, dt_min, dt_max: as in
            `keras_dss.layers.DSS`.
        normalization, prenorm, glu, dropout: as in `keras_dss.layers.DSSBlock`.
    """
    ssm = {
        "bidirectional": bidirectional,
        "parameterization": parameterization,
        "kernel_length": kernel_length,
        "eigenvalues": eigenvalues,
        "rate": rate,
        "dt_min": dt_min,
        "dt_max": dt_max,
    }
    block = {"normalization": normalization, "prenorm": prenorm, "glu": glu, "dropout": dropout}
    return [
        DSSBlock(
            DSS(size, name=f"ssm_{i}", dtype=dtype, **ssm), name=f"block_{i}", dtype=dtype, **block
        )
        for i, size in enumerate(_state_sizes(state_size, num_blocks))
    ]


def choose_blocks(blocks, state_size, num_blocks, dtype, options):
    """The given blocks, or those that the other arguments describe: see `make_blocks`.

    Raises:
        TypeError: for an unknown option, or any beside blocks.
        ValueError: for an empty list of blocks, one that holds anything else, and blocks that
            share a layer.
    """
    if blocks is None:
        return make_blocks(state_size, num_blocks, dtype, **options)
    if options:
        raise TypeError(
            "`blocks` have options of their own: expected no others beside them. "
            f"Received: {', '.join(options)}"
        )
    if not isinstance(blocks, (list, tuple)) or not blocks:
        raise ValueError(
            f"`blocks` must be a list of at least one block. Received: blocks={blocks!r}"
        )
    for block in blocks:
        if not isinstance(block, DSSBlock):
            raise ValueError(
                f"`blocks` must hold keras_dss.layers.DSSBlock layers alone. Received: {block!r}"
            )
    if len({id(block.ssm) for block in blocks}) < len(blocks):
        raise ValueError(
            "`blocks` must each have a DSS layer of their own. "
            f"Received: layers {[block.ssm.name for block in blocks]}"
        )
    return blocks


def check_downsampling(downsampling, blocks):
    """Returns None, or a list of one positive int for each block.

    Raises:
        ValueError: for anything else.
    """
    if downsampling is None:
        return None
    factors = list(downsampling) if isinstance(downsampling, (list, tuple)) else None
    if factors is None or len(factors) != len(blocks):
        raise ValueError(
            f"`downsampling` must be None or one positive int for each of {len(blocks)} blocks. "
            f"Received: downsampling={downsampling!r}"
        )
    return [positive_integer(f"downsampling[{i}]", factor) for i, factor in enumerate(factors)]


def embed(tokens, features, vocabulary_size, dtype):
    """Embedding of tokens (B, L) to (B, L, H); 0 is padding, and masked."""
    return keras.layers.Embedding(
        vocabulary_size,
        features,
        mask_zero=True,
        embeddings_initializer=keras.initializers.RandomNormal(0.0, 1.0),
        name="encoder",
        dtype=dtype,
    )(tokens)


def encoder(features, vocabulary_size, channels, mask_zeros, dtype):
    """Returns `(inputs, x)`: the model's input and its encoding (B, L, H)."""
    if vocabulary_size is not None:
        inputs = keras.Input((None,), dtype="int32", name="tokens")
        return inputs, embed(inputs, features, vocabulary_size, dtype)
    inputs = keras.Input((None, channels), name="inputs")
    x = TrailingZeros(name="padding", dtype=dtype)(inputs) if mask_zeros else inputs
    return inputs, keras.layers.Dense(features, name="encoder", dtype=dtype)(x)


def apply_blocks(x, blocks, dtype, downsampling=None):
    """The blocks one after another, and the normalization that ends a pre-norm model.

    Args:
        x: (B, L, H). blocks: list of `DSSBlock`s. dtype: dtype policy of the other layers.
        downsampling: None, or one int for each block: as many steps become one before it.
    """
    for i, (block, factor) in enumerate(
        zip(blocks, downsampling or [1] * len(blocks), strict=True)
    ):
        if factor > 1:
            x = Downsample(factor, name=f"downsample_{i}", dtype=dtype)(x)
        x = block(x)
    last = blocks[-1]
    norm = make_normalization(last.normalization, dtype) if last.prenorm else None
    return x if norm is None else norm(x)


def _state_sizes(state_size, num_blocks):
    num_blocks = positive_integer("num_blocks", num_blocks)
    if not isinstance(state_size, (list, tuple)):
        return [state_size] * num_blocks
    if len(state_size) != num_blocks:
        raise ValueError(
            f"`state_size` must be an int or one int for each of {num_blocks} blocks. "
            f"Received: state_size={state_size!r}"
        )
    return list(state_size)
