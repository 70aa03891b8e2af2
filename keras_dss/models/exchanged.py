"""A model with some of its layers exchanged, for classes that make their layers themselves."""

import keras

from keras_dss.layers import DSS


@keras.saving.register_keras_serializable(package="keras_dss")
class ExchangedLayers(keras.Model):
    """A model of any class, made from its configuration, with some of its layers exchanged.

    Stands in for a model whose class makes its own layers from a few arguments, so that no
    configuration of the class could describe the exchange.

    Args:
        model_config: `keras.saving.serialize_keras_object` of the model, unbuilt.
        layer_configs: dict from dotted attribute paths (`"encoder.blocks.0.ssm"`) to
            `keras.saving.serialize_keras_object` of the layers to put there before the model is
            built; a bare configuration is one of `DSS`.

    Call arguments:
        Those of the model.
    """

    def __init__(self, model_config, layer_configs, **kwargs):
        super().__init__(**kwargs)
        self.model_config = model_config
        self.layer_configs = layer_configs
        self.model = keras.saving.deserialize_keras_object(model_config)
        for path, config in layer_configs.items():
            layer = (
                keras.saving.deserialize_keras_object(config)
                if "class_name" in config
                else DSS.from_config(config)
            )
            _set_layer(self.model, path, layer)

    def build(self, input_shape):
        self.model.build(input_shape)

    def build_from_config(self, config):
        self.model.build_from_config(config)
        self.built = True

    def get_build_config(self):
        return self.model.get_build_config()

    def call(self, *args, training=None, **kwargs):
        """Names `training`, which `fit` gives to no other models; Keras drops it where unknown."""
        return self.model(*args, training=training, **kwargs)

    def get_config(self):
        return super().get_config() | {
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
