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

GRADED = 5e-9  # of the largest value: below it, tridiagonalisation is not accurate enough
SPREAD = 1e-14  # of the largest value: below it, two windows do not meet


def symmetric_svd(matrix, vectors):
    """`U, sigma, V` of a real symmetric graded matrix, `sigma` descending and complete.

    Args:
        matrix: `(R, R)`.
        vectors: how many leading columns of U and V are wanted.
    """
    size = len(matrix)
    vectors = min(vectors, size)
    if size < 2 or not matrix.any():
        u, sigma, vt = np.linalg.svd(matrix)
        return u[:, :vectors], sigma, vt[:vectors].T
    reflectors, diagonal, beside, tau = _tridiagonal(matrix)
    values = _eigenvalues(diagonal, beside)
    order = np.argsort(-np.abs(values))
    sigma = np.abs(values[order])
    if sigma[-1] < GRADED * sigma[0]:
        if vectors and sigma[vectors - 1] < GRADED * sigma[0]:
            u, sigma, v = _jacobi(matrix, True)
            return u[:, :vectors], sigma, v[:, :vectors]
        sigma = _small_values(matrix, sigma)
    if not vectors:
        return matrix[:, :0], sigma, matrix[:, :0]
    chosen = np.sort(order[:vectors])  # inverse iteration wants them ascending
    block = np.ones(size, np.int32)
    u, failed = lapack.dstein(diagonal, beside, values[chosen], block, size * block)
    if failed or np.abs(u.T @ u - np.eye(vectors)).max() > 1e-12:
        values, u = np.linalg.eigh(matrix)
        u = u[:, chosen]
    else:
        u[1:] = lapack.dormqr("L", "N", reflectors[1:, :-1], tau, u[1:], 32 * size)[0]
    first = np.argsort(-np.abs(values[chosen]))
    u, negative = u[:, first], values[chosen][first] < 0.0
    return u, sigma, np.where(negative, -u, u)


def _tridiagonal(matrix):
    return lapack.dsytrd(matrix, lower=1, lwork=32 * len(matrix))[:4]


def _eigenvalues(diagonal, beside):
    values, failed = lapack.dsterf(diagonal, beside)
    if failed:
        raise np.linalg.LinAlgError("Eigenvalues of a tridiagonal matrix did not converge")
    return values


def _small_values(matrix, sigma):
    """`sigma` with its small values right."""
    small = int(np.argmax(sigma < GRADED * sigma[0]))
    if sigma[-1] > SPREAD * sigma[0]:
        inverse = np.linalg.inv(matrix)
        _, diagonal, beside, _ = _tridiagonal(0.5 * (inverse + inverse.T))
        other = np.sort(1.0 / np.abs(_eigenvalues(diagonal, beside)))[::-1]
        if abs(other[small - 1] - sigma[small - 1]) <= 1e-6 * sigma[small - 1]:
            return np.concatenate([sigma[:small], other[small:]])
    return _jacobi(matrix, False)[1]


def _jacobi(matrix, vectors):
    # joba=2: accurate for D1 G D2 with a well-conditioned G. jobr=0: drop nothing.
    jobs = {"jobu": 0, "jobv": 0} if vectors else {"jobu": 3, "jobv": 3}
    sigma, u, v, work, _, info = lapack.dgejsv(matrix, joba=2, jobr=0, **jobs)
    if info != 0:
        u, sigma, vt = np.linalg.svd(matrix)
        return u, sigma, vt.T
    return u, sigma * (work[0] / work[1]), v
