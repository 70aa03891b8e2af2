"""Gramians of the real system in closed form.

The system is the conjugate-closed one: poles `z = [a, conj(a)]`, residues
`gamma = [c/2, conj(c)/2]`, input vector b = 1, so with `1 <= i, j <= 2N`

    P_ij = 1/(1 - z_i conj(z_j)),     Q_ij = conj(gamma_i) gamma_j/(1 - conj(z_i) z_j).

Over a finite horizon of T steps both are multiplied by `1 - (z_i conj(z_j))^T`.
"""

import numpy as np

from keras_dss.ssm.basis import one_minus_product
from keras_dss.ssm.system import check_positive_integer, check_stable, check_system


def closed_poles(poles):
    """`[a, conj(a)]`."""
    return np.concatenate([poles, poles.conj()], axis=-1)


def closed_residues(residues):
    """`[c/2, conj(c)/2]`."""
    return 0.5 * closed_poles(residues)


def controllability_gramian(system, horizon=None):
    r"""The controllability Gramian `P = sum_k A^k b b^H (A^H)^k` of the real system.

    Args:
        system: a `DiagonalSystem` of `N` modes; stable, unless a horizon is given.
        horizon: number of steps `T` that count, or None for all.

    Returns:
        complex128 Hermitian array `(..., 2N, 2N)`, coordinates `[a_1..a_N, conj(a_1)..]`.

    Raises:
        UnstableSystemError: for |a| >= 1 without a horizon.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.5], residues=[1.0])
    >>> controllability_gramian(system).real.round(4)
    array([[1.3333, 1.3333],
           [1.3333, 1.3333]])
    """
    check_system(system)
    if horizon is None:
        check_stable(system, "The Gramian over an infinite horizon")
        return _hermitian(1.0 / one_minus_product(closed_poles(system.poles)))
    horizon = check_positive_integer("horizon", horizon)
    return finite_gramian(system.poles, horizon)


def observability_gramian(system, horizon=None):
    r"""The observability Gramian `Q = sum_k (A^H)^k C^H C A^k` of the real system.

    Arguments, shape and errors are those of `controllability_gramian`.
    """
    gamma = closed_residues(check_system(system).residues)
    gramian = controllability_gramian(system, horizon).conj()
    return gamma.conj()[..., :, None] * gramian * gamma[..., None, :]


def finite_gramian(poles, horizon):
    """The controllability Gramian over `horizon` steps."""
    return _hermitian(_geometric_sum(closed_poles(poles), horizon))


def _geometric_sum(z, horizon):
    """`sum_{k<T} w^k` for `w = z_i conj(z_j)`, exact in the limit w -> 1."""
    gap = one_minus_product(z)  # 1 - w
    w = 1.0 - gap
    small = np.abs(gap) < 0.5
    safe = np.where(small, gap, 0.5)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        near = -_expm1(horizon * _log1p(-safe)) / np.where(safe == 0.0, 1.0, safe)
        near = np.where(safe == 0.0, horizon, near)
        far = (1.0 - w**horizon) / np.where(small, 1.0, gap)
    total = np.where(small, near, far)
    if not np.all(np.isfinite(total)):
        raise OverflowError(
            "The Gramian over this horizon exceeds the range of float64. "
            f"Received: horizon={horizon}, |a| up to {np.abs(z).max():.6g}"
        )
    return total


def _log1p(z):
    """`log(1 + z)` of complex z without cancellation near 0."""
    x, y = z.real, z.imag
    return 0.5 * np.log1p(x * (2.0 + x) + y * y) + 1j * np.arctan2(y, 1.0 + x)


def _expm1(z):
    """`exp(z) - 1` of complex z without cancellation near 0."""
    x, y = z.real, z.imag
    half = np.sin(0.5 * y)
    return np.expm1(x) * np.cos(y) - 2.0 * half * half + 1j * np.exp(x) * np.sin(y)


def _hermitian(matrix):
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2).conj())
