import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss.ssm import DiagonalSystem, UnstableSystemError
from tests import oracles
from tests.ssm.systems import KINDS, random_system


@pytest.mark.parametrize("length", [1, 2, 7, 64, 100])
def test_impulse_response_is_the_recurrence(length):
    rng = np.random.default_rng(length)
    system = random_system(rng, "spread", 3, 5, closest=1e-2)
    system = DiagonalSystem(system.poles, system.residues, rng.standard_normal(3))
    for i in range(3):
        args = system.poles[i], system.residues[i], system.feedthrough[i]
        expected = oracles.impulse_response(*args, length)
        np.testing.assert_allclose(system.impulse_response(length)[i], expected, atol=1e-13)


def test_frequency_response_is_the_transform_of_the_kernel():
    rng = np.random.default_rng(0)
    system = DiagonalSystem([[0.5 + 0.6j, -0.7], [0.1, 0.3j]], rng.standard_normal((2, 2)), 0.5)
    omega = np.linspace(-3, 3, 12).reshape(3, 4)
    kernel = system.impulse_response(400)
    expected = kernel @ np.exp(-1j * np.arange(400)[:, None] * omega.ravel())
    response = system.frequency_response(omega)
    assert response.shape == (2, 3, 4)
    np.testing.assert_allclose(response.reshape(2, -1), expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_h2_norm_is_the_energy_of_the_kernel(kind):
    rng = np.random.default_rng(1)
    system = random_system(rng, kind, 4, 6, closest=1e-3)
    system = DiagonalSystem(system.poles, system.residues, rng.standard_normal(4))
    energy = np.sum(system.impulse_response(30000) ** 2, axis=-1)
    np.testing.assert_allclose(system.h2_norm(), np.sqrt(energy), rtol=1e-11)


def test_h2_norm_of_a_small_difference_keeps_its_digits():
    rng = np.random.default_rng(2)
    system = random_system(rng, "spread", 4, 8, closest=1e-2)
    nearby = DiagonalSystem(system.poles, system.residues * (1 + 1e-10))
    relative = (system - nearby).h2_norm() / system.h2_norm()
    np.testing.assert_allclose(relative, 1e-10, rtol=1e-4)


def test_h2_norm_of_twice_the_same_system_is_zero():
    system = random_system(np.random.default_rng(3), "spread", 4, 8)
    assert np.all((system - system).h2_norm() <= 1e-12 * system.h2_norm())


def test_arithmetic_and_slicing():
    rng = np.random.default_rng(4)
    first = random_system(rng, "spread", 6, 3, closest=1e-2)
    second = random_system(rng, "spread", 6, 4, closest=1e-2)
    difference = first - second
    assert difference.num_modes == 7 and difference.shape == (6,)
    expected = first.impulse_response(20) - second.impulse_response(20)
    np.testing.assert_allclose(difference.impulse_response(20), expected, atol=1e-13)
    np.testing.assert_array_equal(first[2].poles, first.poles[2])
    assert first[1:3].shape == (2,) and len(first) == 6
    assert first[np.array([True, False] * 3)].shape == (3,)
    shaped = DiagonalSystem(first.poles.reshape(2, 3, 3), first.residues.reshape(2, 3, 3))
    assert shaped[1, 2].shape == () and shaped[..., 0].shape == (2,)
    assert shaped.impulse_response(5).shape == (2, 3, 5)
    assert shaped.hinf_norm(1e-2).shape == shaped.h2_norm().shape == (2, 3)


def test_a_system_is_immutable_and_owns_its_arrays():
    poles = np.array([0.5, 0.6])
    system = DiagonalSystem(poles, [1.0, 2.0])
    poles[0] = 9.0
    assert system.poles[0] == 0.5
    with pytest.raises(AttributeError, match="immutable"):
        system.poles = poles
    with pytest.raises(ValueError, match="read-only"):
        system.poles[0] = 0.1
    copy = pickle.loads(pickle.dumps(system))
    np.testing.assert_array_equal(copy.residues, system.residues)


@pytest.mark.parametrize(
    "args, message",
    [
        (([0.5, 0.1], [1.0]), "same number of modes"),
        ((0.5, 1.0), "same number of modes"),
        (([[0.5], [0.1]], np.ones((3, 1))), "broadcast"),
        ((np.ones((2, 0)), np.ones((2, 0))), "at least one mode"),
        (([np.nan], [1.0]), "`poles` must be finite"),
        (([0.5], [np.inf]), "`residues` must be finite"),
        (([0.5], [1.0], np.nan), "`feedthrough` must be finite"),
        (([0.5], [1.0], 1j), "`feedthrough` must be real"),
        (([0.5], [1.0], [1.0, 2.0]), "must broadcast to the leading"),
        ((["a"], [1.0]), "must be numeric"),
    ],
)
def test_bad_arrays_are_refused(args, message):
    with pytest.raises(ValueError, match=message) as error:
        DiagonalSystem(*args)
    assert "Received" in str(error.value)


@pytest.mark.parametrize("length", [0, -1, 2.0, True, "4", None])
def test_bad_lengths_are_refused(length):
    with pytest.raises(ValueError, match="Received: length="):
        DiagonalSystem([0.5], [1.0]).impulse_response(length)


def test_unstable_systems_say_which_features():
    system = DiagonalSystem([[0.5], [1.5], [0.1], [1.0]], np.ones((4, 1)))
    assert not system.is_stable
    for quantity in (system.h2_norm, system.hinf_norm):
        with pytest.raises(UnstableSystemError, match=r"up to 1\.5, unstable features: 1, 3"):
            quantity()
    assert system.impulse_response(3)[1, 2] == 2.25


def test_systems_of_different_batches_do_not_combine():
    first = DiagonalSystem(np.zeros((2, 1)), np.zeros((2, 1)))
    second = DiagonalSystem(np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        first - second
    with pytest.raises(TypeError):
        first - 1.0


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.floats(0.0, 1.2),
    st.floats(-np.pi, np.pi),
    st.integers(0, 2**31),
)
def test_kernels_are_linear_in_the_residues(modes, length, radius, angle, seed):
    rng = np.random.default_rng(seed)
    poles = radius * np.exp(1j * angle) * rng.uniform(0, 1, modes)
    first, second = rng.standard_normal((2, modes))
    total = DiagonalSystem(poles, first + second).impulse_response(length)
    parts = [DiagonalSystem(poles, c).impulse_response(length) for c in (first, second)]
    np.testing.assert_allclose(total, sum(parts), atol=1e-9 * max(1.0, np.abs(total).max()))
