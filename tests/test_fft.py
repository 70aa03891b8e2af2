import keras
import numpy as np
import pytest
from keras import ops

from keras_dss import fft
from keras_dss.fft import circular_convolution


def reference(inputs, taps, size):
    u = np.fft.rfft(inputs, size, axis=1)  # (B, size/2 + 1, H)
    k = np.fft.rfft(taps, size, axis=1).T[None]
    return np.fft.irfft(u * k, size, axis=1)[:, : inputs.shape[1]]


def gradients(inputs, taps, size, upstream):
    """Gradients of sum(y * upstream) to inputs and taps."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        values = [tf.constant(inputs), tf.constant(taps)]
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(circular_convolution(*values, size) * upstream)
        return [np.asarray(g) for g in tape.gradient(loss, values)]
    if backend == "jax":
        import jax

        def loss(*values):
            return (circular_convolution(*values, size) * upstream).sum()

        return [np.asarray(g) for g in jax.jit(jax.grad(loss, (0, 1)))(inputs, taps)]
    import torch

    values = [torch.tensor(inputs, requires_grad=True), torch.tensor(taps, requires_grad=True)]
    loss = (circular_convolution(*values, size) * torch.tensor(upstream)).sum()
    return [g.numpy() for g in torch.autograd.grad(loss, values)]


@pytest.fixture(params=[(3, 10, 5, 10, 20), (2, 7, 4, 16, 16)], ids=["causal", "both directions"])
def arrays(request):
    batch, length, features, lags, size = request.param
    generator = np.random.default_rng(0)
    inputs, upstream = generator.normal(size=(2, batch, length, features)).astype("float32")
    taps = generator.normal(size=(features, lags)).astype("float32")
    return inputs, taps, size, upstream


def test_is_the_circular_convolution(arrays):
    inputs, taps, size, _ = arrays
    result = ops.convert_to_numpy(circular_convolution(inputs, taps, size))
    np.testing.assert_allclose(result, reference(inputs, taps, size), atol=1e-5)


def test_gradients_are_those_of_the_linear_maps(arrays):
    inputs, taps, size, upstream = arrays
    du, dk = gradients(inputs, taps, size, upstream)
    # <upstream, y(u, k)> is bilinear: its gradient along a direction is its value there.
    generator = np.random.default_rng(1)
    for name, gradient in (("inputs", du), ("taps", dk)):
        direction = generator.normal(size=gradient.shape).astype("float32")
        pair = (direction, taps) if name == "inputs" else (inputs, direction)
        expected = np.sum(upstream * reference(*pair, size))
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX does not work in blocks")
@pytest.mark.parametrize("block, wide", [(64, 2**22), (1, 32), (1, 1), (2**19, 2**22)])
def test_blocks_change_nothing(arrays, monkeypatch, block, wide):
    inputs, taps, size, upstream = arrays
    monkeypatch.setattr(fft, "BLOCK", block)
    monkeypatch.setattr(fft, "WIDE", wide)
    monkeypatch.setattr(fft, "LARGEST", wide)
    result = ops.convert_to_numpy(circular_convolution(*map(ops.array, (inputs, taps)), size))
    np.testing.assert_allclose(result, reference(inputs, taps, size), atol=1e-5)
    test_gradients_are_those_of_the_linear_maps(arrays)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="which adds up block by block")
def test_no_sequences_have_no_gradient():
    inputs, taps = np.zeros((0, 6, 2), "float32"), np.ones((2, 6), "float32")
    du, dk = gradients(inputs, taps, 12, inputs)
    assert du.shape == inputs.shape
    np.testing.assert_array_equal(dk, np.zeros_like(taps))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="checked by torch itself")
def test_second_derivatives_on_torch():
    import torch

    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    taps = torch.randn(3, 5, dtype=torch.float64, generator=generator, requires_grad=True)

    def convolve(inputs, taps):
        return circular_convolution(inputs, taps, 10)

    assert torch.autograd.gradcheck(convolve, (inputs, taps))
    assert torch.autograd.gradgradcheck(convolve, (inputs, taps))
