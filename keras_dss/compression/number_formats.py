"""Weights as bytes: float32, float16 or int8 with a scale for each channel, dense or sparse.

Sparse is a bitmap, one bit for each entry, and the entries that are not zero, row by row.
"""

import dataclasses
import math

import numpy as np

FORMATS = ("float32", "float16", "int8")
LARGEST = 127  # int8 is used symmetrically
SCALE_BITS = 16  # of a scale's significand: 127 times it is a float32 without rounding


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """An array in one of the `FORMATS`.

    Attributes:
        shape: of the array.
        values: float32, float16 or int8: all entries, or those that are not zero.
        scales: float32, what an int8 stands for, broadcastable to the shape; None for floats.
        bitmap: uint8, the bits of the entries that are not zero; None if dense.

    >>> packed = pack(np.array([[0.0, 0.5], [0.0, 0.0], [0.0, -1.0]]), "float32")
    >>> packed.nbytes, packed.unpack().tolist()
    (9, [[0.0, 0.5], [0.0, 0.0], [0.0, -1.0]])
    """

    shape: tuple
    values: np.ndarray
    scales: np.ndarray | None = None
    bitmap: np.ndarray | None = None

    @property
    def nbytes(self):
        """Bytes of all parts."""
        parts = (self.values, self.scales, self.bitmap)
        return sum(part.nbytes for part in parts if part is not None)

    def unpack(self):
        """The array as float32; every part of it is exact."""
        values = self.values.astype("float32")
        if self.bitmap is not None:
            used = np.unpackbits(self.bitmap, count=math.prod(self.shape)).astype(bool)
            values, packed = np.zeros(used.shape, "float32"), values
            values[used] = packed
        values = values.reshape(self.shape)
        return values if self.scales is None else values * self.scales


def pack(array, number_format, axes=None):
    """An array in a number format, sparse where that takes fewer bytes.

    Args:
        array: of floats.
        number_format: one of `FORMATS`.
        axes: for `"int8"`: the axes that share a scale; all of them if None.

    Returns:
        A `Packed`; what it unpacks to is the array rounded to nearest.

    Raises:
        ValueError: for another format, or numbers that it cannot hold.
    """
    if number_format not in FORMATS:
        raise ValueError(f"Expected a number format of {FORMATS}. Received: {number_format!r}")
    array = np.asarray(array)
    if not np.isfinite(array).all():
        raise ValueError("Expected finite numbers. Received: NaN or infinity")
    if number_format == "int8":
        scales = int8_scales(array, axes)
        return pack_int8(to_int8(array, scales), scales)
    with np.errstate(over="ignore"):
        values = array.astype(number_format)
    if not np.isfinite(values).all():
        raise ValueError(
            f"Expected numbers up to {np.finfo(number_format).max:g} for {number_format}. "
            f"Received: {np.abs(array).max():g}"
        )
    return _smaller(values, None)


def int8_scales(array, axes=None):
    """The scales `max |w| / 127` of each channel, rounded up to `SCALE_BITS` bits."""
    array = np.asarray(array, "float64")
    axes = tuple(range(array.ndim)) if axes is None else axes
    significand, exponent = np.frexp(np.abs(array).max(axis=axes, keepdims=True) / LARGEST)
    steps = 2.0**SCALE_BITS
    scales = np.ldexp(np.ceil(significand * steps) / steps, exponent).astype("float32")
    return np.where(scales == 0.0, np.float32(1.0), scales)


def to_int8(array, scales):
    """`round(w / scale)`."""
    return np.rint(np.asarray(array, "float64") / scales).clip(-LARGEST, LARGEST).astype("int8")


def pack_int8(values, scales):
    """The `Packed` of integers and their scales."""
    return _smaller(values, scales)


def _smaller(values, scales):
    used = values != 0
    dense = Packed(values.shape, values, scales)
    sparse = Packed(values.shape, values[used], scales, np.packbits(used))
    return sparse if sparse.nbytes < dense.nbytes else dense
