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
        vocabulary_size: with it, inputs are tokens (batch, length) with 0 for padding, which is
            masked, and the encoder is an embedding.
        channels: without `vocabulary_size`, inputs are floats (batch, length, channels), and the
            encoder is a dense layer.
        bidirectional, parameterization, kernel_length, eigenvalues, rate, dt_min, dt_max: as in
            `keras_dss.layers.DSS`.
        normalization, prenorm, glu, dropout: as in `keras_dss.layers.DSSBlock`; a pre-norm model
            ends with a normalization of its own.
        readout: `"mean"` over the valid steps, or the `"first"` or `"last"` of them.
        blocks: the blocks themselves, instead of the arguments from `num_blocks` to `dropout`.
        dtype: dtype policy of all layers but the last. name: of the model.

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
        dtype=None,
        name=None,
    ):
        dtype = keras.dtype_policies.get(dtype)
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
            blocks = [
                DSSBlock(
                    DSS(size, name=f"ssm_{i}", dtype=dtype, **ssm),
                    name=f"block_{i}",
                    dtype=dtype,
                    **block,
                )
                for i, size in enumerate(sizes)
            ]
        elif not blocks:
            raise ValueError(f"`blocks` must hold at least one block. Received: blocks={blocks!r}")
        self.config = {
            "num_classes": num_classes,
            "features": features,
            "vocabulary_size": vocabulary_size,
            "channels": channels,
            "readout": readout,
            "dtype": dtype,
        }
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
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.blocks = blocks

    def get_config(self):
        return {
            "name": self.name,
            "trainable": self.trainable,
            **self.config,
            "dtype": keras.dtype_policies.serialize(self.config["dtype"]),
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
        model = cls(**config)
        if not trainable:
            model.trainable = False
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


@keras.saving.register_keras_serializable(package="keras_dss")
class ExchangedLayers(keras.Model):
    """A model of any class, made from its configuration, with some of its layers exchanged.

    Stands in for a model whose class makes its own layers from a few arguments, so that no
    configuration of the class could describe the exchange.

    Args:
        model_config: `keras.saving.serialize_keras_object` of the model, unbuilt.
        layer_configs: dict from dotted attribute paths (`"encoder.blocks.0.ssm"`) to configurations
            of the `DSS` layers to put there before the model is built.

    Call arguments:
        Those of the model.
    """

    def __init__(self, model_config, layer_configs, **kwargs):
        super().__init__(**kwargs)
        self.model_config = model_config
        self.layer_configs = layer_configs
        self.model = keras.saving.deserialize_keras_object(model_config)
        for path, config in layer_configs.items():
            _set_layer(self.model, path, DSS.from_config(config))

    def build(self, input_shape):
        self.model.build(input_shape)

    def build_from_config(self, config):
        self.model.build_from_config(config)
        self.built = True

    def get_build_config(self):
        return self.model.get_build_config()

    def call(self, *args, **kwargs):
        return self.model(*args, **kwargs)

    def get_config(self):
        return {
            "name": self.name,
            "model_config": self.model_config,
            "layer_configs": self.layer_configs,
        }


def _set_layer(owner, path, layer):
    """Puts a layer at a dotted path, in the place that the former one has among the layers."""
    *parents, last = path.split(".")
    holder = owner
    for name in parents:
        holder = holder[int(name)] if name.isdigit() else getattr(holder, name)
        owner = holder if isinstance(holder, keras.layers.Layer) else owner
    former = holder[int(last)] if last.isdigit() else getattr(holder, last)
    owner._tracker.replace_tracked_value("layers", former, layer)
    if last.isdigit():
        holder[int(last)] = layer
    else:
        setattr(holder, last, layer)
