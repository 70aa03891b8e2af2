import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss.compression.number_formats import FORMATS, int8_scales, pack


@st.composite
def arrays(draw):
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.normal(size=shape) * 10.0 ** draw(st.integers(-4, 3))
    array[rng.uniform(size=shape) < draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))] = 0.0
    return array.astype("float32")


@settings(max_examples=60, deadline=None)
@given(arrays(), st.sampled_from(FORMATS))
def test_what_is_unpacked_is_rounded_once(array, number_format):
    packed = pack(array, number_format)
    unpacked = packed.unpack()
    error = np.abs(unpacked - array).max()
    largest = np.abs(array).max()
    assert unpacked.dtype == "float32" and unpacked.shape == array.shape
    assert error <= largest * {"float32": 0.0, "float16": 2**-11, "int8": 0.5001 / 127}[
        number_format
    ] + (2**-25 if number_format == "float16" else 0.0)
    again = pack(unpacked, number_format)
    np.testing.assert_array_equal(again.unpack(), unpacked)
    np.testing.assert_array_equal(again.values, packed.values)


@settings(max_examples=60, deadline=None)
@given(arrays(), st.sampled_from(FORMATS))
def test_bytes_are_those_of_the_smaller_encoding(array, number_format):
    packed = pack(array, number_format)
    itemsize = {"float32": 4, "float16": 2, "int8": 1}[number_format]
    scales = 4 if number_format == "int8" else 0
    used = np.count_nonzero(packed.unpack())
    dense, sparse = array.size * itemsize, -(-array.size // 8) + used * itemsize
    assert packed.nbytes == min(dense, sparse) + scales
    parts = [packed.values, packed.scales, packed.bitmap]
    assert sum(len(part.tobytes()) for part in parts if part is not None) == packed.nbytes


def test_each_channel_has_a_scale_that_a_float32_holds_exactly():
    array = np.random.default_rng(0).normal(size=(20, 6)) * 10.0 ** np.arange(-3, 3)
    packed = pack(array, "int8", axes=(0,))
    assert packed.scales.shape == (1, 6)
    assert np.abs(packed.values).max(axis=0).tolist() == [127] * 6
    exact = packed.values.astype("float64") * packed.scales.astype("float64")
    np.testing.assert_array_equal(packed.unpack(), exact)
    assert np.all(np.abs(exact - array) <= 0.5001 * np.abs(array).max(axis=0) / 127)


def test_scales_of_zeros_and_of_tiny_numbers_are_finite():
    assert int8_scales(np.zeros((3, 2)), (0,)).tolist() == [[1.0, 1.0]]
    assert np.isfinite(int8_scales(np.full(3, 1e-44), None)).all()


def test_numbers_that_a_format_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="up to 65504 for float16. Received: 1e\\+06"):
        pack(np.array([1e6]), "float16")
    with pytest.raises(ValueError, match="Received: NaN"):
        pack(np.array([np.nan]), "int8")
    with pytest.raises(ValueError, match="Received: 'int4'"):
        pack(np.ones(2), "int4")
