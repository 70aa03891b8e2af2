"""From a real state space system back to complex modes with a real output."""

import numpy as np

WORST_CONDITION = 1e10


def leading(a, b, c):
    """The leading subsystems of a realisation, for `modes_of`."""
    return lambda group, m: (a[group, :m, :m], b[group, :m], c[group, :, :m])


def modes_of(realisation, outputs, highest, rank, need_stable, continuous=False, smallest=0.0):
    """Modes of the largest realisation whose modes fit the rank, for each feature.

    A conjugate pair of eigenvalues with residues `r, conj(r)` is one mode with residue 2r; a
    real eigenvalue is one mode. Orders are tried from `highest` downward: passed over are those
    with more than `rank` modes, unstable ones where stability is needed, and those so nearly
    defective that residues would lose more than ten digits.

    Args:
        realisation: `(group, m)` to real `A (G, m, m)`, `B (G, m)`, `C (G, p, m)` of order m for a
            group of features, an int array.
        outputs: p.
        highest: int `(B,)`, largest order to try.
        rank: number of modes that fit.
        need_stable: bool `(B,)`.
        continuous: whether stable means a negative real part, not a modulus below one.
        smallest: orders with a pole of smaller modulus are passed over.

    Returns:
        `poles (B, rank)`, `residues (B, p, rank)`, `order (B,)` and the condition number of each
        pole as an eigenvalue, `(B, rank)`. Modes that are not needed are zero, of condition 1.
    """
    count = len(highest)
    poles = np.zeros((count, rank), complex)
    residues = np.zeros((count, outputs, rank), complex)
    order, condition = highest.copy(), np.ones((count, rank))
    left = order > 0
    while left.any():
        m = order[left].max()
        group = np.flatnonzero(left & (order == m))
        a, b, c = realisation(group, m)
        values, vectors = np.linalg.eig(a)  # (G, m), (G, m, m)
        values, vectors = values.astype(complex), vectors.astype(complex)
        inverse = _inverse(vectors)
        sensitivity = np.linalg.norm(inverse, axis=-1)  # (G, m), columns of unit length
        weights = c @ vectors * (inverse @ b[..., None]).mT  # (G, p, m)
        real, mode = values.imag == 0.0, values.imag >= 0.0
        size = values.real.max(axis=-1) if continuous else np.abs(values).max(axis=-1) - 1.0
        good = (mode.sum(axis=-1) <= rank) & (sensitivity.max(axis=-1) < WORST_CONDITION)
        good &= (size < 0.0) | ~need_stable[group]
        good &= np.abs(values).min(axis=-1) >= smallest

        keep = group[good]
        chosen = np.argsort(~mode[good], axis=-1, kind="stable")[:, :rank]  # modes come first
        exists = np.take_along_axis(mode[good], chosen, axis=-1)
        weights = np.where(real[:, None], weights.real, 2.0 * weights)[good]
        width = chosen.shape[-1]
        poles[keep, :width] = exists * np.take_along_axis(values[good], chosen, axis=-1)
        residues[keep, :, :width] = exists[:, None] * np.take_along_axis(
            weights, chosen[:, None], axis=-1
        )
        sensitivity = np.take_along_axis(sensitivity[good], chosen, axis=-1)
        condition[keep, :width] = np.where(exists, sensitivity, 1.0)
        left[keep] = False
        order[group[~good]] -= 1
        left &= order > 0
    return poles, residues, order, condition


def _inverse(matrices):
    """Inverses; infinite where a matrix has none."""
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        inverse = np.full_like(matrices, np.inf)
        for i, matrix in enumerate(matrices):
            try:
                inverse[i] = np.linalg.inv(matrix)
            except np.linalg.LinAlgError:
                continue
        return inverse
