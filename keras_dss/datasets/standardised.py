"""Arrays of bytes that become standardised numbers only when they are read."""

import numpy as np


class Standardised:
    """A read-only view `(raw - mean) / deviation` of an array, computed for what is indexed.

    The raw array may be a memory map of a file larger than memory. Indexing returns ordinary
    float32 arrays; `np.asarray` computes everything.

    Args:
        raw: array (n, L) of any numeric type; a channel axis is appended.
        mean, deviation: numbers, in the units of `raw`.

    Example:

    >>> x = Standardised(np.array([[0, 255], [255, 255]], "uint8"), mean=127.5, deviation=127.5)
    >>> x.shape, x.dtype, x[0].ravel().tolist()
    ((2, 2, 1), dtype('float32'), [-1.0, 1.0])
    """

    dtype = np.dtype(np.float32)

    def __init__(self, raw, mean, deviation):
        self.raw, self.mean, self.deviation = raw, np.float32(mean), np.float32(deviation)

    @property
    def shape(self):
        return (*self.raw.shape, 1)

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def nbytes(self):
        """Bytes of the raw array."""
        return self.raw.nbytes

    def __len__(self):
        return len(self.raw)

    def __getitem__(self, index):
        if isinstance(index, slice):  # still unread: x[:100] is a view, as of any array
            return Standardised(self.raw[index], self.mean, self.deviation)
        chosen = np.asarray(self.raw[index], np.float32)
        return ((chosen - self.mean) / self.deviation)[..., None]

    def __array__(self, dtype=None, copy=None):
        values = self[np.arange(len(self))]
        return values if dtype is None else values.astype(dtype)
