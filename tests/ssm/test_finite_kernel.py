"""Kernels of finitely many lags, whose modes may grow."""

import numpy as np
import pytest

from keras_dss.ssm import (
    DiagonalSystem,
    balanced_truncation,
    finite_balanced_truncation,
    finite_hankel_values,
    finite_kernel,
    hankel_singular_values,
)

LENGTH = 64


def make_system(shape=(3,), modes=8, growth=0.5, seed=0):
    """Every second mode grows to about `exp(growth LENGTH)` and ends near 1."""
    generator = np.random.default_rng(seed)
    x = -generator.uniform(0.02, 0.5, (*shape, modes))
    x[..., ::2] = growth * generator.uniform(0.2, 1.0, x[..., ::2].shape)
    x = x + 1j * generator.uniform(-np.pi, np.pi, x.shape)
    residues = generator.normal(size=x.shape) + 1j * generator.normal(size=x.shape)
    residues = residues * np.exp(-np.maximum(x.real, 0.0) * (LENGTH - 1))
    return DiagonalSystem(np.exp(x), residues, generator.normal(size=shape))


def norms(kernel):
    return np.linalg.norm(kernel, axis=-1)


def without_lag_zero(system):
    return DiagonalSystem(system.poles, system.residues)


@pytest.mark.parametrize("growth", [0.1, 1.0])
def test_kernel(growth):
    system = make_system(growth=growth)
    expected = system.impulse_response(LENGTH)
    np.testing.assert_allclose(finite_kernel(system, LENGTH), expected, atol=1e-10)


@pytest.mark.parametrize("growth", [0.02, 0.5, 4.0, 9.0])
@pytest.mark.parametrize("shape", [(4,), (2, 3), ()])
def test_growing_modes(shape, growth):
    """Never worse than no kernel, where balancing all modes together is off by powers of ten."""
    for seed in range(5):
        system = make_system(shape, growth=growth, seed=seed)
        norm = norms(finite_kernel(without_lag_zero(system), LENGTH))
        errors = []
        for rank in (1, 2, 4, 7):
            found = finite_balanced_truncation(system, rank, LENGTH)
            assert found.system.poles.shape == (*shape, rank)
            assert np.all(found.order <= 2 * rank)
            errors.append(norms(finite_kernel(found.error_system, LENGTH)))
            assert np.all(errors[-1] <= norm * (1 + 1e-9))
            np.testing.assert_array_equal(found.system.feedthrough, system.feedthrough)
            np.testing.assert_array_equal(found.stable, np.abs(found.system.poles).max(-1) < 1)
        assert np.all(errors[-1] < 0.5 * errors[0])
    assert finite_balanced_truncation(system, 8, LENGTH).system is system


def test_better_than_all_modes_together():
    system = make_system((8,), growth=2.0)
    kernel = finite_kernel(system, LENGTH)
    together = balanced_truncation(system, 4, horizon=LENGTH, stable=False)
    worse = norms(kernel - together.system.impulse_response(LENGTH))
    found = finite_balanced_truncation(system, 4, LENGTH)
    error = norms(kernel - finite_kernel(found.system, LENGTH))
    assert np.all(error <= worse * (1 + 1e-9)) and error.max() < 0.1 * worse.max()


def test_decaying_modes_are_balanced_as_ever():
    system = make_system(growth=-0.1)
    found = finite_balanced_truncation(system, 3, LENGTH)
    plain = balanced_truncation(system, 3, horizon=LENGTH, stable=False)
    for name in ("poles", "residues"):
        np.testing.assert_array_equal(getattr(found.system, name), getattr(plain.system, name))
    np.testing.assert_array_equal(found.hankel_singular_values, plain.hankel_singular_values)


def test_hankel_values_are_those_of_both_parts():
    """Two modes, one of them growing, decay from either end."""
    system = DiagonalSystem([0.5, 2.0], [1.5, 3.0 * 2.0 ** -(LENGTH - 1)])
    parts = [DiagonalSystem([0.5], [c]) for c in (3.0, 1.5)]
    expected = [hankel_singular_values(part, LENGTH)[0] for part in parts]
    np.testing.assert_allclose(finite_hankel_values(system, LENGTH), [*expected, 0, 0], atol=1e-12)
    found = finite_balanced_truncation(system, 1, LENGTH)
    np.testing.assert_allclose(found.hankel_singular_values[:2], expected)
    np.testing.assert_allclose(found.system.poles, [2.0])


def test_bad_arguments():
    system = make_system()
    with pytest.raises(ValueError, match="`rank` must be at most .*, 8. Received: rank=9"):
        finite_balanced_truncation(system, 9, LENGTH)
    with pytest.raises(ValueError, match="`length` must be at least 1. Received: length=0"):
        finite_balanced_truncation(system, 2, 0)
