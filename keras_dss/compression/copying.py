"""A model twice."""

import keras

from keras_dss.compression.rebuild import _build_like, _copy_weights


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
    try:
        config = keras.saving.serialize_keras_object(model)
    except NotImplementedError as error:
        raise ValueError(
            f"Model {model.name!r} cannot be copied: its class {type(model).__name__} has no "
            f"get_config(). {error}"
        ) from error
    config.pop("compile_config", None)
    new = keras.saving.deserialize_keras_object(config)
    _build_like(new, model)
    _copy_weights(model, new, {}, {})
    for source, target in zip(model._flatten_layers(), new._flatten_layers(), strict=True):
        if target.trainable != source.trainable:  # a layer comes before those inside it
            target.trainable = source.trainable
    return new
