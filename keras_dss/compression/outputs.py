"""What a model answers to some of the calibration inputs, and how reduced layers change that."""

import contextlib
import dataclasses

import keras
import numpy as np

from keras_dss.models import DSSRegressor

SEQUENCES = 64  # as many are compared at most


@dataclasses.dataclass(frozen=True)
class OutputChange:
    """The outputs of two models compared.

    Attributes:
        relative_l2: `||y - y_r|| / ||y||` over all numbers.
        agreement: share of the rows of outputs with the same largest entry, None where outputs
            have a single number or the model is a regressor.
        sequences: how many inputs it was measured on.
    """

    relative_l2: float
    agreement: float | None
    sequences: int


class Outputs:
    """Inputs and outputs of a model, the first ones of those it is called on while watched.

    Args:
        model: the model. sequences: how many to keep.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> outputs = Outputs(model)
    >>> _ = outputs.watched(np.ones((5, 3), "float32"), training=False)
    >>> outputs.change(model)
    OutputChange(relative_l2=0.0, agreement=1.0, sequences=5)
    """

    def __init__(self, model, sequences=SEQUENCES):
        self.model, self.sequences = model, sequences
        self.classes = not isinstance(model, DSSRegressor)
        self.inputs, self.outputs, self.seen = [], [], 0

    def watched(self, batch, training=False):
        """Calls the model; keeps what goes in and comes out."""
        outputs = self.model(batch, training=training)
        size = len(keras.tree.flatten(batch)[0])
        count = min(size, self.sequences - self.seen)
        if count > 0:
            self.inputs.append(keras.tree.map_structure(lambda part: part[:count], batch))
            self.outputs.append([part[:count] for part in _numbers(outputs)])
            self.seen += count
        return outputs

    def change(self, model):
        """How another model's outputs differ, an `OutputChange`."""
        difference = size = 0.0
        same = rows = 0
        for inputs, outputs in zip(self.inputs, self.outputs, strict=True):
            for old, new in zip(outputs, _numbers(model(inputs, training=False)), strict=True):
                difference += np.sum((new - old) ** 2)
                size += np.sum(old**2)
                if self.classes and old.ndim > 1 and old.shape[-1] > 1:
                    same += int(np.sum(old.argmax(axis=-1) == new.argmax(axis=-1)))
                    rows += old[..., 0].size
        relative = np.sqrt(difference / size) if size else float(difference > 0.0)
        return OutputChange(float(relative), same / rows if rows else None, self.seen)


@contextlib.contextmanager
def computing(layer, system):
    """The layer computes `system` (its `D` included) in place of its own kernel, meanwhile."""
    through = np.array(system.feedthrough)
    own = np.asarray(keras.ops.convert_to_numpy(layer.D), "float64")
    (through[0] if layer.bidirectional else through)[...] -= own

    def kernel(length):
        taps = system.impulse_response(int(length))
        taps[..., 0] += through - system.feedthrough
        return keras.ops.convert_to_tensor(taps, layer.ssm_dtype)

    try:
        give_kernel(layer, kernel)
        yield
    finally:
        for name in ("kernel", "_few_modes"):
            layer.__dict__.pop(name, None)


def give_kernel(layer, kernel):
    """The layer convolves with `kernel(length)` in place of its own, by FFTs whatever it chose."""
    layer.__dict__.update(kernel=kernel, _few_modes=lambda inputs: False)


def _numbers(outputs):
    return [
        np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(part, "float32")), "float64")
        for part in keras.tree.flatten(outputs)
    ]
