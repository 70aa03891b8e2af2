"""Gradients of every weight against central differences of float64 loops."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

import keras_dss
from tests.layers import oracles
from tests.layers.autodiff import double_precision, gradients
from tests.layers.variants import VARIANTS, make_layer

LENGTH = 7


def make_problem(variant, dtype, masked):
    generator = np.random.default_rng(3)
    layer = make_layer(
        variant, features=2, state_size=3, kernel_length=9, dt_min=1e-2, dt_max=1.0, dtype=dtype
    )
    u, weight = generator.normal(size=(2, 2, LENGTH, 2)).astype(dtype)
    mask = None
    if masked:
        mask = np.ones((2, LENGTH), bool)
        mask[0, 4:] = False
        mask[1, 2] = False
    return layer, u, weight, mask


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_layer(variant, dtype, masked):
    with double_precision() if dtype == "float64" else contextlib.nullcontext():
        check(variant, dtype, masked)


def check(variant, dtype, masked):
    layer, u, weight, mask = make_problem(variant, dtype, masked)
    u = keras.Variable(u, dtype=dtype, name="u")
    weighting = ops.convert_to_tensor(weight)

    def loss():
        tensor = None if mask is None else ops.convert_to_tensor(mask)
        return ops.sum(layer(ops.convert_to_tensor(u), mask=tensor) * weighting)

    values = oracles.weights(layer) | {"u": np.asarray(ops.convert_to_numpy(u), "float64")}

    def expected_loss(values):
        return (oracles.outputs(layer, values["u"], mask, values) * weight).sum()

    expected = oracles.gradient(expected_loss, values)
    variables = [*layer.weights, u]
    tolerance = 1e-7 if dtype == "float64" else 2e-5
    for variable, found in zip(variables, gradients(variables, loss), strict=True):
        difference = np.abs(found - expected[variable.name]).max()
        assert difference <= tolerance * np.abs(expected[variable.name]).max(), variable.name


def test_at_zero():
    """phi(x) and its gradient are finite at lambda = 0."""
    layer = make_layer("exp", features=2, state_size=3)
    layer.lambda_re.assign(np.full(3, -200.0))
    layer.lambda_im.assign(np.zeros(3))
    found = gradients(layer.weights[:-1], lambda: ops.sum(layer.kernel(5)))
    assert all(np.isfinite(g).all() for g in found)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="which is told what to compute")
@pytest.mark.parametrize("convolution", ["fft", "matmul"])
def test_gradients_of_gradients(convolution):
    """A gradient penalty on W, where the inputs want no gradient."""
    import torch

    layer = make_layer("exp", features=2, state_size=3, dtype="float64", convolution=convolution)
    x = torch.tensor(np.random.default_rng(0).normal(size=(1, 9, 2)))

    def penalty():
        loss = torch.sin(layer(x)).sum()
        found = torch.autograd.grad(loss, layer.W.value, create_graph=True)[0]
        return (found * found).sum()

    found = torch.autograd.grad(penalty(), layer.W.value)[0]
    direction = np.random.default_rng(1).normal(size=layer.W.shape)
    before, values = layer.W.numpy(), []
    for step in (1e-5, -1e-5):
        layer.W.assign(before + step * direction)
        values.append(penalty().item())
    expected = (values[0] - values[1]) / 2e-5
    np.testing.assert_allclose((found.numpy() * direction).sum(), expected, rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="which is told what to compute")
@pytest.mark.parametrize("glu", [False, True])
@pytest.mark.parametrize("convolution", ["fft", "matmul"])
def test_gradients_to_be_differentiated_again(convolution, glu):
    """They are the same, though residues depend on poles, and the inputs feed all parts."""
    import torch

    block = keras_dss.layers.DSSBlock(keras_dss.layers.DSS(3, convolution=convolution), glu=glu)
    block.build((None, 9, 2))
    x = torch.tensor(np.random.default_rng(0).normal(size=(1, 9, 2)), dtype=torch.float32)
    tensors = [x.requires_grad_(), *(variable.value for variable in block.trainable_variables)]

    def found(again):
        return torch.autograd.grad(torch.sin(block(x)).sum(), tensors, create_graph=again)

    for once, again in zip(found(False), found(True), strict=True):
        np.testing.assert_allclose(again.detach(), once, rtol=1e-4, atol=1e-5)
