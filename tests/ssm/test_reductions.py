import numpy as np
import pytest

from keras_dss.ssm import (
    DiagonalSystem,
    UnstableSystemError,
    balanced_truncation,
    complex_balanced_truncation,
    modal_truncation,
    refit_residues,
    shared_balanced_truncation,
    skew_hippo,
)
from tests import oracles
from tests.ssm.systems import hippo_system, random_system


@pytest.mark.parametrize("state_size", [1, 2, 5, 64])
def test_skew_hippo(state_size):
    values = skew_hippo(state_size)
    expected = oracles.hippo_skew_eigenvalues(state_size)
    expected = np.sort(expected.imag[expected.imag > 0])
    np.testing.assert_allclose(values.imag, expected, rtol=1e-9)
    assert values.shape == (state_size,) and np.all(values.real == -0.5)


def test_skew_hippo_range_and_bad_sizes():
    values = skew_hippo(64).imag
    np.testing.assert_allclose([values[0], values[-1]], [0.235, 5214.7], rtol=2e-3)
    for state_size in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="Received: state_size="):
            skew_hippo(state_size)


def test_modal_truncation_keeps_the_most_energy():
    system = random_system(np.random.default_rng(0), "half_real", 6, 7, closest=1e-2)
    kernels = (system.residues[..., None] * system.poles[..., None] ** np.arange(4000)).real
    energy = np.sum(kernels**2, axis=-1)
    reduced = modal_truncation(system, 3)
    for i in range(6):
        expected = set(system.poles[i][np.argsort(-energy[i])[:3]])
        assert set(reduced.poles[i]) == expected


def test_refitted_residues_are_the_least_squares_solution():
    system = random_system(np.random.default_rng(1), "half_real", 4, 6, closest=0.05)
    reduced = modal_truncation(system, 3, refit=True)
    lag = np.arange(1500)
    for i in range(4):
        powers = reduced.poles[i][:, None] ** lag
        columns = np.concatenate([powers.real, -powers.imag]).T
        target = system[i].impulse_response(1500)
        best = np.linalg.lstsq(columns, target, rcond=1e-12)[0]
        np.testing.assert_allclose(
            reduced[i].impulse_response(1500), columns @ best, atol=1e-7 * np.abs(target).max()
        )
    assert np.all((system - reduced).h2_norm() <= (system - modal_truncation(system, 3)).h2_norm())


def test_refit_of_all_poles_changes_nothing():
    system = random_system(np.random.default_rng(2), "spread", 3, 4, closest=0.1)
    refitted = refit_residues(system, system.poles)
    np.testing.assert_allclose(refitted.residues, system.residues, rtol=1e-6)


def test_the_real_system_is_the_one_to_balance():
    system = hippo_system(np.random.default_rng(3), 12, 16, steps=(1e-3, 1e-1))
    real = balanced_truncation(system, 6).h2_error()
    naive = (system - complex_balanced_truncation(system, 6)).h2_norm()
    assert np.mean(real) < np.mean(naive)


def test_complex_balancing_of_all_modes_is_exact():
    system = random_system(np.random.default_rng(4), "spread", 3, 4, closest=0.1)
    reduced = complex_balanced_truncation(system, 4)
    np.testing.assert_allclose(reduced.impulse_response(50), system.impulse_response(50), atol=1e-8)


@pytest.mark.parametrize("method", [modal_truncation, complex_balanced_truncation])
def test_bad_arguments_of_the_baselines(method):
    system = DiagonalSystem([0.1, 0.2], [1, 1])
    for rank in (0, 3, True, 1.0):
        with pytest.raises(ValueError, match="Received: rank="):
            method(system, rank)
    with pytest.raises(UnstableSystemError):
        method(DiagonalSystem([1.0, 0.2], [1, 1]), 1)


def transfer(eigenvalues, weights, s):
    direct = weights / (s[:, None, None] - eigenvalues)
    mirror = weights.conj() / (s[:, None, None] - eigenvalues.conj())
    return 0.5 * (direct + mirror).sum(axis=-1)  # (S, H)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_shared_truncation_obeys_its_bound(rank):
    rng = np.random.default_rng(5)
    lam = skew_hippo(12) * np.linspace(1, 3, 12)
    weights = rng.standard_normal((5, 12)) + 1j * rng.standard_normal((5, 12))
    result = shared_balanced_truncation(lam, weights, rank)
    assert result.eigenvalues.shape == (rank,) and result.weights.shape == (5, rank)
    p, q = oracles.continuous_gramians(lam, weights)
    expected = np.sqrt(np.sort(np.linalg.eigvals(p @ q).real)[::-1])
    np.testing.assert_allclose(result.hankel_singular_values, expected, rtol=1e-6)
    s = 1j * np.concatenate(
        [np.linspace(-1, 1, 501), lam.imag[:, None].ravel(), np.logspace(0, 4, 3000)]
    )
    error = transfer(lam, weights, s) - transfer(result.eigenvalues, result.weights, s)
    assert np.linalg.norm(error, axis=-1).max() <= result.error_bound
    assert result.stable and 1 <= result.order <= 2 * rank and result.condition >= 1


def test_shared_truncation_removes_what_is_redundant():
    lam, weights = np.array([-1.0 + 2j, -1.0 + 2j, -0.5]), np.array([[1, 2j, 3], [1, 0, 0]])
    result = shared_balanced_truncation(lam, weights, 2)
    assert result.order == 3
    s = 1j * np.linspace(-5, 5, 50)
    expected = transfer(lam, weights, s)
    np.testing.assert_allclose(
        transfer(result.eigenvalues, result.weights, s), expected, atol=1e-10
    )
    whole = shared_balanced_truncation(lam, weights, 3)
    np.testing.assert_array_equal(whole.eigenvalues, lam)
    assert whole.error_bound < 1e-12


@pytest.mark.parametrize(
    "args, message",
    [
        (([-1.0], [1.0], 1), "shape"),
        (([-1.0], [[1.0, 2.0]], 1), "shape"),
        (([-1.0], [[1.0]], 2), "rank"),
        (([np.nan], [[1.0]], 1), "finite"),
        (([1j], [[1.0]], 1), "negative real parts"),
    ],
)
def test_bad_arguments_of_the_shared_truncation(args, message):
    with pytest.raises(ValueError, match=message):
        shared_balanced_truncation(*args)


def test_complex_modes_of_rounding_are_left_out():
    """Without the cut, rounding made poles outside the circle."""
    for seed in range(40):
        generator = np.random.default_rng(seed)
        poles = np.exp(-(10 ** generator.uniform(-3, 1, 6)) + 0.01j * generator.normal(size=6))
        system = DiagonalSystem(poles, generator.normal(size=6))
        for rank in range(1, 6):
            assert complex_balanced_truncation(system, rank).is_stable
        assert complex_balanced_truncation(system, 6) is system
    double = complex_balanced_truncation(DiagonalSystem(np.full(4, 0.9), np.ones(4)), 3)
    np.testing.assert_allclose(double.poles, [0.9, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(double.residues, [4.0, 0.0, 0.0], atol=1e-12)
