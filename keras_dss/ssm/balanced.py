"""Balanced truncation of the real system, batched over features."""

import dataclasses

import numpy as np

from keras_dss.ssm.hankel import decompose, hankel_factors
from keras_dss.ssm.hinf import hinf_norm
from keras_dss.ssm.modes import leading, modes_of
from keras_dss.ssm.norms import h2_norm
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.system import DiagonalSystem, check_rank, check_system, real_matmul

EPSILON = np.finfo(np.float64).eps
NEGLIGIBLE = 1e-14  # states below this fraction of the largest Hankel value are rounding


@dataclasses.dataclass(frozen=True, eq=False)
class BalancedTruncation:
    """What `balanced_truncation` returns.

    Attributes:
        system: the reduced `DiagonalSystem` of `rank` modes; a feature that needs fewer has
            modes with pole 0 and residue 0.
        hankel_singular_values: of the real system, `(..., 2N)`, descending.
        error_bound: `(...,)` twice the sum of the dropped Hankel values, a bound of the
            H-infinity error, plus an estimate of what rounding the reduced poles to float64
            costs (it counts only where poles all but touch the circle and nearly nothing is
            dropped). It is proven for the exact infinite-horizon Gramians; otherwise it is
            nan, and `hinf_error` says what the error is.
        order: `(...,)` int, real states kept: two for a complex mode, one for a real one.
        condition: `(...,)` largest condition number of an eigenvalue of the reduced state
            matrix; residues lose about this factor in accuracy.
        stable: `(...,)` bool, whether every reduced pole lies inside the unit circle.
        original: the system that was reduced.
    """

    system: DiagonalSystem
    hankel_singular_values: np.ndarray
    error_bound: np.ndarray
    order: np.ndarray
    condition: np.ndarray
    stable: np.ndarray
    original: DiagonalSystem

    @property
    def error_system(self):
        """The original system less the reduced one."""
        return self.original - self.system

    def hinf_error(self, rtol=1e-3):
        """The H-infinity norm of the error, `(...,)`, certified to `rtol`."""
        return hinf_norm(self.error_system, rtol=rtol)

    def h2_error(self):
        """The H2 norm of the error, `(...,)`."""
        return h2_norm(self.error_system)


def balanced_truncation(system, rank, *, horizon=None, controllability=None, stable=True):
    r"""Reduce every feature to at most `rank` modes by balanced truncation.

    What is balanced is the real system, the conjugate-closed set of poles: with factors
    `P = F F^H` and `Q = M M^H` of the Gramians and `M^H F = U S V^T`, the reduced real matrices
    are `S^{-1/2} U^T M^H A F V S^{-1/2}` and so on (the square-root method). They are brought
    back to modes: a conjugate pair of eigenvalues is one mode, a real eigenvalue is one mode.
    Kept is the largest order whose modes fit the rank and are stable.

    With exact infinite-horizon Gramians the reduced system is stable, and its error obeys
    `sigma_{order+1} <= ||G - G_r||_inf <= 2 (sigma_{order+1} + ... + sigma_{2N})`.
    With a measured Gramian of the inputs the reduced system is stable too, because the exact Q
    satisfies the Lyapunov equation of the balanced system, but the bound is nan. Over a finite
    horizon neither is guaranteed: unstable orders are passed over when the given system is stable
    (see `stable`).

    Args:
        system: a `DiagonalSystem` of `N` modes; stable, unless a horizon is given.
        rank: modes to keep, an int with `1 <= rank <= N`; `N` returns the system itself.
        horizon: number of steps that count in both Gramians, or None for all.
        controllability: a Gramian to use in place of the exact one, `(..., 2N, 2N)` Hermitian,
            as `measured_gramian` returns it.
        stable: whether unstable orders of a stable system are passed over; False where only the
            steps of a horizon count.

    Returns:
        A `BalancedTruncation`.

    Raises:
        ValueError: where the rank or the Gramian does not fit.
        UnstableSystemError: for |a| >= 1 without a horizon.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.9, 0.5, 0.1], residues=[1.0, 1.0, 1.0])
    >>> reduced = balanced_truncation(system, rank=2)
    >>> bool(reduced.hinf_error() <= reduced.error_bound)
    True

    Source: Moore (1981); Tombs & Postlethwaite (1987) for the square-root method; Al-Saggaf &
    Franklin (1987) for the bound in discrete time.
    """
    return reduce_balanced(system, rank, horizon, controllability, stable)


def reduce_balanced(
    system, rank, horizon, controllability, stable, realisation=leading, smallest=0.0
):
    """`balanced_truncation`, where `realisation` makes the reduced systems for `modes_of`."""
    rank = check_rank(rank, check_system(system).num_modes)
    if controllability is not None:
        controllability = _check_gramian(controllability, system)
    exact = horizon is None and controllability is None
    n, count = system.num_modes, int(np.prod(system.shape))
    flat = system.poles.reshape(-1, n)
    values = np.zeros((count, 2 * n))
    poles, residues = np.zeros((2, count, rank), complex)
    order, condition = np.zeros(count, int), np.ones((count, rank))
    need_stable = stable & np.all(np.abs(flat) < 1.0, axis=-1)
    factors_of = hankel_factors(system, horizon, controllability)

    def work(part):
        factors = factors_of(part)
        vectors = 2 * (rank if realisation is leading else n)
        outputs, sigma, inputs = decompose(*factors, vectors=vectors if rank < n else 0)
        values[part, : sigma.shape[-1]] = sigma
        if rank < n:
            matrices = _balanced_matrices(flat[part], factors[0], outputs, sigma, inputs)
            highest = (sigma > NEGLIGIBLE * sigma[:, :1]).sum(axis=-1).clip(max=2 * rank)
            found = modes_of(
                realisation(*matrices), 1, highest, rank, need_stable[part], smallest=smallest
            )
            poles[part], order[part], condition[part] = found[0], *found[2:]
            residues[part] = found[1][:, 0]

    map_chunks(work, count)
    if rank == n:
        poles, residues = flat, system.residues.reshape(-1, n)
        order = n + (flat.imag != 0.0).sum(axis=-1)
    dropped = np.arange(2 * n) >= order[:, None]
    bound = 2.0 * (values * dropped).sum(axis=-1) if exact else np.full(count, np.nan)
    if rank < n:
        bound += _rounding(poles, residues, order, condition)
    shape = system.shape
    reduced = DiagonalSystem(
        poles.reshape(*shape, rank), residues.reshape(*shape, rank), system.feedthrough
    )
    return BalancedTruncation(
        system=reduced,
        hankel_singular_values=values.reshape(*shape, 2 * n),
        error_bound=bound.reshape(shape),
        order=order.reshape(shape),
        condition=condition.max(axis=-1).reshape(shape),
        stable=np.all(np.abs(reduced.poles) < 1.0, axis=-1),
        original=system,
    )


def _check_gramian(gramian, system):
    gramian = np.asarray(gramian, dtype=np.complex128)
    n = 2 * system.num_modes
    if gramian.shape != (*system.shape, n, n):
        raise ValueError(
            f"`controllability` must have shape {(*system.shape, n, n)}. "
            f"Received: shape {gramian.shape}"
        )
    gramian = gramian.reshape(-1, n, n)
    half = n // 2

    def faults(part):
        x, y = gramian[part, :half, :half], gramian[part, :half, half:]  # s s^H, s s^T
        x_, y_ = gramian[part, half:, half:], gramian[part, half:, :half]
        tolerance = 1e-8 * np.abs(gramian[part]).max(axis=(-1, -2), initial=0.0)[:, None, None]
        with np.errstate(invalid="ignore"):
            apart = {
                "finite": np.isfinite(tolerance),
                "Hermitian": [
                    np.abs(x - x.mT.conj()) <= tolerance,
                    np.abs(x_ - x_.mT.conj()) <= tolerance,
                    np.abs(y - y_.mT.conj()) <= tolerance,
                ],
                "conjugate": [
                    np.abs(x - x_.conj()) <= tolerance, np.abs(y - y_.conj()) <= tolerance
                ],
            }  # fmt: skip
        return {name for name, tests in apart.items() if not all(map(np.all, tests))}

    found = set().union(*map_chunks(faults, len(gramian)))
    if "finite" in found:
        raise ValueError("`controllability` must be finite. Received: NaN or infinity")
    if "Hermitian" in found:
        raise ValueError("`controllability` must be Hermitian. Received: a matrix that is not")
    if found:
        raise ValueError(
            "`controllability` must be that of the conjugate-closed states [s, conj(s)]. "
            "Received: blocks that are not conjugate to each other"
        )
    return gramian


def _rounding(poles, residues, order, condition):
    """What float64 eigenvalues cost: `sum_n |c_n| d_n/(1 - |a_n|)^2` for poles moved by `d_n`."""
    moved = EPSILON * (8.0 + order)[:, None] * condition
    return (moved * np.abs(residues) / np.maximum(1.0 - np.abs(poles), EPSILON) ** 2).sum(axis=-1)


def _balanced_matrices(poles, residues, outputs, sigma, inputs):
    """Leading `A (B, m, m)`, `B (B, m)`, `C (B, 1, m)` of the balanced real system."""
    sigma = sigma[:, : outputs.shape[1], None]
    root = np.sqrt(np.divide(1.0, sigma, out=np.zeros_like(sigma), where=sigma > 0.0))
    rows = root * outputs * residues[:, None, :]  # (B, m, N)
    columns = (root * inputs).mT  # (B, N, m)
    a = real_matmul(rows * poles[:, None, :], columns)
    return a, rows.sum(axis=-1).real, real_matmul(residues[:, None, :], columns)
