"""All singular values and a few singular vectors of small real symmetric graded matrices.

Householder tridiagonalisation gives the eigenvalues to a rounding of the largest one, the
leading eigenvectors follow by inverse iteration. Small values of a graded matrix `D G D` are
determined better than that: they are the large ones of the inverse, to a rounding of which they
come out in the same way; both windows overlap and are compared where they meet. Where the values
are spread too far for two windows, the one-sided Jacobi method behind QR with row and column
pivoting (LAPACK's gejsv) finds all of them to full relative accuracy.
"""

import numpy as np
from scipy.linalg import lapack

from keras_dss.ssm.decompositions import eigh, svd
from keras_dss.ssm.lapack import call

GRADED = 5e-9  # of the largest value: below it, tridiagonalisation is not accurate enough
SPREAD = 1e-14  # of the largest value: below it, two windows do not meet
BLOCK = 16  # columns that LAPACK reduces at a time, the fastest for orders around 128


def symmetric_svd(matrix, vectors):
    """`U^T, sigma, V^T` of a real symmetric graded matrix, `sigma` descending and complete.

    Args:
        matrix: `(R, R)`.
        vectors: how many leading rows of U^T and V^T are wanted.
    """
    size = len(matrix)
    vectors = min(vectors, size)
    if size < 2:
        u, sigma, vt = svd(matrix)
        return u.T[:vectors], sigma, vt[:vectors]
    reduced = _tridiagonal(matrix)
    values = _eigenvalues(reduced)
    if values is None:
        u, sigma, v = _jacobi(matrix, True)
        return u.T[:vectors], sigma, v.T[:vectors]
    if not values.any():
        return np.eye(size)[:vectors], values, np.eye(size)[:vectors]
    order = np.argsort(-np.abs(values))
    sigma = np.abs(values[order])
    if sigma[-1] < GRADED * sigma[0]:
        if vectors and sigma[vectors - 1] < GRADED * sigma[0]:
            u, sigma, v = _jacobi(matrix, True)
            return u.T[:vectors], sigma, v.T[:vectors]
        sigma = _small_values(matrix, sigma)
    if not vectors:
        return matrix[:0], sigma, matrix[:0]
    chosen = np.sort(order[:vectors])  # inverse iteration wants them ascending
    ut = _eigenvectors(reduced, values[chosen])
    if ut is None:
        values, u = eigh(matrix)
        ut = u.T[chosen]
    ut = ut[np.searchsorted(chosen, order[:vectors])]
    return ut, sigma, np.copysign(1.0, values[order[:vectors], None]) * ut


def _tridiagonal(matrix):
    """Householder's `(reflectors, diagonal, beside, tau)`."""
    n = len(matrix)
    reflectors, work = matrix.copy(), np.empty(BLOCK * n)
    diagonal, beside, tau = np.empty((3, n))
    call("dsytrd", "L", n, reflectors, n, diagonal, beside, tau, work, work.size)
    return reflectors, diagonal, beside, tau


def _eigenvalues(reduced):
    """Ascending, or None where they do not converge."""
    values, beside = reduced[1].copy(), reduced[2].copy()
    return None if call("dsterf", len(values), values, beside) else values


def _eigenvectors(reduced, values):
    """Eigenvectors `(M, R)` of ascending eigenvalues, or None where they come too close."""
    reflectors, diagonal, beside, tau = reduced
    n, m = len(diagonal), len(values)
    ut, work, integers = np.empty((m, n)), np.empty(BLOCK * n), np.empty(n + m, np.int32)
    block = np.ones(n, np.int32), np.full(n, n, np.int32)
    arguments = n, diagonal, beside, m, values, *block, ut, n, work, integers[m:], integers
    if call("dstein", *arguments) or np.abs(ut @ ut.T - np.eye(m)).max() > 1e-12:
        return None
    call("dormtr", "L", "L", "N", n, m, reflectors, n, tau, ut, n, work, work.size)
    return ut


def _small_values(matrix, sigma):
    """`sigma` with its small values right."""
    small = int(np.argmax(sigma < GRADED * sigma[0]))
    inverse = _inverse(matrix) if sigma[-1] > SPREAD * sigma[0] else None
    other = None if inverse is None else _eigenvalues(_tridiagonal(inverse))
    if other is not None:
        other = np.sort(1.0 / np.abs(other))[::-1]
        if abs(other[small - 1] - sigma[small - 1]) <= 1e-6 * sigma[small - 1]:
            return np.concatenate([sigma[:small], other[small:]])
    return _jacobi(matrix, False)[1]


def _inverse(matrix):
    """One triangle of the inverse, the one that `_tridiagonal` reads; None where there is none."""
    n = len(matrix)
    inverse, pivots, work = matrix.copy(), np.empty(n, np.int32), np.empty(BLOCK * n)
    if call("dsytrf", "L", n, inverse, n, pivots, work, work.size):
        return None
    call("dsytri", "L", n, inverse, n, pivots, work)
    return inverse


def _jacobi(matrix, vectors):
    # joba=2: accurate for D1 G D2 with a well-conditioned G. jobr=0: drop nothing.
    jobs = {"jobu": 0, "jobv": 0} if vectors else {"jobu": 3, "jobv": 3}
    sigma, u, v, work, _, info = lapack.dgejsv(matrix, joba=2, jobr=0, **jobs)
    if info != 0:
        u, sigma, vt = svd(matrix)
        return u, sigma, vt.T
    return u, sigma * (work[0] / work[1]), v
