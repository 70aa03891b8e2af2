import dataclasses

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss.ssm import (
    DiagonalSystem,
    UnstableSystemError,
    balanced_truncation,
    controllability_gramian,
    hankel_singular_values,
    hinf_bounds,
    measured_gramian,
)
from tests import oracles
from tests.ssm.systems import KINDS, hippo_system, kernel, random_system


def dense_square_root(poles, residues, order):
    """Kernel of the balanced truncation by dense eigen decompositions of the Gramians."""
    z, gamma = oracles.closed(poles, residues)
    p, q = oracles.gramians(poles, residues)
    f = [v * np.sqrt(np.maximum(w, 0)) for w, v in (np.linalg.eigh(p), np.linalg.eigh(q))]
    u, sigma, vh = scipy.linalg.svd(f[1].conj().T @ f[0])
    left = (f[1] @ u[:, :order] / np.sqrt(sigma[:order])).conj().T
    right = f[0] @ vh.conj().T[:, :order] / np.sqrt(sigma[:order])
    a, b, c = left @ np.diag(z) @ right, left.sum(axis=1), gamma @ right
    return np.array([(c @ np.linalg.matrix_power(a, k) @ b).real for k in range(40)])


def test_it_is_the_dense_square_root_method():
    system = random_system(np.random.default_rng(0), "spread", 5, 6, closest=1e-2)
    result = balanced_truncation(system, 3)
    for i in range(5):
        expected = dense_square_root(system.poles[i], system.residues[i], result.order[i])
        reduced = result.system[i].impulse_response(40)
        np.testing.assert_allclose(reduced, expected, atol=1e-8 * np.abs(expected).max())


# 5 kinds x 8 sizes x 25 systems: a thousand.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modes", [2, 3, 5, 8, 16, 24, 40, 64])
def test_bounds_hold_and_results_are_stable(kind, modes):
    rng = np.random.default_rng(modes)
    system = random_system(rng, kind, 25, modes)
    rank = int(rng.integers(1, modes))
    result = balanced_truncation(system, rank)
    assert result.stable.all() and result.system.is_stable
    assert np.all((result.order >= 1) & (result.order <= 2 * rank))
    lower, upper = hinf_bounds(result.error_system, rtol=1e-3)
    assert np.all(lower <= result.error_bound)
    values = np.pad(result.hankel_singular_values, ((0, 0), (0, 1)))
    next_value = np.take_along_axis(values, result.order[:, None], axis=-1)[:, 0]
    assert np.all(next_value <= upper + 1e-12 * values[:, 0])
    dropped = np.arange(2 * modes) >= result.order[:, None]
    tail = 2 * np.sum(result.hankel_singular_values * dropped, axis=-1)
    assert np.all(result.error_bound >= tail)
    assert np.all(result.error_bound <= tail + 1e-6 * system.hinf_norm(1e-2))


@pytest.mark.parametrize("modes", [1, 4, 16])
def test_full_rank_returns_the_kernel(modes):
    system = hippo_system(np.random.default_rng(1), 8, modes)
    result = balanced_truncation(system, modes)
    expected = kernel(system, 200)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.system.impulse_response(200), expected, atol=1e-6 * scale)
    assert np.all(result.error_bound == 0)
    np.testing.assert_array_equal(result.order, 2 * modes)


def test_redundant_modes_are_removed_without_error():
    rng = np.random.default_rng(2)
    few = random_system(rng, "spread", 4, 3, closest=1e-2)
    twice = few + few
    result = balanced_truncation(twice, 5)
    np.testing.assert_array_equal(result.order, 6)
    assert np.all(np.sum(result.system.residues != 0, axis=-1) == 3)
    np.testing.assert_allclose(
        result.system.impulse_response(60), twice.impulse_response(60), atol=1e-10
    )


def test_real_poles_stay_real_and_take_one_mode_each():
    system = DiagonalSystem(np.exp(-np.logspace(-2, 0, 8)), np.ones(8))
    result = balanced_truncation(system, 3)
    assert result.order == 3
    assert np.all(result.system.poles.imag == 0) and np.all(result.system.residues.imag == 0)
    assert result.hinf_error() <= result.error_bound < 0.05 * system.hinf_norm()


def test_a_system_of_zeros_reduces_to_zeros():
    system = DiagonalSystem(np.full((2, 4), 0.5 + 0.1j), np.zeros((2, 4)), [1.0, 2.0])
    result = balanced_truncation(system, 2)
    np.testing.assert_array_equal(result.order, 0)
    np.testing.assert_array_equal(result.error_bound, 0.0)
    np.testing.assert_array_equal(result.system.impulse_response(2), [[1, 0], [2, 0]])


def test_leading_dimensions_are_kept():
    system = random_system(np.random.default_rng(3), "spread", 6, 4)
    shaped = DiagonalSystem(system.poles.reshape(2, 3, 4), system.residues.reshape(2, 3, 4))
    result = balanced_truncation(shaped, 2)
    assert result.system.poles.shape == (2, 3, 2)
    assert result.hankel_singular_values.shape == (2, 3, 8)
    for name in ("error_bound", "order", "condition", "stable"):
        assert getattr(result, name).shape == (2, 3), name
    single = balanced_truncation(system[4], 2)
    assert single.system.shape == () and single.error_bound.shape == ()
    np.testing.assert_allclose(single.system.poles, result.system.poles[1, 1], rtol=1e-9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.system = None


def test_the_exact_gramian_given_as_measured_changes_nothing():
    system = random_system(np.random.default_rng(4), "spread", 5, 6, closest=1e-2)
    exact = balanced_truncation(system, 3)
    given_ = balanced_truncation(system, 3, controllability=controllability_gramian(system))
    np.testing.assert_allclose(
        given_.hankel_singular_values, exact.hankel_singular_values, atol=1e-9
    )
    np.testing.assert_allclose(
        given_.system.impulse_response(50), exact.system.impulse_response(50), atol=1e-7
    )
    assert np.all(np.isnan(given_.error_bound))
    np.testing.assert_allclose(given_.hinf_error(), exact.hinf_error(), rtol=1e-3)


def test_a_measured_gramian_serves_its_inputs_better():
    """Slow inputs: the error on such inputs is smaller than that of the exact Gramians."""
    rng = np.random.default_rng(5)
    system = hippo_system(rng, 8, 24, steps=(1e-2, 1e-1))
    inputs = np.cumsum(rng.standard_normal((16, 400, 8)), axis=1) / 20
    gramian = measured_gramian(system.poles, inputs[:8])
    results = [balanced_truncation(system, 4, controllability=p) for p in (None, gramian)]
    spectrum = np.fft.rfft(inputs[8:], 800, axis=1)
    errors = []
    for result in results:
        response = np.fft.rfft(result.error_system.impulse_response(400), 800, axis=-1).T
        errors.append(np.linalg.norm(np.fft.irfft(spectrum * response, axis=1)[:, :400]))
    assert results[1].stable.all() and errors[1] < 0.5 * errors[0]


def test_finite_horizon_reduces_unstable_systems():
    system = DiagonalSystem([[1.001 + 0.01j, 0.9, 0.5j, -0.3]], [[1.0, 1.0, 1.0, 0.01]])
    result = balanced_truncation(system, 3, horizon=100)
    assert np.all(np.isnan(result.error_bound)) and not result.stable[0]
    expected = system.impulse_response(100)
    np.testing.assert_allclose(result.system.impulse_response(100), expected, atol=0.02)


def test_hankel_values_agree():
    system = hippo_system(np.random.default_rng(6), 5, 16)
    result = balanced_truncation(system, 4)
    np.testing.assert_allclose(
        result.hankel_singular_values, hankel_singular_values(system), rtol=1e-9
    )
    assert np.all(result.h2_error() <= result.error_bound) and np.all(result.condition >= 1)


@pytest.mark.parametrize("rank", [0, -1, 4, 1.0, 2.5, True, "2", None])
def test_bad_ranks_are_refused(rank):
    system = DiagonalSystem([0.1, 0.2, 0.3], np.ones(3))
    with pytest.raises(ValueError, match=f"Received: rank={rank!r}"):
        balanced_truncation(system, rank)


def test_numpy_integers_are_ranks():
    assert balanced_truncation(DiagonalSystem([0.1, 0.2], [1, 1]), np.int64(1)).order == 1


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p: p[0], "shape"),
        (lambda p: p * np.nan, "finite"),
        (lambda p: p + np.triu(np.ones((4, 4)), 1), "Hermitian"),
        (lambda p: p + np.diag([1.0, 0, 0, 0]), "conjugate"),
    ],
)
def test_bad_gramians_are_refused(change, message):
    system = DiagonalSystem([[0.1j, 0.5]], [[1.0, 1.0]])
    gramian = controllability_gramian(system)
    with pytest.raises(ValueError, match=f"controllability.*{message}"):
        balanced_truncation(system, 1, controllability=change(gramian))


def test_unstable_systems_are_refused():
    with pytest.raises(UnstableSystemError, match=r"\|a\| up to 1.25"):
        balanced_truncation(DiagonalSystem([1.25, 0.5], [1, 1]), 1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 7),
    st.floats(1e-6, 0.7),
    st.sampled_from(KINDS),
    st.integers(0, 2**31),
    st.floats(-6, 6),
)
def test_any_system_any_rank(modes, closest, kind, seed, scale):
    rng = np.random.default_rng(seed)
    system = random_system(rng, kind, 2, modes, closest)
    system = DiagonalSystem(system.poles, system.residues * 10**scale, rng.standard_normal(2))
    result = balanced_truncation(system, int(rng.integers(1, modes + 1)))
    floor = 1e-13 * system.hinf_norm(1e-2)  # rounding of the two responses that are compared
    assert result.stable.all()
    assert np.all(result.hinf_error(1e-2) <= result.error_bound * (1 + 1e-9) + floor)
    np.testing.assert_array_equal(result.system.feedthrough, system.feedthrough)


def test_no_systems_at_all():
    nothing = DiagonalSystem(np.zeros((0, 3)), np.zeros((0, 3)))
    result = balanced_truncation(nothing, 2)
    assert result.system.poles.shape == (0, 2) and result.hinf_error().shape == (0,)
    assert hankel_singular_values(nothing).shape == (0, 6) and nothing.h2_norm().shape == (0,)
    assert nothing.impulse_response(4).shape == (0, 4)
