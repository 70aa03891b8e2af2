"""Reductions to compare with: modal truncation, and balancing of the complex modes alone."""

import numpy as np

from keras_dss.ssm.basis import one_minus_product, one_minus_square
from keras_dss.ssm.system import DiagonalSystem, check_rank, check_stable, check_system


def modal_truncation(system, rank, *, refit=False):
    r"""Keep the `rank` modes of each feature with the largest H2 energy.

    The energy of one mode is `sum_l (Re c a^l)^2 = (|c|^2/(1 - |a|^2) + Re(c^2/(1 - a^2)))/2`.
    With `refit`, the residues of the modes kept are those that minimise the H2 norm of the
    error: the normal equations are Gramians in closed form.

    Args:
        system: a stable `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`.
        refit: whether the residues are fitted anew.

    Returns:
        A `DiagonalSystem` of `rank` modes.

    Raises:
        ValueError: where the rank does not fit.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.1, 0.9], residues=[1.0, 1.0])
    >>> modal_truncation(system, rank=1).poles
    array([0.9+0.j])
    """
    rank = check_rank(rank, check_system(system).num_modes)
    check_stable(system, "Modal truncation by H2 energy")
    a, c = system.poles, system.residues
    # (1 - a)(1 + a) keeps its digits where 1 - a^2 loses them.
    energy = np.abs(c) ** 2 / one_minus_square(a) + (c * c / ((1.0 - a) * (1.0 + a))).real
    chosen = np.argsort(-energy, axis=-1, kind="stable")[..., :rank]
    poles = np.take_along_axis(a, chosen, axis=-1)
    residues = np.take_along_axis(c, chosen, axis=-1)
    reduced = DiagonalSystem(poles, residues, system.feedthrough)
    return refit_residues(system, poles) if refit else reduced


def refit_residues(system, poles):
    r"""The residues at given poles that minimise `||G - G_r||_2`, as a `DiagonalSystem`.

    With real unknowns `c = p + iq`, `Re(c a^l) = p Re(a^l) - q Im(a^l)`: an ordinary least
    squares problem over all lags, whose inner products are `sum_l a_i^l conj(a_j)^l =
    1/(1 - a_i conj(a_j))` and the like. It is solved in the least-norm sense where poles are
    real or coincide.

    Args:
        system: a stable `DiagonalSystem` `(..., N)`.
        poles: `(..., R)`, stable.
    """
    check_stable(check_system(system), "Refitting residues")
    reduced = DiagonalSystem(poles, np.zeros_like(poles), system.feedthrough)
    check_stable(reduced, "Refitting residues")
    rank = reduced.num_modes
    every = np.concatenate([reduced.poles, system.poles], axis=-1)  # (..., R + N)
    every = np.concatenate([every, every.conj()], axis=-1)
    total = every.shape[-1] // 2
    gram = 1.0 / one_minus_product(every)
    direct = gram[..., :rank, :total]  # sum_l a_i^l conj(a_j)^l
    mirror = gram[..., :rank, total:]  # sum_l a_i^l a_j^l
    # Inner products of Re a_i^l and -Im a_i^l with Re a_j^l and -Im a_j^l.
    matrix = 0.5 * np.concatenate(
        [
            np.concatenate([(direct + mirror).real, (direct - mirror).imag], axis=-1),
            np.concatenate([-(direct + mirror).imag, (direct - mirror).real], axis=-1),
        ],
        axis=-2,
    )  # (..., 2R, 2(R + N))
    keep = np.r_[0:rank, total : total + rank]
    given = np.r_[rank:total, total + rank : 2 * total]
    c = np.concatenate([system.residues.real, system.residues.imag], axis=-1)
    normal, right = matrix[..., keep], (matrix[..., given] @ c[..., None])[..., 0]
    scale = np.sqrt(np.diagonal(normal, axis1=-2, axis2=-1))
    scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
    normal = normal * scale[..., :, None] * scale[..., None, :]
    inverse = np.linalg.pinv(normal, rcond=1e-14, hermitian=True)
    solved = scale * (inverse @ (scale * right)[..., None])[..., 0]  # (..., 2R)
    return DiagonalSystem(
        reduced.poles, solved[..., :rank] + 1j * solved[..., rank:], system.feedthrough
    )


def complex_balanced_truncation(system, rank):
    r"""Balance the N complex modes alone, as if the output were complex.

    For comparison: it ignores that only the real part is seen, so its leading states are not
    those of the real system, and no bound holds for the real output.

    Args:
        system: a stable `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`.

    Returns:
        A `DiagonalSystem` of `rank` modes.
    """
    rank = check_rank(rank, check_system(system).num_modes)
    check_stable(system, "Balanced truncation")
    a, c = system.poles, system.residues
    p = 1.0 / one_minus_product(a)
    q = c.conj()[..., :, None] * p.conj() * c[..., None, :]
    f, m = _factor(p), _factor(q)
    u, sigma, vh = np.linalg.svd(np.swapaxes(m, -1, -2).conj() @ f)
    sigma = sigma[..., :rank]
    root = np.sqrt(np.divide(1.0, sigma, out=np.zeros_like(sigma), where=sigma > 0.0))
    left = (m @ u[..., :rank]) * root[..., None, :]
    right = (f @ np.swapaxes(vh, -1, -2).conj()[..., :rank]) * root[..., None, :]
    left = np.swapaxes(left, -1, -2).conj()  # (..., R, N)
    poles, vectors = np.linalg.eig((left * a[..., None, :]) @ right)
    b = left.sum(axis=-1)
    weight = (c[..., None, :] @ right @ vectors)[..., 0, :]
    residues = weight * np.linalg.solve(vectors, b[..., None])[..., 0]
    return DiagonalSystem(poles, residues, system.feedthrough)


def _factor(gramian):
    values, vectors = np.linalg.eigh(0.5 * (gramian + np.swapaxes(gramian, -1, -2).conj()))
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
