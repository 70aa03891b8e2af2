"""H2-optimal reduction and its parts, against definitions over long horizons."""

import numpy as np
import pytest
from scipy.optimize import minimize

from keras_dss.ssm import (
    DiagonalSystem,
    UnstableSystemError,
    balanced_truncation,
    dc_gain,
    h2_norm,
    h2_optimal,
    hankel_singular_values,
    input_sequences,
    modal_truncation,
    output_norm,
    random_truncation,
    refit_residues,
    shared_h2_optimal,
    singular_perturbation,
)
from keras_dss.ssm.projection import OutputError, log_poles_of
from tests.ssm.systems import KINDS, hippo_system, kernel, random_system

LENGTHS = np.array([40, 25, 3])


def walks(features, seed=0):
    """Inputs `(B, L, H)` that end after `LENGTHS`, with anything after that."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal((len(LENGTHS), LENGTHS.max(), features)), axis=1)


def sequences(features, seed=0):
    return input_sequences(walks(features, seed), LENGTHS)


def responses(u, taps):
    """What comes out at all valid steps of `(B, L)`, for taps `(L,)`, over the root of steps."""
    parts = [np.convolve(x[:n], taps)[:n] for x, n in zip(u, LENGTHS, strict=True)]
    return np.concatenate(parts) / np.sqrt(LENGTHS.sum())


def outputs(u, system):
    taps = system.impulse_response(LENGTHS.max())
    return np.array([responses(u[:, :, h], taps[h]) for h in range(len(taps))])


@pytest.mark.parametrize("through", [0.0, 0.7])
def test_norm_is_the_mean_square_at_the_output(through):
    system = random_system(np.random.default_rng(0), "half_real", 4, 5, closest=0.02)
    system = DiagonalSystem(system.poles, system.residues, through)
    expected = np.linalg.norm(outputs(walks(4), system), axis=-1)
    np.testing.assert_allclose(output_norm(system, sequences(4)), expected, rtol=1e-9)
    np.testing.assert_array_equal(output_norm(system), h2_norm(system))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("feedthrough", [False, True])
def test_derivatives_are_those_of_the_error(weighted, feedthrough):
    rng = np.random.default_rng(1)
    system = random_system(rng, "damped", 2, 5)
    inputs = sequences(2) if weighted else None
    problem = OutputError(log_poles_of(system.poles), system.residues, inputs, feedthrough)
    x = log_poles_of(random_system(rng, "damped", 2, 2).poles)
    gradient, matrix = problem.fit(x).derivatives()
    for n in range(2):
        for i, unit in enumerate((1.0, 1j)):
            move = 1e-6 * unit * (np.arange(2) == n)
            ahead, behind = problem.fit(x + move), problem.fit(x - move)
            slope = (ahead.error - behind.error) / 4e-6
            np.testing.assert_allclose(gradient[:, n + 2 * i], slope, rtol=1e-5, atol=1e-7)
    assert np.all(np.linalg.eigvalsh(matrix) > -1e-9 * np.abs(matrix).max())


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_never_grows_and_poles_stay_stable(kind):
    system = random_system(np.random.default_rng(2), kind, 8, 7, closest=1e-3)
    inputs = sequences(8)
    for rank in (1, 3):
        start = balanced_truncation(system, rank).system
        for given in (None, inputs):
            found = h2_optimal(system, start, inputs=given)
            before, after = (output_norm(system - s, given) for s in (start, found))
            assert np.all(after <= before) and found.is_stable
            np.testing.assert_array_equal(found.feedthrough, system.feedthrough)


def test_the_optimum_is_that_of_a_general_optimiser():
    system = random_system(np.random.default_rng(3), "damped", 3, 6)
    start = balanced_truncation(system, 2).system
    found = (system - h2_optimal(system, start, iterations=200)).h2_norm()
    for h in range(3):
        target = kernel(system[h], 400)

        def error(v, target=target):
            poles = np.exp(-np.exp(v[:2]) + 1j * v[2:4])
            taps = ((v[4:6] + 1j * v[6:8])[:, None] * poles[:, None] ** np.arange(400)).real
            return np.linalg.norm(target - taps.sum(axis=0))

        x, c = log_poles_of(start.poles[h]), start.residues[h]
        first = np.concatenate([np.log(-x.real), x.imag, c.real, c.imag])
        best = minimize(error, first + 1e-3, method="BFGS", options={"gtol": 1e-9}).fun
        assert found[h] <= best * 1.01


def test_refit_with_a_feedthrough_is_the_least_squares_solution():
    system = random_system(np.random.default_rng(4), "half_real", 3, 6, closest=0.05)
    u = walks(3)
    poles = modal_truncation(system, 2).poles
    found = refit_residues(system, poles, inputs=sequences(3), feedthrough=True)
    target = outputs(u, system)
    for h in range(3):
        powers = poles[h][:, None] ** np.arange(LENGTHS.max())
        columns = np.concatenate([powers.real, -powers.imag, np.eye(1, LENGTHS.max())])
        columns = np.array([responses(u[:, :, h], column) for column in columns]).T
        best = columns @ np.linalg.lstsq(columns, target[h], rcond=1e-11)[0]
        np.testing.assert_allclose(outputs(u, found)[h], best, atol=1e-6 * np.abs(target[h]).max())


@pytest.mark.parametrize("kind", KINDS)
def test_singular_perturbation_obeys_its_bound_and_keeps_the_dc_gain(kind):
    system = random_system(np.random.default_rng(5), kind, 20, 8, closest=1e-3)
    system = DiagonalSystem(system.poles, system.residues, 0.3)
    for rank in (1, 3, 6):
        found = singular_perturbation(system, rank)
        assert np.all(found.stable) and np.all(found.order <= 2 * rank)
        assert np.all(found.hinf_error(rtol=1e-6) <= found.error_bound * (1.0 + 1e-5))
        gain = dc_gain(system)
        np.testing.assert_allclose(dc_gain(found.system), gain, rtol=1e-9, atol=1e-9)
    shifted = DiagonalSystem(system.poles, system.residues * system.poles)
    np.testing.assert_allclose(
        found.hankel_singular_values, hankel_singular_values(shifted), rtol=1e-6, atol=1e-12
    )
    assert singular_perturbation(system, 8).system is system


def test_singular_perturbation_against_dense_matrices():
    system = random_system(np.random.default_rng(6), "spread", 1, 3, closest=0.05)[0]
    a = np.block([[system.poles.real * np.eye(3), -system.poles.imag * np.eye(3)],
                  [system.poles.imag * np.eye(3), system.poles.real * np.eye(3)]])  # fmt: skip
    b = np.r_[np.ones(3), np.zeros(3)][:, None]
    c = np.r_[system.residues.real, -system.residues.imag][None, :] @ a
    lags = range(800)
    reach = np.hstack([np.linalg.matrix_power(a, k) @ b for k in lags])
    see = np.vstack([c @ np.linalg.matrix_power(a, k) for k in lags])
    u, s, vt = np.linalg.svd(see @ reach)
    t = reach @ vt[:6].T / np.sqrt(s[:6])
    t_inverse = (u[:, :6] / np.sqrt(s[:6])).T @ see
    a, b, c = t_inverse @ a @ t, t_inverse @ b, c @ t
    found = singular_perturbation(system, 2)
    m = int(found.order)
    rest = np.linalg.inv(np.eye(6 - m) - a[m:, m:])
    ar, br = a[:m, :m] + a[:m, m:] @ rest @ a[m:, :m], b[:m] + a[:m, m:] @ rest @ b[m:]
    cr = c[:, :m] + c[:, m:] @ rest @ a[m:, :m]
    first = system.residues.real.sum() + (c[:, m:] @ rest @ b[m:]).item()
    taps = [first] + [(cr @ np.linalg.matrix_power(ar, k) @ br).item() for k in range(30)]
    np.testing.assert_allclose(found.system.impulse_response(31), taps, atol=1e-9)


def test_shared_eigenvalues_are_found_again():
    rng = np.random.default_rng(7)
    eigenvalues = -rng.uniform(0.2, 2.0, 3) + 1j * np.array([0.5, 3.0, 8.0])
    steps = rng.uniform(0.05, 0.2, 20)
    residues = rng.standard_normal((20, 3)) + 1j * rng.standard_normal((20, 3))
    system = DiagonalSystem(np.exp(steps[:, None] * eigenvalues), residues)
    candidates = eigenvalues * np.array([1.3 + 0.1j, 0.9 - 0.1j, 1.1])
    found, reduced = shared_h2_optimal(system, steps, candidates, 3, iterations=200)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(eigenvalues), rtol=0.02)
    assert np.all((system - reduced).h2_norm() < 0.02 * system.h2_norm())
    np.testing.assert_allclose(reduced.poles, np.exp(steps[:, None] * found))


@pytest.mark.parametrize("weighted", [False, True])
def test_shared_eigenvalues_improve_on_those_they_start_from(weighted):
    rng = np.random.default_rng(8)
    system = hippo_system(rng, 20, 12, steps=(1e-2, 1e-1))
    steps, candidates = np.full(20, 0.1), -np.logspace(-1, 1, 12) + 1j * np.linspace(0, 20, 12)
    inputs = sequences(20) if weighted else None
    totals = []
    for iterations in (0, 3, 30):
        _, reduced = shared_h2_optimal(
            system, steps, candidates, 4, inputs=inputs, iterations=iterations
        )
        totals.append(np.sum(output_norm(system - reduced, inputs) ** 2))
    assert totals[2] <= totals[1] < totals[0]


def test_scores_of_modes():
    system = DiagonalSystem([0.5, 0.9, -0.2], [3.0, 1.0, 7.0])
    np.testing.assert_array_equal(modal_truncation(system, 1, score="hinf").poles, [0.9])
    np.testing.assert_array_equal(modal_truncation(system, 1, score="h2").poles, [-0.2])
    drawn = {random_truncation(system, 1, seed=seed).poles[0] for seed in range(30)}
    assert drawn == set(system.poles)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda s: modal_truncation(s, 1, score="l2"), "Received: score='l2'"),
        (lambda s: refit_residues(s, [0.5]), "Received: shape"),
        (lambda s: refit_residues(s, [[0.5]], inputs=np.ones(3)), "input_sequences"),
        (lambda s: shared_h2_optimal(s, [0.1], [-1.0], 2), "at least 2 candidates"),
        (lambda s: shared_h2_optimal(s, [0.1], [1.0], 1), "negative real parts"),
        (lambda s: shared_h2_optimal(s, [0.1, 0.1], [-1.0], 1), "positive steps"),
        (lambda s: singular_perturbation(s, 3), "Received: rank=3"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(DiagonalSystem([[0.1, 0.2]], [[1.0, 1.0]]))


def test_unstable_systems_are_refused():
    stable, unstable = DiagonalSystem([[0.5]], [[1.0]]), DiagonalSystem([[1.0]], [[1.0]])
    for call in (
        lambda: h2_optimal(unstable, stable),
        lambda: h2_optimal(stable, unstable),
        lambda: refit_residues(stable, [[1.0]]),
        lambda: output_norm(unstable, input_sequences(np.ones((1, 2, 1)))),
        lambda: shared_h2_optimal(unstable, [0.1], [-1.0], 1),
        lambda: singular_perturbation(unstable, 1),
    ):
        with pytest.raises(UnstableSystemError):
            call()
