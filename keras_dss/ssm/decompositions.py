"""Decompositions of stacks of matrices that also end where divide and conquer does not converge.

NumPy calls LAPACK's divide and conquer (gesdd, syevd). With some builds and processors it gives up
on a graded matrix now and then; the iteration by QR (gesvd, syev) then finds the same.
"""

import numpy as np
from scipy import linalg


def svd(matrices):
    """`U (..., M, K)`, `sigma (..., K)` descending and `V^H (..., K, N)` of `(..., M, N)`.

    Raises:
        numpy.linalg.LinAlgError: for a matrix that is not finite.
    """

    def by_qr(matrix):
        return linalg.svd(matrix, full_matrices=False, lapack_driver="gesvd")

    return _each(matrices, lambda a: np.linalg.svd(a, full_matrices=False), by_qr)


def eigh(matrices):
    """Ascending eigenvalues `(..., N)` and vectors `(..., N, N)` of Hermitian `(..., N, N)`."""
    return _each(matrices, np.linalg.eigh, lambda matrix: linalg.eigh(matrix, driver="ev"))


def pseudo_inverse(matrices, tolerance):
    """Of Hermitian `(..., N, N)`; eigenvalues below `tolerance` of the largest count as zero."""
    values, vectors = eigh(matrices)
    sizes = np.abs(values)
    counts = sizes > tolerance * sizes.max(axis=-1, keepdims=True, initial=0.0)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=counts)
    return (vectors * inverse[..., None, :]) @ vectors.mT.conj()


def _each(matrices, function, otherwise):
    """`function` of all matrices at once; where it fails, of each, and `otherwise` of the rest."""
    try:
        return function(matrices)
    except np.linalg.LinAlgError:
        if not np.all(np.isfinite(matrices)):
            raise
        if matrices.ndim == 2:
            return otherwise(matrices)
    found = [_each(matrix, function, otherwise) for matrix in matrices]
    return tuple(np.stack(parts) for parts in zip(*found, strict=True))
