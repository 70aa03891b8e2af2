"""Models as files for other runtimes, each compared with the model before it takes its place."""

import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_dss.deploy.streaming import StreamingModel
from keras_dss.layers import DSS
from keras_dss.layers.parameters import positive_integer

LENGTH, STEPS = 64, 3  # what files are compared on: steps of a sequence, of a streaming model
TOLERANCE = 1e-3  # of the largest output


@dataclass(frozen=True)
class Format:
    """A kind of file: its suffix (a folder has none), and the backend that writes it, or any."""

    suffix: str
    backend: str | None


FORMATS = {
    "saved_model": Format("", "tensorflow"),
    "litert": Format(".tflite", "tensorflow"),
    "torch": Format(".pt2", "torch"),
    "keras": Format(".keras", None),
}
OTHER_NAMES = {"tf_saved_model": "saved_model", "tflite": "litert"}


def export_model(model, path, format="saved_model", *, batch_size=None, length=None):
    """Writes a model for another runtime, reads it back and compares their outputs.

    Inputs and outputs keep their order. In SavedModel and LiteRT they have names too: those of the
    model's inputs, `outputs`, and for new states the names of the old ones.

    Args:
        model: a built functional `keras.Model`, whole or a `StreamingModel`.
        path: file or folder to write, new, with the suffix of the format.
        format: `"saved_model"` (a folder), `"litert"` (`.tflite`; a streaming model, as LiteRT has
            no FFTs), `"torch"` (`.pt2`) or `"keras"` (`.keras`).
        batch_size: that of the file; None leaves it free, and is 1 for `"torch"`.
        length: steps of a sequence; None leaves it free where the model does, which `"torch"`
            cannot.

    Returns:
        The largest difference between the outputs of the file and of the model, on random inputs.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for another format, a suffix that does not fit, a path that exists or whose
            folder does not, another backend than the one that writes the format, a model that the
            format cannot hold, or outputs that differ by more than 1e-3 of the largest.

    Example:

    >>> import tempfile, keras_dss
    >>> from keras_dss.deploy import export_model
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=1, state_size=4)
    >>> backend = keras.backend.backend()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     if backend == "tensorflow":
    ...         difference = export_model(model, f"{folder}/model")
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {model!r}")
    format = check_format(format)
    path = check_path(path, format)
    if format == "litert" and not isinstance(model, StreamingModel):
        layers = [x.name for x in model._flatten_layers() if isinstance(x, DSS)]
        if layers:
            raise ValueError(
                "LiteRT has no FFTs: expected a model made by keras_dss.to_streaming. Received: "
                f"{model.name!r} with the layers {', '.join(layers)}"
            )
    specs = _specs(model, batch_size, length, format)
    folder = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.stem}.")
    temporary = Path(folder) / (path.name or "model")
    try:
        write, read = FILES[format]
        write(model, temporary, specs)
        difference = _difference(model, read(model, temporary), _random_inputs(model, specs))
        os.replace(temporary, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return difference


def check_format(format):
    """The name of a format in `FORMATS`; ValueError for another, or one of another backend."""
    format = OTHER_NAMES.get(format, format)
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {tuple(FORMATS)}. Received: format={format!r}")
    needed, found = FORMATS[format].backend, keras.backend.backend()
    if needed not in (None, found):
        raise ValueError(
            f"Format {format!r} is written by the backend {needed}, which loads the same models: "
            f"set KERAS_BACKEND={needed}. Received: {found}"
        )
    return format


def check_path(path, format):
    """The path of a new file or folder; ValueError as `export_model` says."""
    path, suffix = Path(path).expanduser(), FORMATS[format].suffix
    if path.suffix != suffix:
        kind = f"a file ending in {suffix}" if suffix else "a folder, without a suffix"
        raise ValueError(f"Format {format!r} is {kind}. Received: {path}")
    if path.exists() or not path.parent.is_dir():
        why = "which exists" if path.exists() else f"where there is no folder {path.parent}"
        raise ValueError(f"Expected a new path in an existing folder. Received: {path}, {why}")
    return path


def _specs(model, batch_size, length, format):
    """The inputs as `keras.InputSpec`s, with what the caller and the format fix."""
    for name, value in (("batch_size", batch_size), ("length", length)):
        if value is not None:
            positive_integer(name, value)
    free = [x.name for x in model.inputs if None in x.shape[1:]]
    if length is not None and not free:
        raise ValueError(
            f"`length` fixes a free one. Received: length={length} for {model.name!r} with inputs "
            f"of shapes {[tuple(x.shape) for x in model.inputs]}"
        )
    if format == "torch":
        batch_size = batch_size or 1
        if length is None and free:
            raise ValueError(
                f"Format 'torch' needs the `length` of {', '.join(free)}. Received: length=None"
            )
    return [
        keras.InputSpec(
            shape=(batch_size, *(size or length for size in x.shape[1:])),
            dtype=x.dtype,
            name=x.name,
        )
        for x in model.inputs
    ]


def _joined(values):
    """What a functional model is called with: a list, of one input this itself."""
    return list(values) if len(values) > 1 else values[0]


def _saved_model(model, folder, specs):
    import tensorflow as tf

    names = _output_names(model)

    def serve(*inputs):
        outputs = keras.tree.flatten(model(_joined(inputs), training=False))
        return dict(zip(names, outputs, strict=True))

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec(x.shape, x.dtype, name=x.name) for x in specs]
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.write_out(str(folder), verbose=False)


def _litert(model, path, specs):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _saved_model(model, folder, specs)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _torch(model, path, specs):
    import torch

    given = [torch.as_tensor(x) for x in _random_inputs(model, specs)]
    with torch.no_grad():
        torch.export.save(torch.export.export(model, (_joined(given),), strict=False), path)


def _keras(model, path, specs):
    model.save(path)


def _output_names(model):
    if isinstance(model, StreamingModel):
        return ["outputs", *(x.name for x in model.inputs[1:])]
    return ["outputs"] if len(model.outputs) == 1 else [x.name for x in model.outputs]


def _random_inputs(model, specs):
    """Arrays for each input, states zero; of batch size 1 and a few steps where these are free."""
    generator = np.random.default_rng(0)
    sizes = [x.input_dim for x in model._flatten_layers() if isinstance(x, keras.layers.Embedding)]
    arrays = []
    for x in specs:
        shape = [x.shape[0] or 1, *(size or LENGTH for size in x.shape[1:])]
        if "int" in x.dtype:
            arrays.append(generator.integers(0, min(sizes, default=2), shape).astype(x.dtype))
        else:
            arrays.append(generator.normal(size=shape).astype(x.dtype))
    if isinstance(model, StreamingModel):
        arrays[1:] = model.initial_states(len(arrays[0]))
    return arrays


def _difference(model, call, inputs):
    """The largest difference of outputs, over some steps of a streaming model."""
    worst = largest = 0.0
    streaming = isinstance(model, StreamingModel)
    for _ in range(STEPS if streaming else 1):
        outputs = keras.tree.flatten(model(_joined(inputs), training=False))
        outputs = [keras.ops.convert_to_numpy(x) for x in outputs]
        for x, y in zip(call(inputs), outputs, strict=True):
            worst = max(worst, float(np.abs(np.asarray(x, "float64") - y).max()))
            largest = max(largest, float(np.abs(y).max()))
        if streaming:
            inputs = [inputs[0], *outputs[1:]]
    if not worst <= TOLERANCE * largest:
        raise ValueError(
            f"Expected the file to give the outputs of {model.name!r}, at most {largest:.4g}. "
            f"Received: a difference of {worst:.4g}"
        )
    return worst


def _read_saved_model(model, folder):
    import tensorflow as tf

    loaded, names = tf.saved_model.load(str(folder)), _output_names(model)

    def call(arrays):
        found = loaded.serve(*map(tf.convert_to_tensor, arrays))
        return [found[name].numpy() for name in names]

    return call


def _read_litert(model, path):
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's interpreter is to move
        interpreter = tf.lite.Interpreter(str(path))
    names = _output_names(model)

    def call(arrays):
        runner = interpreter.get_signature_runner()
        found = runner(**{x.name: a for x, a in zip(model.inputs, arrays, strict=True)})
        return [found[name] for name in names]

    return call


def _read_torch(model, path):
    import torch

    module = torch.export.load(path).module()

    def call(arrays):
        found = module(_joined([torch.as_tensor(x) for x in arrays]))
        return [x.detach().numpy() for x in keras.tree.flatten(found)]

    return call


def _read_keras(model, path):
    loaded = keras.saving.load_model(path, compile=False)

    def call(arrays):
        outputs = keras.tree.flatten(loaded(_joined(arrays), training=False))
        return [keras.ops.convert_to_numpy(x) for x in outputs]

    return call


FILES = {
    "saved_model": (_saved_model, _read_saved_model),
    "litert": (_litert, _read_litert),
    "torch": (_torch, _read_torch),
    "keras": (_keras, _read_keras),
}
