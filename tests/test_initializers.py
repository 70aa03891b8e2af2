"""Initial parameters."""

import json

import keras
import numpy as np
import pytest
import scipy.linalg
from keras import ops

from keras_dss.initializers import LogUniform, ReducedRank, SkewHiPPO


def skew_hippo_matrix(size):
    """(A - A^T)/2 of HiPPO-LegS, entry by entry."""
    A = np.zeros((size, size))
    for n in range(size):
        for k in range(n):
            A[n, k] = -np.sqrt(2 * n + 1) * np.sqrt(2 * k + 1)
        A[n, n] = -(n + 1)
    return (A - A.T) / 2


@pytest.mark.parametrize("modes", [1, 2, 7, 64])
def test_skew_hippo(modes):
    values = scipy.linalg.eigvals(skew_hippo_matrix(2 * modes)).imag
    expected = np.sort(values[values > 0])
    im = ops.convert_to_numpy(SkewHiPPO("im")((modes,)))
    np.testing.assert_allclose(im, expected, rtol=1e-6)
    if modes == 64:
        assert (round(float(im[0]), 3), round(float(im[-1]), 1)) == (0.235, 5214.7)
    np.testing.assert_array_equal(ops.convert_to_numpy(SkewHiPPO("re")((modes,))), -0.5)
    log_neg_re = ops.convert_to_numpy(SkewHiPPO("log_neg_re")((modes,)))
    np.testing.assert_allclose(-np.exp(log_neg_re), -0.5, rtol=1e-6)


def test_skew_hippo_of_every_feature():
    values = ops.convert_to_numpy(SkewHiPPO("im")((2, 3, 5)))
    assert values.shape == (2, 3, 5) and values.dtype == "float32"
    np.testing.assert_array_equal(values, np.broadcast_to(values[0, 0], values.shape))


def test_log_uniform():
    values = ops.convert_to_numpy(LogUniform(1e-3, 1e-1, seed=1)((20000,)))
    low, high = np.log(1e-3), np.log(1e-1)
    assert low <= values.min() and values.max() <= high
    deciles = np.histogram(values, bins=10, range=(low, high))[0]
    assert np.abs(deciles - 2000).max() < 250
    again = ops.convert_to_numpy(LogUniform(1e-3, 1e-1, seed=1)((20000,)))
    np.testing.assert_array_equal(values, again)


def test_reduced_rank():
    values = np.random.default_rng(0).normal(size=(2, 3))
    initializer = ReducedRank(values)
    values[:] = 0.0  # a copy is held
    found = ops.convert_to_numpy(initializer((2, 3)))
    assert found.dtype == "float32" and np.abs(found).min() > 0.0
    again = ReducedRank.from_config(json.loads(json.dumps(initializer.get_config())))
    np.testing.assert_array_equal(ops.convert_to_numpy(again((2, 3))), found)
    assert keras.backend.standardize_dtype(initializer((2, 3), "float16").dtype) == "float16"


def test_reduced_rank_in_float64():
    values = np.random.default_rng(0).normal(size=(2, 3))
    initializer = ReducedRank(values, "float64")
    again = ReducedRank.from_config(json.loads(json.dumps(initializer.get_config())))
    np.testing.assert_array_equal(again.values, values)
    assert "dtype" not in ReducedRank(values).get_config()


@pytest.mark.parametrize(
    "initializer", [SkewHiPPO("im"), LogUniform(1e-4, 1e-2, seed=3), ReducedRank([[1.5, -2.0]])]
)
def test_round_trip(initializer):
    config = keras.initializers.serialize(initializer)
    again = keras.initializers.deserialize(json.loads(json.dumps(config)))
    assert type(again) is type(initializer)
    assert again.get_config() == initializer.get_config()
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again((1, 2))), ops.convert_to_numpy(initializer((1, 2)))
    )


def test_bad_input():
    with pytest.raises(ValueError, match="`part` must be .* Received: part='imag'"):
        SkewHiPPO("imag")
    for bounds in ((0.0, 1.0), (-1.0, 1.0), (0.2, 0.1)):
        with pytest.raises(ValueError, match=rf"Received: minimum={bounds[0]}, maximum="):
            LogUniform(*bounds)
    with pytest.raises(ValueError, match="must be finite. Received: 2 values that are not"):
        ReducedRank([1.0, np.nan, np.inf])
    with pytest.raises(ValueError, match="`dtype` must be one of .* Received: dtype='int8'"):
        ReducedRank([1.0], "int8")
    with pytest.raises(ValueError, match=r"have shape \(2,\). Received: shape=\(3,\)"):
        ReducedRank([1.0, 2.0])((3,))
