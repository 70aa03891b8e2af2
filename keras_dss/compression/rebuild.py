"""A model rebuilt from its configuration, with other DSS layers in it."""

import contextlib

import keras
import numpy as np

from keras_dss.layers import DSS
from keras_dss.models import ExchangedLayers

MARK = "keras_dss_path"


def find_dss_layers(model, *, required=True):
    """The DSS layers of a model at any depth, as a dict from paths to layers.

    A path is made of the names of the layers that hold each other, from those of the model down to
    the DSS layer: `"block_0/ssm_0"`. It is the same before and after saving or a reduction.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it holds no DSS layer though one is `required`, or one that is not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {model!r}")
    paths, layers = _paths(model), {}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, DSS) and all(layer is not other for other in layers.values()):
            if not layer.built:
                raise ValueError(
                    f"Layer {layer.name!r} of model {model.name!r} has no weights yet: call the "
                    "model on an input first."
                )
            path = paths[id(layer)]
            layers[path if path not in layers else f"{path}#{len(layers)}"] = layer
    if required and not layers:
        raise ValueError(
            f"Model {model.name!r} has no keras_dss.layers.DSS layer to reduce. Received: layers "
            f"{[layer.name for layer in model.layers]}"
        )
    return layers


def _paths(model):
    """Paths of the layers inside a model, by their ids; of a shared layer the first one."""
    found = {}

    def visit(owner, prefix):
        while isinstance(owner, ExchangedLayers):  # stands in for the model in it
            owner = owner.model
        for layer in owner._layers:
            if id(layer) not in found:
                found[id(layer)] = f"{prefix}{layer.name}"
                visit(layer, f"{prefix}{layer.name}/")

    visit(model, "")
    return found


def find_configured(model, layers):
    """The paths of those DSS layers that the configuration of a model holds, as a set.

    Args:
        model: the model. layers: dict from paths to its DSS layers.
    """
    found = set()
    with _marked(layers), contextlib.suppress(NotImplementedError):
        _exchange(keras.saving.serialize_keras_object(model), {}, found)
    return found


def rebuild(model, layers, configs):
    """The model anew, its DSS layers at some paths built from other configurations.

    Args:
        model: the model. layers: dict from paths to its DSS layers.
        configs: dict from paths to configurations of the layers to exchange.

    Returns:
        A new model with all other weights copied bit for bit, frozen where the model is.

    Raises:
        ValueError: if the model cannot be rebuilt from its configuration.
    """
    failed = f"Model {model.name!r} cannot be rebuilt around its layers {', '.join(layers)}: "
    with _marked(layers):
        try:
            config = keras.saving.serialize_keras_object(model)
        except NotImplementedError as error:
            raise ValueError(
                f"{failed}its class {type(model).__name__} has no get_config(). {error}"
            ) from error
    config.pop("compile_config", None)
    found = set()
    config = _exchange(config, configs, found)
    if not found:
        new = _exchange_attributes(model, config, layers, configs, failed)
    elif found == set(layers):
        new = from_configuration(model, config, failed)
        _build_like(new, model)
    else:
        raise ValueError(
            f"The configuration of model {model.name!r} holds some of its DSS layers but not "
            f"{', '.join(sorted(set(layers) - found))}, so it cannot be rebuilt around them."
        )
    freeze_like(new.model if isinstance(new, ExchangedLayers) and not found else new, model)
    _copy_weights(model, new, layers, configs)
    return new


def from_configuration(model, config, failed):
    """The model of a configuration, with the classes of the live model's layers at hand.

    Args:
        model: the live model. config: its configuration, which may hold other layers.
        failed: how the message begins if it fails.

    Raises:
        ValueError: if a class cannot be made from its configuration.
    """
    classes = {}
    for cls in {type(layer) for layer in model._flatten_layers()}:
        if not cls.__module__.startswith("keras."):
            classes.setdefault(keras.saving.get_registered_name(cls), []).append(cls)
    own = {name: found[0] for name, found in classes.items() if len(found) == 1}
    try:  # not a file, so that what it runs is the live model's own code
        return keras.saving.deserialize_keras_object(config, custom_objects=own, safe_mode=False)
    except TypeError as error:
        raise ValueError(f"{failed}{str(error).splitlines()[-1]}") from error


def freeze_like(new, model):
    """The layers of a model as trainable as those of another one."""
    for source, target in zip(model._flatten_layers(), new._flatten_layers(), strict=True):
        if target.trainable != source.trainable:  # a layer comes before those inside it
            target.trainable = source.trainable


@contextlib.contextmanager
def _marked(layers):
    """Each layer's configuration names its path, meanwhile."""

    def marked(path, get_config):
        return lambda: get_config() | {MARK: path}

    try:
        for path, layer in layers.items():
            layer.__dict__["get_config"] = marked(path, layer.get_config)
        yield
    finally:
        for layer in layers.values():
            layer.__dict__.pop("get_config", None)


def _exchange(value, configs, found):
    """A nested configuration with marks taken off and marked configurations exchanged."""
    if isinstance(value, dict):
        if MARK in value:
            path = value[MARK]
            found.add(path)
            value = configs.get(path, {key: v for key, v in value.items() if key != MARK})
        return {key: _exchange(v, configs, found) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_exchange(v, configs, found) for v in value)
    return value


def _exchange_attributes(model, config, layers, configs, failed):
    """For a class whose configuration does not hold its layers: exchange them after its making."""
    paths = attribute_paths(model, layers)
    exchanged = {
        paths[path]: _serialized(type(layers[path]), layer_config)
        for path, layer_config in configs.items()
    }
    config.pop("build_config", None)
    new = {"name": model.name, "model_config": config, "layer_configs": exchanged}
    new = from_configuration(model, _serialized(ExchangedLayers, new), failed)
    _build_like(new, model)
    return new


def _serialized(cls, config):
    return {
        "module": cls.__module__,
        "class_name": cls.__name__,
        "config": config,
        "registered_name": keras.saving.get_registered_name(cls),
    }


def attribute_paths(model, layers):
    """Dotted attribute paths of layers inside a model made of attributes and lists.

    Raises:
        ValueError: for a layer that no attribute leads to; the message names it.
    """
    found = {}

    def visit(owner, prefix):
        # torch keeps the layers among a module's attributes in a dict of its own
        for name, value in (vars(owner) | vars(owner).get("_modules", {})).items():
            if name.startswith("_"):
                continue
            items = enumerate(value) if isinstance(value, (list, tuple)) else [(None, value)]
            for index, item in items:
                path = f"{prefix}{name}" + ("" if index is None else f".{index}")
                for key, layer in layers.items():
                    if item is layer:
                        found.setdefault(key, path)
                if isinstance(item, keras.layers.Layer) and not isinstance(item, DSS):
                    visit(item, f"{path}.")

    visit(model, "")
    missing = [key for key in layers if key not in found]
    if missing:
        raise ValueError(
            f"Model {model.name!r} cannot be rebuilt around its layers {', '.join(missing)}: "
            "neither its configuration nor its public attributes lead to them."
        )
    return found


def _build_like(new, model):
    if new.built:
        return
    build_config = model.get_build_config()
    if build_config:
        new.build_from_config(build_config)
    if not new.built or len(new.weights) != len(model.weights):
        raise ValueError(
            f"Model {model.name!r} cannot be rebuilt: its class {type(model).__name__} does not "
            f"make its weights in build(). Received: {len(new.weights)} of "
            f"{len(model.weights)} weights after build_from_config({build_config})"
        )


def _copy_weights(old, new, layers, configs):
    """Copies every weight that was not reduced, with the step sizes of those that were.

    All weights of the new model are then as trainable as those of the old one.
    """
    reduced = {id(w) for path in configs for w in layers[path].weights}
    kept = {id(layers[path].log_dt) for path in configs}
    for source, target in zip(old.weights, new.weights, strict=True):
        if target.trainable != source.trainable:
            target.trainable = source.trainable
        if id(source) in reduced and id(source) not in kept:
            continue
        if source.name != target.name or tuple(source.shape) != tuple(target.shape):
            raise ValueError(
                f"The rebuilt model differs from {old.name!r}: expected weight {source.path} of "
                f"shape {tuple(source.shape)}. Received: {target.path} {tuple(target.shape)}"
            )
        # a copy: JAX would let both models own, and free, the same array
        target.assign(np.array(keras.ops.convert_to_numpy(source)))
