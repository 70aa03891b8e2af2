"""Residues and poles that are optimal in the H2 norm or on given inputs, batched over features."""

import numpy as np

from keras_dss.ssm.inputs import InputSequences
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.projection import SLOWEST, OutputError, log_poles_of
from keras_dss.ssm.system import DiagonalSystem, as_complex, check_stable, check_system

FEATURES = 16  # features that share an iteration
CONVERGED = 1e-4  # relative decrease of the squared error in one step
NOISE = 1e-3  # of each mode, as half precision makes it: modes that cancel are no better than that
NUMBERS = 2**21  # of inputs that are held in float64
GIVE_UP = 1e6  # damping at which no step helps any more


def refit_residues(system, poles, *, inputs=None, feedthrough=False):
    r"""The residues at given poles that minimise `||G - G_r||_2`.

    With inputs it is the mean square error at the output for them that is least. An ordinary least
    squares problem, whose inner products are closed forms (see `projection`), solved in the
    least-norm sense where poles coincide.

    Args:
        system: a stable `DiagonalSystem` `(..., N)`.
        poles: `(..., R)`, stable.
        inputs: `InputSequences` `(...,)`, or None for white inputs that never end.
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
    return _optimal(system, start, inputs, feedthrough, iterations=0)


def h2_optimal(system, start, *, inputs=None, feedthrough=False, iterations=200):
    r"""Poles and residues that minimise `||G - G_r||_2`, from a reduced system to start with.

    With inputs it is the mean square error at the output for them. Levenberg-Marquardt steps by
    `log(-Re x)` and `Im x` of the log poles, so that every pole stays stable; residues are the best
    ones at all times, where each mode is charged for a noise of a thousandth of it: no modes that
    all but cancel each other. A step is taken for those features whose error it decreases, and the
    start is kept where nothing better is found: the error of no feature grows. A minimum that is
    reached is local.

    Args:
        system: a stable `DiagonalSystem` `(..., N)`.
        start: a stable `DiagonalSystem` `(..., R)`, of balanced truncation say. Its real poles
            move off the real axis, where a mode has twice the order.
        inputs: `InputSequences` `(...,)`, or None for white inputs that never end.
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

    Source: Golub & Pereyra (1973) for variable projection; Halevi (1992) for weighted H2 reduction.
    """
    check_stable(check_system(start), "H2-optimal reduction")
    begin = _start("H2-optimal reduction", system, start.poles)
    found = _optimal(system, begin, inputs, feedthrough, iterations)
    before = output_norm(system - start, inputs)
    worse = ~(output_norm(system - found, inputs) <= before)
    return DiagonalSystem(
        np.where(worse[..., None], start.poles, found.poles),
        np.where(worse[..., None], start.residues, found.residues),
        np.where(worse, start.feedthrough, found.feedthrough),
    )


def output_norm(system, inputs=None):
    """Root mean square at the output of systems over all valid steps of their inputs.

    Args:
        system: a stable `DiagonalSystem`.
        inputs: `InputSequences` `(...,)`, or None for white inputs of unit variance that never end:
            `keras_dss.ssm.h2_norm`.

    Returns:
        float64 array `(...,)`.

    Raises:
        ValueError: for inputs of another shape.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem, input_sequences
    >>> system = DiagonalSystem(poles=[[0.5]], residues=[[1.0]])
    >>> output_norm(system, input_sequences(np.array([[[2.0], [1.0]]])))  # outputs 2 and 2
    array([2.])
    """
    if inputs is None:
        return system.h2_norm()
    check_stable(check_system(system), "The mean square at the output")
    inputs = check_sequences(inputs, system)
    through, square = system.feedthrough.reshape(-1), np.zeros(int(np.prod(system.shape)))
    poles = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(poles.shape)

    def work(part):
        problem = OutputError(log_poles_of(poles[part]), residues[part], inputs[part])
        square[part] = problem.squared_norm(through[part])

    map_chunks(work, len(poles), features_at_a_time(inputs))
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


def check_sequences(inputs, system):
    """Sequences for each system of `(H,)`, None for white inputs."""
    if inputs is None:
        return None
    if not isinstance(inputs, InputSequences) or inputs.shape != system.shape:
        shape = inputs.shape if isinstance(inputs, InputSequences) else type(inputs).__name__
        raise ValueError(
            f"`inputs` must be InputSequences of shape {system.shape}, see "
            f"keras_dss.ssm.input_sequences. Received: {shape}"
        )
    return inputs.reshape(-1)


def features_at_a_time(inputs):
    """How many features share an iteration: fewer with many sequences."""
    if inputs is None:
        return FEATURES
    return int(np.clip(NUMBERS // np.prod(inputs.reverse.shape[-2:]), 1, FEATURES))


def _optimal(system, poles, inputs, feedthrough, iterations):
    inputs = check_sequences(inputs, system)
    original = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(original.shape)
    through = system.feedthrough.reshape(-1).copy()
    new_poles, new_residues = poles.copy(), np.zeros_like(poles)

    def work(part):
        given = None if inputs is None else inputs[part]
        noise = NOISE if iterations else 0.0
        target = log_poles_of(original[part]), residues[part]
        problem = OutputError(*target, given, feedthrough, noise)
        x = log_poles_of(poles[part])
        if iterations:
            moved, residue, impulse = refine(problem, off_the_axis(x), iterations)
            new_poles[part] = np.exp(moved)
        else:
            fit = problem.fit(x)
            residue, impulse = fit.residues, fit.impulse
        new_residues[part] = residue
        through[part] += impulse

    map_chunks(work, len(poles), features_at_a_time(inputs))
    shape = (*system.shape, poles.shape[-1])
    return DiagonalSystem(
        new_poles.reshape(shape), new_residues.reshape(shape), through.reshape(system.shape)
    )


def off_the_axis(x):
    """Log poles with the real ones a little off the real axis, where they can move."""
    real = np.sin(x.imag) == 0.0
    real |= np.abs(x.imag) == np.pi
    return np.where(real, x + 0.1j * np.minimum(-x.real, 0.5), x)


def refine(problem, log_poles, iterations):
    r"""Poles that decrease the error of an `OutputError`, by Levenberg-Marquardt steps.

    Args:
        problem: an `OutputError`.
        log_poles: where to start, complex `(H, R)`, `Re x < 0`.
        iterations: how many steps at most.

    Returns:
        `(log_poles, residues, impulse)` of the fit at the last poles: `(H, R)`, `(H, R)`, `(H,)`.
    """
    fit, rank = problem.fit(log_poles), log_poles.shape[-1]
    found = fit.log_poles.copy(), fit.residues.copy(), fit.impulse.copy()
    features = np.arange(len(log_poles))  # those that still move
    damping, active = np.full(len(features), 1e-2), np.full(len(features), True)
    for _ in range(iterations):
        x = fit.log_poles
        gradient, matrix = fit.derivatives()
        scale = np.concatenate([x.real, np.ones_like(x.real)], axis=-1)  # (H, 2R)
        step = levenberg_marquardt(
            gradient * scale, matrix * scale[:, :, None] * scale[:, None, :], damping
        )
        trial = problem.fit(_moved(x, step[:, :rank], step[:, rank:]))
        better = active & (trial.error < fit.error)
        small = better & (fit.error - trial.error < CONVERGED * np.abs(fit.error))
        fit = fit.merged(trial, better)
        for kept, now in zip(found, (fit.log_poles, fit.residues, fit.impulse), strict=True):
            kept[features] = now
        damping = np.where(better, 0.3, 4.0) * damping
        active &= ~small & (damping < GIVE_UP)
        if not active.any():
            break
        if 2 * active.sum() <= len(active):
            problem, fit, features = problem[active], fit[active], features[active]
            damping, active = damping[active], active[active]
    return found


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
