"""Joining steps against a loop, with and without padding."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import Downsample
from tests.layers.oracles import numpy


def windows(x, mask, factor):
    """(L, H) -> list of the windows, (f H,) each, by a loop."""
    found = []
    for start in range(0, len(x), factor):
        steps = [
            x[i] if i < len(x) and mask[i] else np.zeros(x.shape[1])
            for i in range(start, start + factor)
        ]
        found.append(np.concatenate(steps))
    return found


@pytest.mark.parametrize("length", [12, 13, 14, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_is_a_linear_map_of_windows(length, masked):
    generator = np.random.default_rng(length)
    x = generator.normal(size=(2, length, 4)).astype("float32")
    mask = np.ones((2, length), bool)
    if masked:
        mask[0, length // 2 :] = False
        mask[1, :1] = False
    layer = Downsample(3)
    found = numpy(layer(x, mask=ops.convert_to_tensor(mask) if masked else None))
    kernel, bias = (numpy(w) for w in layer.weights)
    expected = [
        [kernel.T @ w + bias for w in windows(*pair, 3)] for pair in zip(x, mask, strict=True)
    ]
    np.testing.assert_allclose(found, np.array(expected), atol=1e-5)
    assert found.shape == layer.compute_output_shape(x.shape)


def test_padding_may_be_anything():
    x, mask = np.ones((1, 6, 2), "float32"), np.array([[1, 1, 1, 1, 0, 0]], bool)
    padded = np.where(mask[..., None], x, np.nan).astype("float32")
    layer, mask = Downsample(3), ops.convert_to_tensor(mask)
    np.testing.assert_array_equal(numpy(layer(padded, mask=mask)), numpy(layer(x, mask=mask)))


@pytest.mark.parametrize("shape", [(0, 7), (2, 0)])
def test_nothing_to_join(shape):
    mask, layer = ops.convert_to_tensor(np.ones(shape, bool)), Downsample(3)
    found = layer(np.ones((*shape, 2), "float32"), mask=mask)
    expected = (shape[0], -(-shape[1] // 3))
    assert found.shape == (*expected, 2) and layer.compute_mask(None, mask).shape == expected


@pytest.mark.parametrize("length", [6, 7, 8])
def test_a_window_is_valid_if_one_of_its_steps_is(length):
    mask = np.random.default_rng(1).random((5, length)) < 0.3
    expected = [[m[i : i + 3].any() for i in range(0, length, 3)] for m in mask]
    found = Downsample(3).compute_mask(None, ops.convert_to_tensor(mask))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)
    assert Downsample(3).compute_mask(None, None) is None


def test_any_length_in_one_model():
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, Downsample(4)(inputs))
    assert model.output_shape == (None, None, 2)
    for length in (3, 4, 9):
        x = np.ones((2, length, 2), "float32")
        assert model.predict(x, verbose=0).shape == (2, -(-length // 4), 2)


def test_configuration_and_freezing():
    layer = Downsample(2, name="join")
    layer.build((None, 4, 3))
    assert [tuple(w.shape) for w in layer.weights] == [(6, 3), (3,)]
    again = Downsample.from_config(layer.get_config())
    assert (again.factor, again.name) == (2, "join")
    frozen = Downsample(2, trainable=False)
    frozen.build((None, 4, 3))
    assert not frozen.trainable_weights and len(frozen.weights) == 2


def test_a_frozen_map_comes_back_frozen():
    layer = Downsample(2)
    layer.build((None, 4, 3))
    layer.mix.trainable = False
    again = Downsample.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, 4, 3))
    assert again.get_config() == layer.get_config() and not again.trainable_weights


@pytest.mark.parametrize("factor", [0, -1, 2.0, True, None])
def test_other_factors(factor):
    with pytest.raises(ValueError, match=r"`factor` must be a positive integer. Received"):
        Downsample(factor)
