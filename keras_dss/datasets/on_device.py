"""Arrays that live where the model computes."""

import copy

import keras
import numpy as np
from keras import ops


class OnDevice:
    """An array held in the memory of the backend's device, of which batches are gathered there.

    On an accelerator a batch then costs a gather instead of a copy from the host. Bytes stay bytes:
    a `Standardised` view is held raw, and computed for each batch on the device.

    Args:
        array: NumPy array, or `Standardised` view, that fits into the device's memory.

    Example:

    >>> x = OnDevice(np.arange(6, dtype="uint8").reshape(3, 2))
    >>> x.shape, x.dtype, keras.ops.convert_to_numpy(x[np.array([2, 0])]).tolist()
    ((3, 2), dtype('uint8'), [[4, 5], [0, 1]])
    """

    def __init__(self, array):
        self.shape, self.dtype, self.ndim = tuple(array.shape), array.dtype, array.ndim
        raw = np.ascontiguousarray(getattr(array, "raw", array))
        if raw.dtype == np.uint16 and keras.backend.backend() == "torch":  # it cannot be indexed
            raw = raw.astype(np.int32)
        self.values = ops.convert_to_tensor(raw)
        self.view = array if hasattr(array, "raw") else None

    def __len__(self):
        return self.shape[0]

    def standing_for(self, values):
        """The same array with a compiled function's argument in the place of its values."""
        other = copy.copy(self)
        other.values = values
        return other

    def __getitem__(self, index):
        """Examples by integers, an array or tensor, or by a slice; slices may follow."""
        chosen, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(chosen, slice):
            values = self.values[chosen]
        else:
            if not keras.ops.is_tensor(chosen):
                chosen = np.asarray(chosen, "int32")
            values = ops.take(self.values, chosen, axis=0)
        if rest:
            values = values[(slice(None), *rest)]
        if self.view is None:
            return values
        numbers = ops.cast(values, "float32")
        return ops.expand_dims(self.view.standardise(numbers), -1)
