"""Arrays of bytes that become standardised numbers only when they are read."""

import numpy as np


class Standardised(np.lib.mixins.NDArrayOperatorsMixin):
    """A read-only view `(raw - mean) / deviation` of an array, computed for what is indexed.

    The raw array may be a memory map of a file larger than memory. A slice of examples, `x[:100]`,
    is a view too; any other index returns an ordinary float32 array. All else that NumPy arrays
    have, operators, methods and functions of NumPy, works on `np.asarray(x)`, which computes
    everything.

    Args:
        raw: array (n, L) of any numeric type; a channel axis is appended.
        mean, deviation: numbers, in the units of `raw`.

    Attributes:
        raw: the raw array.

    Raises:
        TypeError, ValueError: if an operation would write into the view.

    Example:

    >>> x = Standardised(np.array([[0, 255], [255, 255]], "uint8"), mean=127.5, deviation=127.5)
    >>> x.shape, x.dtype, x[0].ravel().tolist()
    ((2, 2, 1), dtype('float32'), [-1.0, 1.0])
    """

    dtype = np.dtype(np.float32)

    def __init__(self, raw, mean, deviation):
        self.raw, self._mean, self._deviation = raw, np.float32(mean), np.float32(deviation)

    @property
    def shape(self):
        return (*self.raw.shape, 1)

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return self.raw.size

    @property
    def nbytes(self):
        """Bytes of the raw array."""
        return self.raw.nbytes

    def __len__(self):
        return len(self.raw)

    def __getitem__(self, index):
        if isinstance(index, slice):  # still unread: x[:100] is a view, as of any array
            return Standardised(self.raw[index], self._mean, self._deviation)
        return self.standardise(np.asarray(self.raw[..., None][index], np.float32))

    def standardise(self, numbers):
        """Returns `(numbers - mean) / deviation` of a float32 array or tensor."""
        return (numbers - self._mean) / self._deviation

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Expected `copy` None or True: the array is computed. Received: False")
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        values = np.asarray(self)
        values.flags.writeable = False
        return getattr(values, name)
