"""The files of a published model: architecture, weights, pinned outputs."""

import json
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_dss.zoo.errors import (
    ArchitectureError,
    CardError,
    PinError,
    PublishError,
    WeightsMismatchError,
)
from keras_dss.zoo.storage import CONFIG, PIN, WEIGHTS


def write_json(path, value):
    """Writes JSON without NaN, keys in their order; the same value gives the same bytes."""
    try:
        text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise CardError(f"Expected finite numbers in {path.name}. Received: {error}.") from None
    path.write_text(text + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------ architecture


def serialize(model):
    """Returns the model's serialised config without what `compile` added.

    Raises:
        PublishError: if it names a class or function that neither Keras nor keras_dss holds.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
        config = json.loads(json.dumps(config))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise PublishError(f"Expected a serialisable model. Received: {error}") from error
    return _portable(config)


def _portable(config):
    """Drops compile configs and refuses objects that another machine could not rebuild."""
    if isinstance(config, list):
        return [_portable(part) for part in config]
    if not isinstance(config, dict):
        return config
    if "module" in config and "registered_name" in config:
        _check_origin(config)
        config = {key: part for key, part in config.items() if key != "compile_config"}
    return {key: _portable(part) for key, part in config.items()}


def _check_origin(config):
    # Keras writes its own functions as bare strings, registered ones as "<package>>name".
    if config["class_name"] == "function":
        name, known = config["config"], str(config["config"]).startswith("keras_dss>")
    else:
        name = config["registered_name"] or config["class_name"]
        known = str(config["module"]).partition(".")[0] in ("keras", "keras_dss")
    if not known:
        raise PublishError(
            "Expected a model of classes and functions of keras and keras_dss, so that every user "
            f"can load it. Received: {name!r} of the module {config['module']!r}."
        )


def read_config(folder):
    """Returns the model of `folder/config.json` with its initializers' weights.

    Raises:
        ArchitectureError: with Keras' own words, if the config does not give a built model.
    """
    path = folder / CONFIG
    try:
        model = keras.saving.deserialize_keras_object(json.loads(path.read_text(encoding="utf-8")))
    except Exception as error:  # Keras and the layers raise whatever they like.
        raise ArchitectureError(
            f"Expected {path} to describe a model that keras_dss and Keras {keras.__version__} can "
            f"build. Received: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, keras.Model) or not model.built:
        raise ArchitectureError(
            f"Expected {path} to give a built keras.Model. Received: {model!r}."
        )
    return model


# ----------------------------------------------------------------------------------- weights


def write_weights(model, path):
    """Writes the weights of an uncompiled model; the same weights give the same bytes.

    The arrays lie where Keras puts them, at paths made of class names and order. Left out are the
    layers' automatic names beside them, which depend on what was built before in the process.
    """
    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / WEIGHTS
        model.save_weights(saved)
        with h5py.File(saved, "r") as source, h5py.File(path, "w") as target:
            for name in sorted(layout(saved)):
                copy = target.create_dataset(name, data=source[name][()], track_times=False)
                copy.attrs.update(source[name].attrs)  # the dtype of bfloat16


def layout(path):
    """Returns {name: shape} of the arrays in an h5 file."""
    shapes = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            shapes[name] = tuple(item.shape)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return shapes


def compare_layouts(expected, received, what):
    """Raises `WeightsMismatchError` that lists names and shapes which differ, both ways."""
    lines = [
        f"  {name}: expected {expected.get(name, 'no such weight')}, "
        f"received {received.get(name, 'no such weight')}"
        for name in sorted(expected.keys() | received.keys())
        if expected.get(name) != received.get(name)
    ]
    if lines:
        raise WeightsMismatchError(
            f"Expected {what} to have the weights of the architecture. Received:\n"
            + "\n".join(lines)
        )


def read_weights(model, folder):
    """Assigns the weights of `folder` to a fresh model.

    Raises:
        WeightsMismatchError: listing names and shapes both ways; the model is then unchanged.
    """
    path = folder / WEIGHTS
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / WEIGHTS
        model.save_weights(fresh)
        compare_layouts(layout(fresh), layout(path), path)
    model.load_weights(path)


# --------------------------------------------------------------------------------------- pin


def flatten_inputs(inputs):
    """Returns {key: array} for an array, or a list, tuple or dict of arrays.

    Keys are `inputs`, `inputs_<index>` or `inputs:<name>`.

    Raises:
        PublishError: unless every array holds the same number of examples, at least one.
    """
    if isinstance(inputs, dict):
        arrays = {f"inputs:{key}": np.asarray(part) for key, part in inputs.items()}
    elif isinstance(inputs, list | tuple):
        arrays = {f"inputs_{index}": np.asarray(part) for index, part in enumerate(inputs)}
    else:
        arrays = {"inputs": np.asarray(inputs)}
    arrays = {
        key: array.astype("float32") if array.dtype.kind == "f" else array
        for key, array in arrays.items()
    }
    shapes = {key: array.shape for key, array in arrays.items()}
    counts = {shape[0] if shape else 0 for shape in shapes.values()}
    kinds = {array.dtype.kind for array in arrays.values()}
    if len(counts) != 1 or 0 in counts or not kinds <= set("biuf"):
        raise PublishError(
            "Expected pin inputs of numbers, an array or a list, tuple or dict of arrays, with the "
            f"same number of examples >= 1 in each. Received: shapes {shapes}."
        )
    return arrays


def unflatten_inputs(arrays):
    """Returns what `flatten_inputs` was given, lists and tuples as a list."""
    if "inputs" in arrays:
        return arrays["inputs"]
    if any(key.startswith("inputs:") for key in arrays):
        return {key.partition(":")[2]: arrays[key] for key in arrays if key.startswith("inputs:")}
    count = sum(key.startswith("inputs_") for key in arrays)
    return [arrays[f"inputs_{index}"] for index in range(count)]


def outputs(model, inputs):
    """Returns the model's outputs on `inputs` in inference as a float32 array.

    Raises:
        PublishError: if the model has several outputs or any that is not finite.
    """
    result = model(inputs, training=False)
    if not keras.ops.is_tensor(result):
        raise PublishError(
            f"Expected a model with one output tensor. Received: {type(result).__name__}."
        )
    result = keras.ops.convert_to_numpy(keras.ops.cast(result, "float32"))
    if not np.isfinite(result).all():
        raise PublishError(
            "Expected finite outputs. "
            f"Received: {int((~np.isfinite(result)).sum())} of {result.size} values not finite."
        )
    return result


def write_pin(path, arrays, expected):
    """Writes inputs and outputs; the same arrays give the same bytes."""
    np.savez_compressed(path, outputs=expected, **arrays)


def pin_error(model, folder):
    """Returns max |model(inputs) - outputs| over the pin of `folder`."""
    with np.load(folder / PIN, allow_pickle=False) as pin:
        arrays = dict(pin)
    received = outputs(model, unflatten_inputs(arrays))
    if received.shape != arrays["outputs"].shape:
        raise PinError(
            f"Expected pinned outputs of shape {arrays['outputs'].shape}. "
            f"Received: {received.shape}."
        )
    return float(np.abs(received - arrays["outputs"]).max())


def check_pin(model, folder, atol):
    """Returns `pin_error`; raises `PinError` if it is above `atol`."""
    error = pin_error(model, folder)
    if not error <= atol:
        raise PinError(
            f"Expected the outputs of {folder / PIN} to {atol:g} on the backend "
            f"{keras.backend.backend()}. Received: a difference of {error:g}."
        )
    return error
