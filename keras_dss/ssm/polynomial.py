"""Polynomials in the poles, for many poles at once."""

import numpy as np


def polynomial(points, coefficients):
    """`sum_l k_l a^l`: `(H, N), (H, M, L) -> (H, M, N)`, in blocks by Horner's rule.

    A longer block costs powers of the points once, a shorter one a product for each row.
    """
    features, rows, length = coefficients.shape
    modes = points.shape[-1]
    block = min(length, int(np.ceil(np.sqrt(rows * length))))
    blocks = -(-length // block)
    if blocks * block > length:
        coefficients = np.pad(coefficients, ((0, 0), (0, 0), (0, blocks * block - length)))
    fine = _power_table(points, block).mT  # (H, b, N)
    fine = np.ascontiguousarray(fine).view(np.float64)  # (H, b, 2N)
    values = coefficients.reshape(features, rows * blocks, block) @ fine
    values = values.view(np.complex128).reshape(features, rows, blocks, modes)
    step = (points**block)[:, None, :]
    total = values[:, :, -1]
    for q in range(blocks - 2, -1, -1):
        total = total * step + values[:, :, q]
    return total


def _power_table(points, count):
    """`a^l` for `l < count`, `(..., count)`, by doubling."""
    table = np.empty((*points.shape, count), np.complex128)
    table[..., 0] = 1.0
    known, step = 1, points[..., None]
    while known < count:
        more = min(known, count - known)
        np.multiply(table[..., :more], step, out=table[..., known : known + more])
        known, step = known + more, step * step
    return table
