"""What the inputs of a model do to the states of its DSS layers."""

import contextlib
import dataclasses
import inspect
import numbers
import reprlib

import keras
import numpy as np
from keras import ops

from keras_dss.ssm import GramianAccumulator, InputSequences, input_sequences

LARGEST = 2**22  # numbers (B, L, H) that a layer is shown at a time: temporaries stay in the heap
MOST = 32  # sequences at a time


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredInputs:
    """What calibration inputs are to a layer.

    Attributes:
        gramian: controllability Gramian that they drive, complex128 (H, 2N, 2N), (2, H, 2N, 2N)
            when bidirectional. The backward system sees the reversed sequences.
        sequences: `keras_dss.ssm.InputSequences` (..., H), or None where they were not kept.
    """

    gramian: np.ndarray
    sequences: InputSequences | None = None

    def at(self, features):
        """Those of some features, indices in the flattened features and directions."""
        return MeasuredInputs(
            self.gramian.reshape(-1, *self.gramian.shape[-2:])[features],
            self.sequences and self.sequences.reshape(-1)[features],
        )


def measure_gramians(model, layers, systems, calibration, batch_size):
    """The Gramians alone of `measure_inputs`, a dict from paths to arrays."""
    found = measure_inputs(model, layers, systems, calibration, batch_size, sequences=False)
    return {path: inputs.gramian for path, inputs in found.items()}


def measure_inputs(model, layers, systems, calibration, batch_size, call=None, *, sequences=True):
    """What calibration inputs are to each layer.

    Args:
        model: the model. layers: dict from paths to its `DSS` layers. systems: dict from paths to
            their systems. calibration: inputs, as `compress_model` takes them.
        batch_size: sequences at a time, for inputs given as arrays; None for `at_once`.
        call: function `(batch, training)` to call in place of the model, or None.
        sequences: whether to keep the inputs of the layers, float32, beside their Gramians.

    Returns:
        dict from paths to `MeasuredInputs`.

    Raises:
        ValueError: for inputs without a sequence, another number of arrays than the model has
            inputs, values that are not finite inside the model, or a bad `batch_size`.
    """
    accumulators = {
        path: [GramianAccumulator(poles) for poles in _directions(systems[path].poles)]
        for path in layers
    }
    kept = {path: [[] for _ in found] for path, found in accumulators.items()}

    def record(path, inputs, mask):
        inputs = np.asarray(ops.convert_to_numpy(ops.cast(inputs, "float32")))
        if not np.isfinite(inputs).all():
            raise ValueError(
                f"Calibration inputs must stay finite in the model. Received: NaN or infinity at "
                f"the input of layer {path!r}"
            )
        valid = np.ones(inputs.shape[:2], bool)
        if mask is not None:
            valid = np.asarray(ops.convert_to_numpy(mask), bool)  # (B, L)
            inputs, valid = _from_first_step(inputs * valid[..., None], valid)
        lengths = valid.shape[1] - np.argmax(valid[:, ::-1], axis=1)
        lengths = np.where(valid.any(axis=1), lengths, 0)
        try:
            for backward, accumulator in enumerate(accumulators[path]):
                seen = _reversed(inputs, lengths) if backward else inputs
                accumulator.update(seen, lengths)
                if sequences and lengths.any():
                    kept[path][backward].append(input_sequences(seen, lengths))
        except OverflowError as error:
            raise ValueError(f"Layer {path!r} cannot be measured: {error}") from error

    with recording(layers, record):
        for batch in input_batches(model, calibration, batch_size, layers):
            (call or model)(batch, training=False)

    def measured(path):
        gramians = [accumulator.result() for accumulator in accumulators[path]]
        found = [InputSequences.joined(batches) for batches in kept.pop(path) if sequences]
        if layers[path].bidirectional:
            return MeasuredInputs(np.stack(gramians), _stacked(*found) if found else None)
        return MeasuredInputs(gramians[0], found[0] if found else None)

    return {path: measured(path) for path in layers}


def _stacked(forward, backward):
    return InputSequences(np.stack([forward.reverse, backward.reverse]), forward.steps)


def at_once(calibration, layers):
    """How many of the sequences, given as arrays, pass the layers at a time: 1 to 32.

    The features of so many fill at most `LARGEST` numbers; batches of larger ones take longer, as
    their temporaries are given back to the system and asked for again.
    """
    first = calibration
    if isinstance(calibration, dict):
        first = next(iter(calibration.values()), None)
    elif _is_arrays(calibration):
        first = calibration[0]
    if not _is_array(first) or len(first.shape) < 2:
        return MOST
    integers = "int" in keras.backend.standardize_dtype(first.dtype)
    length = first.shape[-1 if integers or len(first.shape) == 2 else 1]
    widest = max((layer.D.shape[-1] for layer in layers.values()), default=1)
    return int(min(max(LARGEST // max(length * widest, 1), 1), MOST))


def _directions(poles):
    return list(poles) if poles.ndim == 3 else [poles]


def _from_first_step(inputs, valid):
    """Sequences (B, L, H) and their valid steps (B, L), rolled so that a valid one comes first."""
    first = np.argmax(valid, axis=1)
    if not first.any():
        return inputs, valid
    index = (np.arange(valid.shape[1]) + first[:, None]) % valid.shape[1]  # (B, L)
    inputs = np.take_along_axis(inputs, index[..., None], axis=1)
    return inputs, np.take_along_axis(valid, index, axis=1)


def _reversed(inputs, lengths):
    """Each sequence of (B, L, H) reversed within its valid steps."""
    steps = np.arange(inputs.shape[1])[None, :]
    index = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (B, L)
    return np.take_along_axis(inputs, index[..., None], axis=1)


@contextlib.contextmanager
def recording(layers, record):
    """Calls `record(path, inputs, mask)` at every call of the layers, meanwhile."""

    def recorder(path, call):
        signature = inspect.signature(call)

        def recorded(*args, **kwargs):
            given = signature.bind(*args, **kwargs).arguments
            record(path, next(iter(given.values())), given.get("mask"))
            return call(*args, **kwargs)

        return recorded

    try:
        for path, layer in layers.items():
            layer.__dict__["call"] = recorder(path, layer.call)
        yield
    finally:
        for layer in layers.values():
            layer.__dict__.pop("call", None)


def check_batch_size(batch_size):
    """Raises `ValueError` for anything but None and a positive integer."""
    if batch_size is None:
        return
    integer = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
    if not integer or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer or None. Received: batch_size={batch_size!r}"
        )


def input_batches(model, calibration, batch_size, layers):
    """Batches of a model's inputs from arrays or from a data set of batches.

    Args:
        model: the model. calibration: inputs, as `compress_model` takes them.
        batch_size: sequences at a time, for inputs given as arrays; None for `at_once`.
        layers: dict from paths to the `DSS` layers of the model.

    Raises:
        ValueError: if there are none, for another number of arrays than the model has inputs, or
            others than it takes, or a bad `batch_size`.
    """
    check_batch_size(batch_size)
    inputs = getattr(model, "inputs", None)
    if _is_arrays(calibration) and inputs is not None and len(calibration) != len(inputs):
        raise ValueError(
            f"Expected as many calibration arrays as model {model.name!r} has inputs, "
            f"{len(inputs)}, or an iterator of batches. Received: {len(calibration)} arrays"
        )
    arrays = calibration if _is_arrays(calibration) else [calibration]
    for array, expected in zip(arrays, inputs or (), strict=False):
        if _is_array(array) and not _fits(array.shape[2:], expected.shape[2:]):
            raise ValueError(
                f"Expected calibration inputs of shape (sequences, steps, "
                f"{', '.join(map(str, expected.shape[2:]))}). Received: {tuple(array.shape)}"
            )
    seen = 0
    for batch in _batches(calibration, batch_size or at_once(calibration, layers)):
        seen += 1
        yield batch
    if not seen:
        raise ValueError("Calibration needs at least one sequence. Received: none")


def _batches(calibration, batch_size):
    if isinstance(calibration, keras.utils.PyDataset):
        for i in range(len(calibration)):
            yield _inputs(calibration[i])
    elif _is_array(calibration) or _is_arrays(calibration):
        arrays = calibration if isinstance(calibration, (list, tuple)) else [calibration]
        for start in range(0, len(arrays[0]), batch_size):
            batch = [array[start : start + batch_size] for array in arrays]
            yield batch if isinstance(calibration, (list, tuple)) else batch[0]
    elif isinstance(calibration, dict):
        length = len(next(iter(calibration.values()), ()))
        for start in range(0, length, batch_size):
            yield {key: array[start : start + batch_size] for key, array in calibration.items()}
    elif _is_torch_loader(calibration):
        for batch in calibration:  # it makes lists of what its data set gives as tuples
            batch = tuple(batch) if isinstance(batch, list) else batch
            yield keras.tree.map_structure(np.asarray, _inputs(batch))
    elif hasattr(calibration, "__iter__") and not isinstance(calibration, (str, bytes)):
        for batch in calibration:
            yield _inputs(batch)
    else:
        raise ValueError(
            "`calibration` must be an array, a list or dict of arrays, or an iterable of batches. "
            f"Received: {_brief(calibration)}"
        )


def _fits(shape, expected):
    """Whether a model takes a shape; one of another rank may be one that Keras expands."""
    sizes = zip(shape, expected, strict=False)
    return len(shape) != len(expected) or all(n is None or size == n for size, n in sizes)


def _brief(value):
    return reprlib.repr(value) if isinstance(value, (str, bytes)) else type(value).__name__


def _inputs(batch):
    return batch[0] if isinstance(batch, tuple) else batch


def _is_torch_loader(value):
    return any(cls.__module__.startswith("torch.utils.data") for cls in type(value).__mro__)


def _is_array(value):
    return hasattr(value, "shape") and hasattr(value, "__getitem__")


def _is_arrays(value):
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_array, value))
