"""DSS-softmax layers, whose modes may grow over the length of their kernel."""

import keras
import numpy as np
import pytest

from keras_dss import compress_model
from keras_dss.layers import DSS
from tests.layers.oracles import numpy


@pytest.mark.parametrize("bidirectional", [False, True])
def test_softmax_kernels_that_grow_fast(bidirectional):
    options = {"parameterization": "softmax", "kernel_length": 256, "bidirectional": bidirectional}
    layer = DSS(16, **options)
    model = keras.Sequential([keras.Input((256, 8)), layer])
    for growth in (0.5, 5.0):
        layer.lambda_re.assign(np.where(np.arange(16) % 2, -0.5, growth))
        kernel = numpy(layer.kernel(256))
        for rank in (1, 4, 8):
            small = compress_model(model, rank)
            error = np.linalg.norm(numpy(small.layers[0].kernel(256)) - kernel, axis=-1)
            assert np.all(error <= 1.0001 * np.linalg.norm(kernel, axis=-1))
    small = compress_model(model, budget=0.5)
    assert small.layers[0].state_size == 8


@pytest.mark.parametrize("growing", [False, True])
def test_softmax(growing):
    layer = DSS(6, parameterization="softmax", kernel_length=40)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    if growing:
        layer.lambda_re.assign([-0.5, 0.5, -0.1, 0.3, -0.4, 0.2])
    full = layer.to_system().impulse_response(40)
    errors = []
    for rank in (1, 3, 5):
        small = compress_model(model, rank)
        assert small.layers[0].kernel_length == 40
        reduced = small.layers[0].to_system().impulse_response(40)
        errors.append(np.abs(reduced - full).max() / np.abs(full).max())
    assert errors[2] < errors[0] and errors[2] < 0.05
