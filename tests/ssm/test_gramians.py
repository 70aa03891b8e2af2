import numpy as np
import pytest

from keras_dss.ssm import (
    DiagonalSystem,
    GramianAccumulator,
    UnstableSystemError,
    controllability_gramian,
    measured_gramian,
    observability_gramian,
)
from keras_dss.ssm.basis import one_minus_product, orthonormal_basis
from keras_dss.ssm.gramians import closed_poles
from tests import oracles
from tests.ssm.systems import KINDS, random_system


def test_gramians_solve_the_lyapunov_equations():
    system = random_system(np.random.default_rng(0), "spread", 3, 4, closest=1e-2)
    p, q = controllability_gramian(system), observability_gramian(system)
    assert p.shape == q.shape == (3, 8, 8)
    for i in range(3):
        expected = oracles.gramians(system.poles[i], system.residues[i])
        np.testing.assert_allclose(p[i], expected[0], rtol=1e-10)
        np.testing.assert_allclose(q[i], expected[1], rtol=1e-10)


@pytest.mark.parametrize("horizon", [1, 2, 50])
def test_finite_horizon_serves_poles_anywhere(horizon):
    poles, residues = np.array([1.0, 1.05j, 0.3 - 0.4j, -1.0, 0.0]), np.array([1, 2, 3j, 4, 5])
    system = DiagonalSystem(poles, residues)
    expected = oracles.finite_gramians(poles, residues, horizon)
    np.testing.assert_allclose(controllability_gramian(system, horizon), expected[0], atol=1e-9)
    np.testing.assert_allclose(observability_gramian(system, horizon), expected[1], atol=1e-8)


def test_a_long_horizon_is_the_infinite_one():
    system = random_system(np.random.default_rng(1), "spread", 3, 4, closest=1e-2)
    np.testing.assert_allclose(
        controllability_gramian(system, 100000), controllability_gramian(system), rtol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_basis_factors_the_gramian(kind):
    system = random_system(np.random.default_rng(2), kind, 4, 6)
    basis, used = orthonormal_basis(system.poles, np.abs(system.residues), tolerance=0.0)
    factor = np.concatenate([basis, basis.conj()], axis=-2)
    gramian = factor @ np.swapaxes(factor, -1, -2).conj()
    expected = 1 / one_minus_product(closed_poles(system.poles))
    np.testing.assert_allclose(gramian, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_array_equal(used.sum(-1), 6 + (system.poles.imag != 0).sum(-1))


def test_unstable_systems_and_bad_horizons_are_refused():
    system = DiagonalSystem([1.0], [1.0])
    with pytest.raises(UnstableSystemError, match="infinite horizon"):
        controllability_gramian(system)
    for horizon in (0, -3, 1.5, True):
        with pytest.raises(ValueError, match="Received: horizon="):
            observability_gramian(system, horizon)
    with pytest.raises(OverflowError, match="horizon=100000"):
        controllability_gramian(DiagonalSystem([1.5], [1.0]), 100000)


@pytest.mark.parametrize("largest", [0.9, 1 - 1e-6, 1.0, 1.02])
def test_measured_gramian_is_the_mean_over_steps(largest):
    rng = np.random.default_rng(3)
    poles = rng.uniform(0.1, 0.95, (3, 4)) * np.exp(1j * rng.uniform(0, np.pi, (3, 4)))
    poles[1, 0], poles[2, 1:3] = largest, 0.7  # a double real pole
    inputs, lengths = rng.standard_normal((5, 33, 3)), np.array([33, 0, 12, 1, 20])
    expected = oracles.measured_gramian(poles, inputs, lengths)
    inputs[1] = np.nan  # padding is never read
    gramian = measured_gramian(poles, inputs, lengths)
    np.testing.assert_allclose(gramian, expected, atol=1e-11 * np.abs(expected).max())
    np.testing.assert_array_equal(gramian, np.swapaxes(gramian, -1, -2).conj())
    smallest = np.linalg.eigvalsh(gramian)[:, 0]
    assert np.all(smallest >= -1e-12 * np.abs(gramian).max())


def test_batches_of_different_lengths_accumulate():
    rng = np.random.default_rng(4)
    poles = np.array([[0.5 + 0.5j, 0.9], [1.0, 0.3]])
    first, second = rng.standard_normal((2, 9, 2)), rng.standard_normal((3, 21, 2))
    accumulator = GramianAccumulator(poles)
    with pytest.raises(ValueError, match="at least one valid step"):
        accumulator.result()
    accumulator.update(first)
    accumulator.update(second, [21, 4, 7])
    padded = np.concatenate([np.pad(first, ((0, 0), (0, 12), (0, 0))), second])
    expected = oracles.measured_gramian(poles, padded, [9, 9, 21, 4, 7])
    np.testing.assert_allclose(accumulator.result(), expected, atol=1e-11)
    assert accumulator.steps == 50


def test_white_inputs_give_the_exact_gramian():
    poles = np.array([[0.6 + 0.3j, -0.5]])
    inputs = np.random.default_rng(5).standard_normal((40, 4000, 1))
    system = DiagonalSystem(poles, np.ones_like(poles))
    np.testing.assert_allclose(
        measured_gramian(poles, inputs), controllability_gramian(system), atol=0.02
    )


@pytest.mark.parametrize(
    "inputs, lengths, message",
    [
        (np.zeros((2, 5, 3)), None, r"shape \(B, L, H\) with H = 2"),
        (np.zeros((2, 5)), None, "shape"),
        (np.zeros((2, 5, 2), complex), None, "must be real"),
        (np.full((2, 5, 2), np.nan), None, "must be finite"),
        (np.zeros((2, 5, 2)), [5], r"integers of shape \(2,\)"),
        (np.zeros((2, 5, 2)), [5.0, 4.0], "integers"),
        (np.zeros((2, 5, 2)), [6, 1], "between 0 and 5"),
        (np.zeros((2, 5, 2)), [0, 0], "at least one valid step"),
    ],
)
def test_bad_inputs_are_refused(inputs, lengths, message):
    with pytest.raises(ValueError, match=message):
        measured_gramian(np.full((2, 3), 0.5), inputs, lengths)
    with pytest.raises(ValueError, match=r"`poles` must have shape \(H, N\)"):
        measured_gramian(np.zeros(3), inputs)
