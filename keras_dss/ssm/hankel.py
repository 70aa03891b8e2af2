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

from keras_dss.ssm.basis import orthonormal_basis
from keras_dss.ssm.decompositions import eigh, svd
from keras_dss.ssm.gramians import finite_gramian
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.spectrum import symmetric_svd
from keras_dss.ssm.system import (
    check_positive_integer,
    check_stable,
    check_system,
    real_matmul,
    real_times,
)


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
    factors_of = hankel_factors(check_system(system), horizon)
    values = np.zeros((int(np.prod(system.shape)), 2 * system.num_modes))

    def work(part):
        _, sigma, _ = decompose(*factors_of(part), vectors=0)
        values[part, : sigma.shape[-1]] = sigma

    map_chunks(work, len(values))
    return values.reshape(*system.shape, 2 * system.num_modes)


def hankel_factors(system, horizon=None, controllability=None):
    """The function `slice of features -> (residues, left, left_used, right, right_used)`.

    `left` and `right` are the factors of the observability side (without residues) and of the
    controllability side at the poles, `(B, N, R)`; their conjugates belong to conjugate poles.
    """
    poles = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(poles.shape)
    weights = np.abs(np.where(poles.imag == 0.0, residues.real, residues))
    if horizon is None:
        check_stable(system, "Balancing over an infinite horizon")
    else:
        horizon = check_positive_integer("horizon", horizon)

    def factors_of(part):
        if horizon is None:
            left = orthonormal_basis(poles[part], weights[part])
        else:
            left = gramian_factor(finite_gramian(poles[part], horizon), weights[part])
        right = left
        if controllability is not None:
            right = gramian_factor(controllability[part], weights[part])
        return residues[part], *left, *right

    return factors_of


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
    values, vectors = eigh(0.5 * (real + np.swapaxes(real, -1, -2)))
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    used = values > 1e-17 * values[..., :1]
    factor = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    factor = inverse[..., None] * (factor[..., :n, :] + 1j * factor[..., n:, :])
    return factor, used


def decompose(residues, left, left_used, right, right_used, vectors):
    """The singular values of `Re(left^T diag(c) right) = U diag(sigma) V^T`, and some vectors.

    Returns `U^T left^T (B, vectors, N)`, `sigma (B, K)`, `V^T right^T (B, vectors, N)`,
    descending: the vectors as functions at the poles. What does not exist is zero.
    """
    if left is not right:
        hankel = real_matmul(residues[:, None, :] * left.mT, right)  # (B, R, R')
        u, sigma, vt = svd(hankel)
        leading = real_times(u.mT[:, :vectors], left.mT), real_times(vt[:, :vectors], right.mT)
        return leading[0], sigma, leading[1]
    count, modes, size = left.shape
    sigma = np.zeros((count, size))
    outputs, inputs = np.zeros((2, count, min(vectors, size), modes), complex)
    for i, used in enumerate(left_used):
        rows = left[i].T if used.all() else left[i].T[used]  # (r, N)
        hankel = real_matmul(rows * residues[i], rows.T)  # (r, r)
        ut, values, vt = symmetric_svd(hankel, vectors)
        sigma[i, : len(values)] = values
        outputs[i, : len(ut)], inputs[i, : len(vt)] = real_times(ut, rows), real_times(vt, rows)
    return outputs, sigma, inputs
