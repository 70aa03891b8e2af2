"""Reductions to compare with: modal truncation, and balancing of the complex modes alone."""

import numpy as np

from keras_dss.ssm.balanced import NEGLIGIBLE
from keras_dss.ssm.basis import one_minus_product, one_minus_square
from keras_dss.ssm.decompositions import eigh, svd
from keras_dss.ssm.h2_optimal import refit_residues
from keras_dss.ssm.system import DiagonalSystem, check_rank, check_stable, check_system


def modal_truncation(system, rank, *, score="h2", refit=False):
    r"""Keep the `rank` modes of each feature that count most by themselves.

    Score `"h2"` is the energy of a mode, `sum_l (Re c a^l)^2 = (|c|^2/(1 - |a|^2) +
    Re(c^2/(1 - a^2)))/2`; score `"hinf"` the bound `|c|/(1 - |a|)` of its gain. With `refit`, the
    residues of the modes kept are those that minimise the H2 norm of the error.

    Args:
        system: a stable `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`.
        score: `"h2"` or `"hinf"`.
        refit: whether the residues are fitted anew.

    Returns:
        A `DiagonalSystem` of `rank` modes.

    Raises:
        ValueError: where the rank or the score does not fit.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.1, 0.9], residues=[1.0, 1.0])
    >>> modal_truncation(system, rank=1).poles
    array([0.9+0.j])

    Source: the scores are those of AIRE-Prune (arXiv 2602.00534) and LAST (arXiv 2411.02824).
    """
    rank = check_rank(rank, check_system(system).num_modes)
    check_stable(system, "Modal truncation")
    a, c = system.poles, system.residues
    if score == "h2":
        # (1 - a)(1 + a) keeps its digits where 1 - a^2 loses them.
        scores = np.abs(c) ** 2 / one_minus_square(a) + (c * c / ((1.0 - a) * (1.0 + a))).real
    elif score == "hinf":
        scores = np.abs(c) * (1.0 + np.abs(a)) / one_minus_square(a)
    else:
        raise ValueError(f"`score` must be 'h2' or 'hinf'. Received: score={score!r}")
    reduced = _modes(system, scores, rank)
    return refit_residues(system, reduced.poles) if refit else reduced


def random_truncation(system, rank, *, seed=0):
    """Keep `rank` modes of each feature, drawn at random: the least that a method must beat.

    Args:
        system: a `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`.
        seed: of the draw, an int.

    Returns:
        A `DiagonalSystem` of `rank` modes.
    """
    rank = check_rank(rank, check_system(system).num_modes)
    return _modes(system, np.random.default_rng(seed).random(system.poles.shape), rank)


def _modes(system, scores, rank):
    """The `rank` modes of each feature with the highest scores."""
    chosen = np.argsort(-scores, axis=-1, kind="stable")[..., :rank]
    poles = np.take_along_axis(system.poles, chosen, axis=-1)
    residues = np.take_along_axis(system.residues, chosen, axis=-1)
    return DiagonalSystem(poles, residues, system.feedthrough)


def complex_balanced_truncation(system, rank):
    r"""Balance the N complex modes alone, as if the output were complex.

    For comparison: it ignores that only the real part is seen, so its leading states are not
    those of the real system, and no bound holds for the real output. Modes that a feature does not
    need, below 1e-14 of its largest Hankel value, have pole 0 and residue 0.

    Args:
        system: a stable `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`; `N` returns the system itself.

    Returns:
        A `DiagonalSystem` of `rank` modes.

    Raises:
        ValueError: where the rank does not fit.
        UnstableSystemError: for |a| >= 1.
    """
    rank = check_rank(rank, check_system(system).num_modes)
    check_stable(system, "Balanced truncation")
    if rank == system.num_modes:
        return system
    a, c = system.poles, system.residues
    p = 1.0 / one_minus_product(a)
    q = c.conj()[..., :, None] * p.conj() * c[..., None, :]
    f, m = _factor(p), _factor(q)
    u, sigma, vh = svd(np.swapaxes(m, -1, -2).conj() @ f)
    exists = sigma[..., :rank] > NEGLIGIBLE * sigma[..., :1]
    sigma = sigma[..., :rank]
    root = np.sqrt(np.divide(1.0, sigma, out=np.zeros_like(sigma), where=exists))
    left = (m @ u[..., :rank]) * root[..., None, :]
    right = (f @ np.swapaxes(vh, -1, -2).conj()[..., :rank]) * root[..., None, :]
    left = np.swapaxes(left, -1, -2).conj()  # (..., R, N)
    poles, vectors = np.linalg.eig((left * a[..., None, :]) @ right)
    b = left.sum(axis=-1)
    weight = (c[..., None, :] @ right @ vectors)[..., 0, :]
    residues = weight * np.linalg.solve(vectors, b[..., None])[..., 0]
    return DiagonalSystem(poles, residues, system.feedthrough)


def _factor(gramian):
    values, vectors = eigh(0.5 * (gramian + np.swapaxes(gramian, -1, -2).conj()))
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
