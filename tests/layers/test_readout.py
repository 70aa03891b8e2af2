"""From sequences to vectors."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import Readout
from keras_dss.layers.readout import READOUTS
from tests.layers.autodiff import double_precision
from tests.layers.oracles import numpy

MASK = np.array(
    [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]], bool
)


def expected(kind, inputs, mask):
    rows = [row[valid] for row, valid in zip(inputs, mask, strict=True)]
    take = {"mean": lambda r: r.mean(axis=0), "first": lambda r: r[0], "last": lambda r: r[-1]}
    return np.stack([take[kind](row) for row in rows])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", READOUTS)
def test_valid_steps_only(kind, masked):
    inputs = np.random.default_rng(0).normal(size=(5, 5, 3)).astype("float32")
    mask = MASK if masked else np.ones_like(MASK)
    tensor = ops.convert_to_tensor(mask) if masked else None
    found = numpy(Readout(kind)(inputs, mask=tensor))
    np.testing.assert_allclose(found, expected(kind, inputs, mask), atol=1e-6)


@pytest.mark.parametrize("kind", READOUTS)
def test_padding_may_be_anything(kind):
    inputs = np.random.default_rng(0).normal(size=(5, 5, 3)).astype("float32")
    padded = np.where(MASK[..., None], inputs, np.nan).astype("float32")
    found = numpy(Readout(kind)(padded, mask=ops.convert_to_tensor(MASK)))
    np.testing.assert_allclose(found, expected(kind, inputs, MASK), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", READOUTS)
def test_float64(kind, masked):
    inputs = np.random.default_rng(0).normal(size=(5, 5, 3))
    mask = MASK if masked else np.ones_like(MASK)
    with double_precision():
        tensor = ops.convert_to_tensor(mask) if masked else None
        outputs = Readout(kind, dtype="float64")(inputs, mask=tensor)
    np.testing.assert_allclose(numpy(outputs), expected(kind, inputs, mask), atol=1e-14)


@pytest.mark.parametrize("kind", READOUTS)
def test_no_valid_step(kind):
    mask = ops.convert_to_tensor(np.zeros((2, 4), bool))
    found = numpy(Readout(kind)(np.ones((2, 4, 3), "float32"), mask=mask))
    np.testing.assert_array_equal(found, np.zeros((2, 3)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3)])
@pytest.mark.parametrize("kind", READOUTS)
def test_nothing_to_read(kind, shape, masked):
    mask = ops.convert_to_tensor(np.ones(shape[:2], bool)) if masked else None
    found = numpy(Readout(kind)(np.ones(shape, "float32"), mask=mask))
    np.testing.assert_array_equal(found, np.zeros((shape[0], 3)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float16"])
def test_long_means_in_half_precision(policy, masked):
    """The sum of thousands of steps stays exact enough."""
    layer = Readout("mean", dtype=policy)
    mask = ops.convert_to_tensor(np.arange(5000)[None] < [[4001], [5000]]) if masked else None
    outputs = layer(100.0 * ops.ones((2, 5000, 3), dtype=layer.compute_dtype), mask=mask)
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    np.testing.assert_allclose(numpy(outputs), 100.0, rtol=4e-3)


def test_round_trip():
    layer = Readout("last", name="some_name")
    again = Readout.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((2, None, 7)) == (2, 7)


def test_unknown_kind():
    with pytest.raises(ValueError, match="`kind` must be one of .* Received: kind='max'"):
        Readout("max")
