"""Residues and poles that are optimal in the H2 norm, batched over features."""

import numpy as np

from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.projection import SLOWEST, WeightedH2, log_poles_of
from keras_dss.ssm.system import DiagonalSystem, as_complex, check_stable, check_system

FEATURES = 16  # features that share an iteration
CONVERGED = 1e-3  # relative decrease of the squared error in one step
GIVE_UP = 1e6  # damping at which no step helps any more


def refit_residues(system, poles, *, correlation=None, feedthrough=False):
    r"""The residues at given poles that minimise `||G - G_r||_2`.

    With the autocorrelation of its inputs it is their mean square error at the output, ring-out
    included, that is least. An ordinary least squares problem over all lags, whose inner products
    are closed forms (see `projection`), solved in the least-norm sense where poles coincide.

    Args:
        system: a stable `DiagonalSystem` `(..., N)`.
        poles: `(..., R)`, stable.
        correlation: `r(l) = mean u_k u_{k-l}`, float `(..., L)`, or None for white inputs.
        feedthrough: whether the feedthrough is fitted too, or kept as it is.

    Returns:
        A `DiagonalSystem` `(..., R)`.

    Raises:
        ValueError: where a shape does not fit.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.5, 0.5], residues=[1.0, 2.0])
    >>> refit_residues(system, [0.5]).residues.round(6)
    array([3.+0.j])
    """
    start = _start("Refitting residues", system, poles)
    return _optimal(system, start, correlation, feedthrough, iterations=0)


def h2_optimal(system, start, *, correlation=None, feedthrough=False, iterations=50):
    r"""Poles and residues that minimise `||G - G_r||_2`, from a reduced system to start with.

    Levenberg-Marquardt steps by `log(-Re x)` and `Im x` of the log poles, so that every pole stays
    stable; residues are the best ones at all times. A step is taken for those features whose error
    it decreases, and the start is kept where nothing better is found: the error of no feature
    grows. A minimum that is reached is local.

    Args:
        system: a stable `DiagonalSystem` `(..., N)`.
        start: a stable `DiagonalSystem` `(..., R)`, of balanced truncation say. Its real poles
            move off the real axis, where a mode has twice the order.
        correlation: `r(l) = mean u_k u_{k-l}` of the inputs, float `(..., L)`: the error is then
            the mean square at the output for such inputs, ring-out included. None for white inputs.
        feedthrough: whether the feedthrough is optimised too, or kept as it is.
        iterations: how many steps at most.

    Returns:
        A `DiagonalSystem` `(..., R)`.

    Raises:
        ValueError: where a shape does not fit.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.9, 0.8], residues=[1.0, 1.0])
    >>> start = DiagonalSystem(poles=[0.5], residues=[1.0])
    >>> bool((system - h2_optimal(system, start)).h2_norm() < (system - start).h2_norm())
    True

    Source: Golub & Pereyra (1973) for variable projection; Halevi (1992) for the weighted problem.
    """
    check_stable(check_system(start), "H2-optimal reduction")
    begin = _start("H2-optimal reduction", system, start.poles)
    found = _optimal(system, begin, correlation, feedthrough, iterations)
    before = weighted_h2_norm(system - start, correlation)
    worse = ~(weighted_h2_norm(system - found, correlation) <= before)
    return DiagonalSystem(
        np.where(worse[..., None], start.poles, found.poles),
        np.where(worse[..., None], start.residues, found.residues),
        np.where(worse, start.feedthrough, found.feedthrough),
    )


def weighted_h2_norm(system, correlation=None):
    r"""Root mean square at the output for inputs of an autocorrelation: `||G W||_2`.

    `sqrt(sum_{l,m} K_l K_m r(l - m))`, ring-out included; `keras_dss.ssm.h2_norm` for white inputs.

    Args:
        system: a stable `DiagonalSystem`.
        correlation: `r`, float `(..., L)`, or None for white inputs.

    Returns:
        float64 array `(...,)`.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.6], residues=[0.8])
    >>> float(weighted_h2_norm(system, np.array([4.0])).round(12))
    2.0
    """
    if correlation is None:
        return system.h2_norm()
    check_stable(check_system(system), "The weighted H2 norm")
    correlation = check_correlation(correlation, system)
    through, square = system.feedthrough.reshape(-1), np.zeros(int(np.prod(system.shape)))
    poles = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(poles.shape)

    def work(part):
        problem = WeightedH2(log_poles_of(poles[part]), residues[part], correlation[part])
        square[part] = problem.squared_norm(through[part])

    map_chunks(work, len(poles), FEATURES)
    return np.sqrt(np.maximum(square, 0.0)).reshape(system.shape)


def _start(what, system, poles):
    """The poles to start from as `(H, R)`."""
    check_stable(check_system(system), what)
    poles = as_complex("poles", poles)
    if poles.shape[:-1] != system.shape or not poles.ndim:
        raise ValueError(
            f"Expected poles of shape {system.shape} and a number of modes. "
            f"Received: shape {poles.shape}"
        )
    check_stable(DiagonalSystem(poles, np.zeros_like(poles)), what)
    return poles.reshape(-1, poles.shape[-1])


def check_correlation(correlation, system):
    correlation = np.asarray(correlation, np.float64)
    if correlation.shape[:-1] != system.shape or not np.all(np.isfinite(correlation)):
        raise ValueError(
            f"`correlation` must be finite, of shape {system.shape} and a number of lags. "
            f"Received: shape {correlation.shape}"
        )
    return correlation.reshape(-1, correlation.shape[-1])


def _optimal(system, poles, correlation, feedthrough, iterations):
    if correlation is not None:
        correlation = check_correlation(correlation, system)
    original = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(original.shape)
    through = system.feedthrough.reshape(-1).copy()
    new_poles, new_residues = poles.copy(), np.zeros_like(poles)

    def work(part):
        given = None if correlation is None else correlation[part]
        problem = WeightedH2(log_poles_of(original[part]), residues[part], given, feedthrough)
        x = log_poles_of(poles[part])
        if iterations:
            fit = refine(problem, off_the_axis(x), iterations)
            new_poles[part] = np.exp(fit.log_poles)
        else:
            fit = problem.fit(x)
        new_residues[part] = fit.residues
        through[part] += fit.impulse

    map_chunks(work, len(poles), FEATURES)
    shape = (*system.shape, poles.shape[-1])
    return DiagonalSystem(
        new_poles.reshape(shape), new_residues.reshape(shape), through.reshape(system.shape)
    )


def off_the_axis(x):
    """Log poles with the real ones a little off the real axis, where they can move."""
    real = np.sin(x.imag) == 0.0
    real |= np.abs(x.imag) == np.pi
    return np.where(real, x + 0.1j * np.minimum(-x.real, 0.5), x)


def refine(problem, log_poles, iterations=50):
    r"""Poles that decrease the error of a `WeightedH2`, by Levenberg-Marquardt steps.

    Args:
        problem: a `WeightedH2`.
        log_poles: where to start, complex `(H, R)`, `Re x < 0`.
        iterations: how many steps at most.

    Returns:
        The `Fit` at the last poles.
    """
    fit = problem.fit(log_poles)
    damping, active = np.full(len(log_poles), 1e-2), np.full(len(log_poles), True)
    for _ in range(iterations):
        x, rank = fit.log_poles, log_poles.shape[-1]
        gradient, matrix = fit.derivatives()
        scale = np.concatenate([x.real, np.ones_like(x.real)], axis=-1)  # (H, 2R)
        step = levenberg_marquardt(
            gradient * scale, matrix * scale[:, :, None] * scale[:, None, :], damping
        )
        trial = problem.fit(_moved(x, step[:, :rank], step[:, rank:]))
        better = active & (trial.error < fit.error)
        small = better & (fit.error - trial.error < CONVERGED * np.abs(fit.error))
        fit = fit.merged(trial, better)
        damping = np.where(better, 0.3, 4.0) * damping
        active &= ~small & (damping < GIVE_UP)
        if not active.any():
            break
    return fit


def levenberg_marquardt(gradient, matrix, damping):
    """`-(matrix + damping diag(matrix))^{-1} gradient`, batched."""
    diagonal = np.diagonal(matrix, axis1=-2, axis2=-1)
    diagonal = np.maximum(diagonal, 1e-12 * diagonal.max(axis=-1, keepdims=True).clip(min=0.0))
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros_like(diagonal), where=diagonal > 0.0)
    scaled = matrix * scale[..., :, None] * scale[..., None, :]
    scaled = scaled + damping[..., None, None] * np.eye(scaled.shape[-1])
    return -scale * np.linalg.solve(scaled, (scale * gradient)[..., None])[..., 0]


def _moved(x, relative, turn):
    re = np.minimum(x.real * np.exp(np.clip(relative, -1.0, 1.0)), -SLOWEST)
    return re + 1j * (x.imag + np.clip(turn, -1.0, 1.0))
