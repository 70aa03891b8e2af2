r"""Kernels of finitely many lags, whose modes may grow.

Over L lags a growing mode, |a| > 1, is a decaying one seen backwards from the last lag:

    c a^l = (c a^{L-1}) (1/a)^{L-1-l}

So a kernel is that of a stable system plus the reversed one of another stable system, and both are
reduced as such. The Gramians of the growing modes themselves weigh the lags after L most.
"""

import dataclasses

import numpy as np

from keras_dss.ssm.balanced import balanced_truncation, reduce_balanced
from keras_dss.ssm.hankel import hankel_singular_values
from keras_dss.ssm.system import (
    DiagonalSystem,
    check_positive_integer,
    check_rank,
    check_system,
)

LARGEST = 650.0  # of log |a|^L: what float64 can hold


def finite_kernel(system, length):
    """The impulse response over `length` lags, however fast its modes grow.

    Args:
        system: a `DiagonalSystem`. length: number of lags L.

    Returns:
        float64 array `(..., L)`, the feedthrough included.

    >>> finite_kernel(DiagonalSystem([2.0], [1.0]), 4)
    array([1., 2., 4., 8.])
    """
    forward, backward = split(check_system(system), check_positive_integer("length", length))
    return forward.impulse_response(length) + backward.impulse_response(length)[..., ::-1]


def split(system, length):
    """Two stable systems of as many modes: the decaying modes, and the growing ones reversed.

    The modes of the other one have pole 0 and residue 0. The first has the feedthrough.
    """
    poles, residues = system.poles, system.residues
    grows = np.abs(poles) > 1.0
    forward = DiagonalSystem(
        np.where(grows, 0.0, poles), np.where(grows, 0.0, residues), system.feedthrough
    )
    counts = grows & (residues != 0.0)
    outside, weights = np.where(counts, poles, 1.0), np.where(counts, residues, 1.0)
    last = np.exp(np.log(weights) + (length - 1) * np.log(outside))  # nothing overflows before
    return forward, DiagonalSystem(
        np.where(counts, 1.0 / outside, 0.0), np.where(counts, last, 0.0)
    )


def finite_hankel_values(system, length):
    """Hankel singular values of both systems of `split` over `length` lags, `(..., 2N)`."""
    values = [hankel_singular_values(half, length) for half in split(system, length)]
    return -np.sort(-np.concatenate(values, axis=-1), axis=-1)[..., : 2 * system.num_modes]


def finite_balanced_truncation(system, rank, length, *, horizon=None, controllability=None):
    r"""Balanced truncation of kernels of finitely many lags.

    A feature of decaying modes is reduced by `balanced_truncation` over the horizon. If modes grow,
    its decaying modes and its growing ones, reversed in time, are reduced each by itself, and share
    the rank so that `||K - K_r||_2` over the lags is least; this, what `balanced_truncation` makes
    of all modes together, and no modes at all are compared. The same is done where a kernel of
    decaying modes would be nearer to zero than to its reduction: the error never exceeds `||K||_2`.

    Args:
        system: a `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`; `N` returns the system itself.
        length: number of lags L of the kernel.
        horizon: number of steps that count in the Gramians, L by default.
        controllability: as `balanced_truncation` takes it; for all modes together.

    Returns:
        A `BalancedTruncation`. The Hankel values of a feature with growing modes are those of both
        its parts.

    Raises:
        ValueError: where the rank, the length or the Gramian does not fit.

    >>> system = DiagonalSystem(poles=[0.9, 0.5, 1.1], residues=[1.0, 0.5, 1e-4])
    >>> found = finite_balanced_truncation(system, rank=2, length=100)
    >>> error = finite_kernel(found.error_system, 100)
    >>> bool(np.linalg.norm(error) < 0.2 * np.linalg.norm(finite_kernel(system, 100)))
    True
    """
    rank = check_rank(rank, check_system(system).num_modes)
    length = check_positive_integer("length", length)
    horizon = length if horizon is None else horizon
    grows = np.any(np.abs(system.poles) > 1.0, axis=-1)
    options = {"horizon": horizon, "controllability": controllability, "stable": False}
    try:
        found = balanced_truncation(system, rank, **options)
    except OverflowError:  # of the Gramians of growing modes
        poles, residues = np.where(grows[..., None], 0.0, [system.poles, system.residues])
        decaying = DiagonalSystem(poles, residues, system.feedthrough)
        found = balanced_truncation(decaying, rank, **options)
    values = np.array(found.hankel_singular_values)
    if grows.any():
        values[grows] = finite_hankel_values(system[grows], length)
    found = dataclasses.replace(found, original=system, hankel_singular_values=values)
    if rank == system.num_modes:
        return dataclasses.replace(found, system=system)
    kernel = finite_kernel(system - _through(system), length)
    error = _norm(kernel - _response(found.system - _through(system), length))
    chosen = np.asarray(grows | (error > _norm(kernel)))
    if not chosen.any():
        return found
    apart = _reduced_apart(system[chosen], kernel[chosen], rank, horizon)
    nearer = apart["error"] < error[chosen]
    taken = np.array(chosen)
    taken[chosen] = nearer

    def joined(name, values):
        values = np.array(values)
        values[taken] = apart[name][nearer]
        return values

    reduced = DiagonalSystem(
        joined("poles", found.system.poles),
        joined("residues", found.system.residues),
        system.feedthrough,
    )
    return dataclasses.replace(
        found,
        system=reduced,
        order=joined("order", found.order),
        condition=joined("condition", found.condition),
        stable=np.all(np.abs(reduced.poles) < 1.0, axis=-1),
    )


def _reduced_apart(system, kernel, rank, horizon):
    """The best of no modes and of `rank` modes shared by both parts, arrays of systems (B, N)."""
    count, length = kernel.shape
    best = {
        "poles": np.zeros((count, rank), complex),
        "residues": np.zeros((count, rank), complex),
        "order": np.zeros(count, int),
        "condition": np.ones(count),
        "error": _norm(kernel),
    }
    decaying, growing = split(system - _through(system), length)
    fastest = np.exp(-LARGEST / length)  # decay of a reversed mode that grows within range
    for first in range(rank + 1):
        parts = []
        if first:
            parts.append(reduce_balanced(decaying, first, horizon, None, True))
        if first < rank:
            found = reduce_balanced(growing, rank - first, length, None, True, smallest=fastest)
            parts.append(dataclasses.replace(found, system=_reversed(found.system, length)))
        poles, residues = (
            np.concatenate([getattr(part.system, name) for part in parts], axis=-1)
            for name in ("poles", "residues")
        )
        error = _norm(kernel - _response(DiagonalSystem(poles, residues), length))
        trial = {
            "poles": poles,
            "residues": residues,
            "order": sum(part.order for part in parts),
            "condition": np.max([part.condition for part in parts], axis=0),
            "error": error,
        }
        nearer = error < best["error"]
        for name, values in trial.items():
            best[name][nearer] = values[nearer]
    return best


def _reversed(system, length):
    """Decaying modes seen backwards from the last lag; those of pole 0 are not there."""
    exists = system.poles != 0.0
    inside = np.where(exists, system.poles, 1.0)
    first = np.exp((length - 1) * np.log(inside))
    return DiagonalSystem(
        np.where(exists, 1.0 / inside, 0.0), np.where(exists, first * system.residues, 0.0)
    )


def _through(system):
    """The feedthrough of a system alone."""
    zero = np.zeros((*system.shape, 1))
    return DiagonalSystem(zero, zero, system.feedthrough)


def _response(system, length):
    """The impulse response; infinite where it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(system.impulse_response(length), nan=np.inf)


def _norm(kernel):
    with np.errstate(over="ignore"):
        return np.sqrt(np.sum(np.square(kernel), axis=-1))
