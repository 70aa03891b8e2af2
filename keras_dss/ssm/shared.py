"""Balanced truncation with one set of eigenvalues shared by all features."""

import dataclasses

import numpy as np

from keras_dss.ssm.basis import orthonormal_basis
from keras_dss.ssm.decompositions import svd
from keras_dss.ssm.modes import leading, modes_of
from keras_dss.ssm.system import UnstableSystemError, as_complex, check_rank, real_matmul


@dataclasses.dataclass(frozen=True, eq=False)
class SharedTruncation:
    """What `shared_balanced_truncation` returns.

    Attributes:
        eigenvalues: `(rank,)` complex; a mode that is not needed is -1 with weights 0.
        weights: `(H, rank)` complex.
        hankel_singular_values: `(2N,)`, descending, of the system with H outputs.
        error_bound: twice the sum of the dropped values: a bound of the H-infinity error.
        order: real states kept.
        condition: largest condition number of a reduced eigenvalue.
        stable: whether every reduced eigenvalue has a negative real part.
    """

    eigenvalues: np.ndarray
    weights: np.ndarray
    hankel_singular_values: np.ndarray
    error_bound: float
    order: int
    condition: float
    stable: bool


def shared_balanced_truncation(eigenvalues, weights, rank):
    r"""Reduce a continuous-time system with one input and H real outputs.

        x'_n = lambda_n x_n + u,     y_h = Re sum_n W_hn x_n.

    All outputs keep sharing the reduced eigenvalues, as the features of a DSS layer do; every
    feature then discretises them with its own step. The conjugate-closed system is balanced
    with the Gramians `P_ij = -1/(lambda_i + conj(lambda_j))` and Q, the sum over the outputs.

    Args:
        eigenvalues: `lambda`, complex `(N,)`, negative real parts.
        weights: `W`, complex `(H, N)`.
        rank: modes to keep, an int with `1 <= rank <= N`; `N` returns what was given.

    Returns:
        A `SharedTruncation`; its input weights are 1 again.

    Raises:
        ValueError: where shapes or the rank do not fit, or an entry is not finite.
        UnstableSystemError: for a real part that is not negative.

    >>> import numpy as np
    >>> result = shared_balanced_truncation([-1.0, -1.1, -5.0], np.ones((2, 3)), rank=2)
    >>> result.eigenvalues.shape, result.weights.shape, result.stable
    ((2,), (2, 2), True)
    """
    lam, weights = as_complex("eigenvalues", eigenvalues), as_complex("weights", weights)
    if lam.ndim != 1 or weights.ndim != 2 or weights.shape[1:] != lam.shape or 0 in weights.shape:
        raise ValueError(
            "`eigenvalues` must have shape (N,) and `weights` (H, N). "
            f"Received: shapes {lam.shape} and {weights.shape}"
        )
    rank = check_rank(rank, lam.size)
    if not np.all(lam.real < 0.0):
        raise UnstableSystemError(
            "Balanced truncation in continuous time needs negative real parts. "
            f"Received: real parts up to {lam.real.max():.6g}"
        )
    n = lam.size
    importance = np.linalg.norm(np.where(lam.imag == 0.0, weights.real, weights), axis=0)
    basis, used = orthonormal_basis(lam[None], importance[None], continuous=True)
    basis = basis[0][:, used[0]]  # (N, R)
    outputs = basis.T * weights[:, None, :]  # (H, R, N)
    hankel = real_matmul(outputs, basis).reshape(-1, basis.shape[-1])  # (H R, R)
    u, sigma, vt = svd(hankel)
    values = np.zeros(2 * n)
    values[: sigma.size] = sigma
    if rank == n:
        order, condition, reduced = n + int((lam.imag != 0.0).sum()), 1.0, lam
    else:
        highest = min(2 * rank, int((sigma > 1e-14 * sigma.max(initial=0.0)).sum()))
        root = 1.0 / np.sqrt(sigma[:highest])
        columns = basis @ (vt[:highest].T * root)  # (N, m)
        # The rows of the projection add up over outputs: sum_h W_hn (basis U_h)_nm.
        split = (u[:, :highest] * root).reshape(len(weights), -1, highest)
        rows = np.einsum("hn,nr,hrm->mn", weights, basis, split, optimize=True)
        a, b = real_matmul(rows * lam, columns), rows.sum(axis=-1).real
        c = real_matmul(weights, columns)
        part = leading(a[None], b[None], c[None])
        found = modes_of(part, len(c), np.array([highest]), rank, np.array([True]), True)
        reduced, weights, order, condition = (x[0] for x in found)
        reduced = np.where(reduced == 0.0, -1.0, reduced)
    return SharedTruncation(
        eigenvalues=reduced,
        weights=weights,
        hankel_singular_values=values,
        error_bound=2.0 * float(values[int(order) :].sum()),
        order=int(order),
        condition=float(np.max(condition)),
        stable=bool(np.all(reduced.real < 0.0)),
    )
