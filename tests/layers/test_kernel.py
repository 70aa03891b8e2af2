"""Kernels of every variant against float64 loops over the same float32 weights."""

import numpy as np
import pytest
from keras import ops

from tests.layers import oracles
from tests.layers.autodiff import compiled, double_precision, evaluate, evaluation
from tests.layers.variants import VARIANTS, make_layer

STEPS = (1e-4, 1e-3, 1e-2, 1e-1)


def set_steps(layer, dt):
    steps = dt * np.random.default_rng(1).uniform(0.9, 1.0, layer.log_dt.shape)
    layer.log_dt.assign(np.log(steps))


@pytest.mark.parametrize("variant", VARIANTS)
def test_accuracy(variant):
    layer = make_layer(variant, state_size=64, kernel_length=1024)
    find = evaluation(layer, lambda: layer.kernel(1024))
    for dt in STEPS:
        set_steps(layer, dt)
        assert oracles.relative_error(find(), oracles.kernel(layer, 1024)) <= 3e-6, dt


@pytest.mark.parametrize("variant", ["exp_per_feature", "softmax"])
def test_accuracy_of_long_kernels(variant):
    layer = make_layer(variant, features=2, state_size=64, kernel_length=16384)
    find = evaluation(layer, lambda: layer.kernel(16384))
    for dt in (1e-4, 1e-1):
        set_steps(layer, dt)
        assert oracles.relative_error(find(), oracles.kernel(layer, 16384)) <= 3e-6, dt


@pytest.mark.parametrize("variant", ["exp_bidirectional_per_feature", "softmax"])
def test_accuracy_when_compiled(variant):
    layer = make_layer(variant, state_size=64, kernel_length=1024)
    set_steps(layer, 1e-3)
    found = oracles.numpy(compiled(lambda: layer.kernel(1024))())
    assert oracles.relative_error(found, oracles.kernel(layer, 1024)) <= 3e-6


@pytest.mark.parametrize("variant", ["exp", "softmax"])
def test_extreme_steps(variant):
    layer = make_layer(variant, state_size=64, kernel_length=300)
    find = evaluation(layer, lambda: layer.kernel(300))
    for dt in (1e-7, 10.0, 1000.0):
        set_steps(layer, dt)
        assert oracles.relative_error(find(), oracles.kernel(layer, 300)) <= 1e-4, dt


@pytest.mark.parametrize("length", [1, 2, 31, 64])
@pytest.mark.parametrize("variant", ["exp_bidirectional", "softmax"])
def test_lengths(variant, length):
    layer = make_layer(variant)
    found = evaluate(layer, lambda: layer.kernel(length))
    assert found.shape == (*layer.W.shape[:-2], length)
    expected = oracles.kernel(layer, 64)
    assert np.abs(found - expected[..., :length]).max() <= 3e-6 * np.abs(expected).max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_float64(variant):
    with double_precision():
        layer = make_layer(variant, dtype="float64", dt_min=1e-2)
        found = evaluate(layer, lambda: layer.kernel(64))
        assert oracles.relative_error(found, oracles.kernel(layer, 64)) <= 1e-9


@pytest.mark.parametrize("variant", ["exp_bidirectional", "softmax"])
def test_no_taps(variant):
    layer = make_layer(variant)
    assert evaluate(layer, lambda: layer.kernel(0)).shape == (*layer.W.shape[:-2], 0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_system_has_the_kernel(variant):
    layer = make_layer(variant)
    system = layer.to_system()
    expected = oracles.kernel(layer, 64)
    D = oracles.weights(layer)["D"]
    expected[..., 0] += np.stack([D, 0 * D]) if layer.bidirectional else D
    assert oracles.relative_error(system.impulse_response(64), expected) <= 1e-10
    residues = evaluate(layer, lambda: ops.stack(layer.residues()))
    error = np.abs(residues[0] + 1j * residues[1] - system.residues).max()
    assert error <= 3e-6 * np.abs(system.residues).max()


def test_rate():
    """Twice the sampling interval sums the kernel over two steps, by the zero-order hold."""
    layer = make_layer("exp", features=2, state_size=4)
    coarse = type(layer).from_config(layer.get_config() | {"rate": 2.0})
    coarse.build((None, None, 2))
    coarse.set_weights(layer.get_weights())
    taps = evaluate(layer, lambda: layer.kernel(64))
    expected = taps[:, 0::2] + taps[:, 1::2]
    found = evaluate(coarse, lambda: coarse.kernel(32))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_softmax_does_not_overflow(sign):
    layer = make_layer("softmax", kernel_length=1000)
    layer.lambda_re.assign(np.full(layer.lambda_re.shape, sign * 1e4))
    assert np.isfinite(evaluate(layer, lambda: layer.kernel(1000))).all()
