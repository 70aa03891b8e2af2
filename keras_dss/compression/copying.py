"""A model twice."""

import keras

from keras_dss.compression.rebuild import (
    _build_like,
    _copy_weights,
    freeze_like,
    from_configuration,
)


def copy_model(model):
    """A new model with the configuration and the weights of a built one, uncompiled.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it is not built, or cannot be made from its configuration.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {model!r}")
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet: call it on an input first. "
            "Received: a model that is not built"
        )
    names = ", ".join(layer.name for layer in model.layers)
    failed = f"Model {model.name!r} of the layers {names} cannot be copied: "
    try:
        config = keras.saving.serialize_keras_object(model)
    except NotImplementedError as error:
        raise ValueError(
            f"{failed}its class {type(model).__name__} has no get_config(). {error}"
        ) from error
    config.pop("compile_config", None)
    new = from_configuration(model, config, failed)
    _build_like(new, model)
    freeze_like(new, model)
    _copy_weights(model, new, {}, {})
    return new
