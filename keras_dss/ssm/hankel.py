"""Hankel singular values of the real system, and the factors they come from.

The Hankel matrix `[K_{i+j}]` of the real system, in an orthonormal basis of real-rational
functions f_k (see `basis`), is the small real symmetric matrix

    T_kl = Re sum_n c_n f_k(a_n) f_l(a_n),

because `K_l = Re sum_n c_n a_n^l`. Its singular values are the Hankel singular values: the
Gramians are never multiplied, nor is either of them decomposed. T is graded on both sides,
`T = D G D`, and the one-sided Jacobi method behind QR with row and column pivoting (Drmac &
Veselic 2008, LAPACK's gejsv) keeps the relative accuracy of its small singular values.

With a Gramian that is not of this form (finite horizon, or measured on inputs) the columns of
its factor F take the place of the basis on the side of the inputs: `Re sum_n c_n f_k(a_n) F_nl`.
"""

import numpy as np
from scipy.linalg import lapack

from keras_dss.ssm.basis import orthonormal_basis
from keras_dss.ssm.gramians import controllability_gramian
from keras_dss.ssm.system import (
    check_positive_integer,
    check_stable,
    check_system,
    real_matmul,
)

CHUNK = 32  # features at a time: the working set stays in cache
GRADED = 1e-6  # singular values further apart than this need the Jacobi method


def hankel_singular_values(system, horizon=None):
    r"""Hankel singular values of the real system, descending.

    They are the square roots of the eigenvalues of `P Q`, the Gramians of the conjugate-closed
    system, computed without either: every value above 1e-13 of the largest is right to 1e-6
    relative. Real or duplicate poles make the system smaller; trailing values are then zero.

    Args:
        system: a `DiagonalSystem` of `N` modes; stable, unless a horizon is given.
        horizon: number of steps that count on either side, or None for all. Finite-horizon
            values are accurate to 1e-14 of the largest.

    Returns:
        float64 array of shape `(..., 2N)`.

    Raises:
        UnstableSystemError: for |a| >= 1 without a horizon.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.5], residues=[1.5])
    >>> hankel_singular_values(system)
    array([2., 0.])
    """
    check_system(system)
    values = np.zeros((int(np.prod(system.shape)), 2 * system.num_modes))
    for start, factors in hankel_factors(system, horizon):
        _, sigma, _ = decompose(*factors)
        values[start : start + len(sigma), : sigma.shape[-1]] = sigma
    return values.reshape(*system.shape, -1)


def hankel_factors(system, horizon=None, controllability=None):
    """Yield `(start, (residues, left, left_used, right, right_used))` for chunks of features.

    `left` and `right` are the factors of the observability side (without residues) and of the
    controllability side at the poles, `(B, N, R)`; their conjugates belong to conjugate poles.
    """
    poles = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(poles.shape)
    weights = np.abs(np.where(poles.imag == 0.0, residues.real, residues))
    if horizon is None:
        what = (
            "Balancing with an exact observability Gramian"
            if controllability is not None
            else "The Hankel operator over an infinite horizon"
        )
        check_stable(system, what)
    else:
        horizon = check_positive_integer("horizon", horizon)
        gramian = controllability_gramian(system, horizon)
        gramian = gramian.reshape(-1, *gramian.shape[-2:])
    for start in range(0, len(poles), CHUNK):
        part = slice(start, start + CHUNK)
        if horizon is None:
            left = orthonormal_basis(poles[part], weights[part])
        else:
            left = gramian_factor(gramian[part], weights[part])
        right = left
        if controllability is not None:
            right = gramian_factor(controllability[part], weights[part])
        yield start, (residues[part], *left, *right)


def gramian_factor(gramian, weights):
    """`(factor, used)`: upper half of a real-structured factor of a dense Gramian.

    The Gramian of the real coordinates `[Re s, Im s]`, scaled by the residues, is decomposed;
    negative eigenvalues, which are rounding, are left out.
    """
    n = weights.shape[-1]
    scale = np.sqrt(weights)
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
    x, y = gramian[..., :n, :n], gramian[..., :n, n:]  # mean s s^H, mean s s^T
    cross = 0.5 * (y - x).imag  # mean Re(s) Im(s)^T
    real = np.block([[0.5 * (x + y).real, cross], [np.swapaxes(cross, -1, -2), 0.5 * (x - y).real]])
    scale = np.concatenate([scale, scale], axis=-1)
    real = real * scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(0.5 * (real + np.swapaxes(real, -1, -2)))
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    used = values > 1e-17 * values[..., :1]
    factor = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    factor = inverse[..., None] * (factor[..., :n, :] + 1j * factor[..., n:, :])
    return factor, used


def decompose(residues, left, left_used, right, right_used):
    """The singular value decompositions `U, sigma, V` of `Re(left^T diag(c) right)`.

    Returns arrays `(B, R, K)`, `(B, K)`, `(B, R', K)`, descending; what does not exist is zero.
    """
    weighted = np.swapaxes(residues[..., None] * left, -1, -2)  # (B, R, N)
    matrices = real_matmul(weighted, right)  # (B, R, R')
    if left is not right:
        u, sigma, vt = np.linalg.svd(matrices, full_matrices=False)
        return u, sigma, np.swapaxes(vt, -1, -2)
    values, u = np.linalg.eigh(0.5 * (matrices + np.swapaxes(matrices, -1, -2)))
    order = np.argsort(-np.abs(values), axis=-1)
    values = np.take_along_axis(values, order, axis=-1)
    u = np.take_along_axis(u, order[:, None, :], axis=-1)
    sigma, v = np.abs(values), u * np.where(values < 0.0, -1.0, 1.0)[:, None, :]
    last = np.take_along_axis(sigma, np.maximum(left_used.sum(-1) - 1, 0)[:, None], -1)[:, 0]
    for i in np.flatnonzero(last < GRADED * sigma[:, :1].max(axis=-1, initial=0.0)):
        (used,) = np.nonzero(left_used[i])
        parts = _jacobi_svd(matrices[i][np.ix_(used, used)])
        u[i], sigma[i], v[i] = 0.0, 0.0, 0.0
        u[i, used, : used.size], sigma[i, : used.size], v[i, used, : used.size] = parts
    return u, sigma, v


def _jacobi_svd(matrix):
    """`U, sigma, V` of a real graded square matrix, small singular values right too."""
    # joba=2: accurate for D1 G D2 with a well-conditioned G. jobr=0: drop nothing.
    sigma, u, v, work, _, info = lapack.dgejsv(matrix, joba=2, jobu=0, jobv=0, jobr=0)
    if info != 0:
        u, sigma, vt = np.linalg.svd(matrix)
        return u, sigma, vt.T
    return u, sigma * (work[0] / work[1]), v
