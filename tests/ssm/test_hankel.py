import numpy as np
import pytest
import scipy.linalg

from keras_dss.ssm import DiagonalSystem, UnstableSystemError, hankel_singular_values
from tests import oracles
from tests.ssm.systems import KINDS, hippo_system, random_system


def assert_accurate(poles, residues):
    expected = oracles.hankel_singular_values(poles, residues)
    values = hankel_singular_values(DiagonalSystem(poles, residues))
    assert values.shape == (2 * len(poles),)
    assert np.all(np.diff(values) <= 0) and np.all(values[expected.size :] == 0)
    counted = expected > 1e-13 * expected[0]
    np.testing.assert_allclose(values[: expected.size][counted], expected[counted], rtol=1e-6)
    assert np.all(values[: expected.size][~counted] <= 1.1e-13 * expected[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modes", [1, 2, 5, 8])
def test_random_systems_against_many_digits(kind, modes):
    system = random_system(np.random.default_rng(modes), kind, 1, modes)
    assert_accurate(system.poles[0], system.residues[0])


@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2, 1e-1])
def test_skew_hippo_against_many_digits(step):
    system = hippo_system(np.random.default_rng(0), 1, 8, steps=(step, step))
    assert_accurate(system.poles[0], system.residues[0])


@pytest.mark.parametrize("count", [12, 32])
def test_log_spaced_real_poles_against_many_digits(count):
    assert_accurate(np.exp(-np.logspace(-4, 1, count)), np.ones(count))


def test_nearly_real_and_nearly_double_poles():
    poles = np.array([0.9 + 1e-9j, 0.9 + 3e-9j, 0.5 + 1e-12j, 0.5 + 0.2j, 0.5 + 0.2000001j])
    assert_accurate(poles, np.array([1.0, 2.0 - 1j, 1.0, 1.0, -1.0 + 1e-3j]))


def test_double_real_and_zero_poles_leave_zeros():
    values = hankel_singular_values(
        DiagonalSystem([0.5, 0.5, 0.0, 0.3 + 0.1j, 0.3 + 0.1j], [1.0, 2.0, 1j, 1.0, 1.0])
    )
    merged = hankel_singular_values(DiagonalSystem([0.5, 0.3 + 0.1j], [3.0, 2.0]))
    np.testing.assert_allclose(values[:3], merged[:3], rtol=1e-12)
    assert np.all(values[3:] == 0)


def test_they_are_the_singular_values_of_the_hankel_matrix():
    system = random_system(np.random.default_rng(1), "spread", 3, 3, closest=0.1)
    for i, kernel in enumerate(system.impulse_response(400)):
        expected = np.linalg.svd(scipy.linalg.hankel(kernel[:200], kernel[199:399]))[1][:6]
        np.testing.assert_allclose(hankel_singular_values(system)[i], expected, atol=1e-10)


def test_finite_horizon_values():
    system = DiagonalSystem([0.9 + 0.3j, 1.01, -0.5], [1.0, 0.5, 2.0])
    p, q = oracles.finite_gramians(system.poles, system.residues, 30)
    expected = np.sqrt(np.sort(np.abs(np.linalg.eigvals(p @ q)))[::-1])
    values = hankel_singular_values(system, horizon=30)
    np.testing.assert_allclose(values[:4], expected[:4], rtol=1e-7)
    stable = random_system(np.random.default_rng(2), "spread", 3, 3, closest=0.05)
    np.testing.assert_allclose(
        hankel_singular_values(stable, horizon=5000), hankel_singular_values(stable), atol=1e-12
    )
    with pytest.raises(UnstableSystemError, match="unstable features: 0"):
        hankel_singular_values(system)


def test_large_batches_agree_with_single_systems():
    system = hippo_system(np.random.default_rng(3), 70, 6)
    batch = hankel_singular_values(system)
    for i in (0, 31, 32, 69):
        np.testing.assert_allclose(batch[i], hankel_singular_values(system[i]), rtol=1e-12)
    with pytest.raises(TypeError, match="Received: ndarray"):
        hankel_singular_values(system.poles)
