r"""H2-optimal reduction with one set of eigenvalues for all features, each with its own step.

Feature h discretises the shared eigenvalues with its own step, `x = dt_h lambda`, as a DSS layer
does. The eigenvalues are picked one by one from candidates, each the one that takes most off the
squared error of all features together (orthogonal matching pursuit), and then moved together.
"""

import numpy as np

from keras_dss.ssm.decompositions import pseudo_inverse
from keras_dss.ssm.h2_optimal import (
    CONVERGED,
    GIVE_UP,
    NOISE,
    check_sequences,
    features_at_a_time,
    levenberg_marquardt,
)
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.projection import SLOWEST, OutputError, log_poles_of, unit_scale
from keras_dss.ssm.system import (
    DiagonalSystem,
    as_complex,
    check_positive_integer,
    check_stable,
    check_system,
)

SAME = 1e-8  # of a candidate's norm: what is left of one that those picked explain already


def shared_h2_optimal(system, steps, candidates, rank, *, inputs=None, iterations=40):
    r"""Eigenvalues shared by all features that minimise `sum_h ||G_h - G_{r,h}||_2^2`.

    Args:
        system: a stable `DiagonalSystem` `(H, N)`.
        steps: `dt`, float `(H,)`, positive.
        candidates: complex `(M,)`, negative real parts, `M >= rank`: eigenvalues to start from.
        rank: how many eigenvalues.
        inputs: `InputSequences` `(H,)`, as for `h2_optimal`.
        iterations: Levenberg-Marquardt steps at most; none of them increases the error.

    Returns:
        `(eigenvalues, system)`: complex `(rank,)`, and the reduced `DiagonalSystem` `(H, rank)`.

    Raises:
        ValueError: where shapes do not fit, or candidates are too few or not stable.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> steps, eigenvalues = np.array([0.1, 0.2]), np.array([-1.0 + 2.0j, -3.0])
    >>> system = DiagonalSystem(np.exp(steps[:, None] * eigenvalues), np.ones((2, 2)))
    >>> found, reduced = shared_h2_optimal(system, steps, eigenvalues, rank=1)
    >>> bool(np.allclose(reduced.poles, np.exp(steps[:, None] * found)))
    True
    """
    check_stable(check_system(system), "H2-optimal reduction")
    steps, candidates = np.asarray(steps, np.float64), as_complex("candidates", candidates)
    if len(system.shape) != 1 or steps.shape != system.shape or not np.all(steps > 0.0):
        raise ValueError(
            "Expected a system of shape (H, N) and positive steps (H,). "
            f"Received: shapes {system.poles.shape} and {steps.shape}"
        )
    rank = check_positive_integer("rank", rank)
    if candidates.ndim != 1 or len(candidates) < rank or not np.all(candidates.real < 0.0):
        raise ValueError(
            f"Expected at least {rank} candidates with negative real parts. "
            f"Received: {len(candidates)}, real parts up to {candidates.real.max(initial=-1.0):.3g}"
        )
    inputs = check_sequences(inputs, system)
    every = _Features(system, steps, inputs)
    eigenvalues, fits = _moved(every, _pursuit(every, candidates, rank), iterations)
    poles = np.concatenate([np.exp(fit.log_poles) for fit in fits])
    residues = np.concatenate([fit.residues for fit in fits])
    return eigenvalues, DiagonalSystem(poles, residues, system.feedthrough)


class _Features:
    """The problems of all features, some at a time."""

    def __init__(self, system, steps, inputs):
        def problem(part):
            given = None if inputs is None else inputs[part]
            target = log_poles_of(system.poles[part]), system.residues[part]
            found = OutputError(*target, given, noise=NOISE)
            return found, steps[part, None]

        self.parts = map_chunks(problem, len(steps), features_at_a_time(inputs))

    def each(self, function, *others):
        """`[function(problem, steps, other...), ...]` over all parts."""
        rows = list(zip(*zip(*self.parts, strict=True), *others, strict=True))
        return map_chunks(lambda i: function(*rows[i.start]), len(rows), 1)

    def fits(self, eigenvalues):
        """A `Fit` for each part."""
        return self.each(lambda problem, steps: problem.fit(_log_poles(steps, eigenvalues)))


def _log_poles(steps, eigenvalues):
    x = steps * eigenvalues
    return np.minimum(x.real, -SLOWEST) + 1j * x.imag


def _total(fits):
    return sum(fit.error.sum() for fit in fits)


def _moved(every, eigenvalues, iterations):
    """Levenberg-Marquardt steps by `log(-Re lambda)` and `Im lambda`: `(eigenvalues, fits)`."""
    fits, damping = every.fits(eigenvalues), np.array(1e-2)

    def normal(problem, steps, fit):
        gradient, matrix = fit.derivatives()
        scale = np.concatenate([fit.log_poles.real, steps + 0.0 * fit.log_poles.real], axis=-1)
        matrix = np.einsum("hi,hij,hj->ij", scale, matrix, scale, optimize=True)
        return (scale * gradient).sum(axis=0), matrix

    for _ in range(iterations):
        gradient, matrix = (sum(parts) for parts in zip(*every.each(normal, fits), strict=True))
        relative, turn = np.split(levenberg_marquardt(gradient, matrix, damping), 2)
        shrink = min(1.0, 1.0 / np.abs(relative).max())
        moved = eigenvalues.real * np.exp(shrink * relative)
        moved = moved + 1j * (eigenvalues.imag + shrink * turn)
        trial = every.fits(moved)
        before, after = _total(fits), _total(trial)
        damping = damping * (0.3 if after < before else 4.0)
        if after < before:
            eigenvalues, fits = moved, trial
        if damping > GIVE_UP or 0.0 < before - after < CONVERGED * before:
            break
    return eigenvalues, fits


def _pursuit(every, candidates, rank):
    """The candidates that explain most, picked one after the other."""
    count = len(candidates)
    each = np.arange(count)

    def start(problem, steps):
        gram, right = problem.products(_log_poles(steps, candidates))
        scale = unit_scale(gram)
        return gram * scale[:, :, None] * scale[:, None, :], right * scale

    def gains(problem, steps, state):
        """What each candidate takes off the squared error, summed over the features."""
        gram, right = state
        a, d = gram[:, each, each], gram[:, each + count, each + count]
        b = gram[:, each, each + count]
        u, v = right[:, :count], right[:, count:]
        determinant = a * d - b * b
        whole, real = determinant > SAME, a > SAME
        both = (d * u * u - 2.0 * b * u * v + a * v * v) / np.where(whole, determinant, 1.0)
        return np.where(whole, both, real * u * u / np.where(real, a, 1.0)).sum(axis=0)

    def without(state, k):
        """What is left of everything beside candidate k."""
        gram, right = state
        pair = np.array([k, k + count])
        columns = gram[:, :, pair]
        ratio = columns @ pseudo_inverse(columns[:, pair], SAME)
        return gram - ratio @ columns.mT, right - (ratio @ right[:, pair, None])[..., 0]

    states, chosen = every.each(start), []
    for _ in range(rank):
        gain = sum(every.each(gains, states))
        gain[chosen] = -np.inf
        k = int(gain.argmax())
        chosen.append(k)
        states = every.each(lambda problem, steps, state, k=k: without(state, k), states)
    return candidates[chosen]
