import numpy as np

from keras_dss.datasets.standardised import Standardised


def test_everything_that_is_read_is_standardised(tmp_path):
    raw = np.random.default_rng(0).integers(0, 256, (20, 6), np.uint8)
    np.save(tmp_path / "raw.npy", raw)
    x = Standardised(np.load(tmp_path / "raw.npy", mmap_mode="r"), mean=100.0, deviation=50.0)
    expected = ((raw.astype("float32") - 100) / 50)[..., None]
    assert x.shape == expected.shape and x.ndim == 3 and len(x) == 20 and x.nbytes == 120
    np.testing.assert_allclose(np.asarray(x), expected, rtol=1e-6)
    np.testing.assert_array_equal(x[[3, 1]], np.asarray(x)[[3, 1]])
    np.testing.assert_array_equal(x[7], np.asarray(x)[7])
    assert isinstance(x[:5], Standardised)
    np.testing.assert_array_equal(np.asarray(x[2:5]), np.asarray(x)[2:5])
    assert np.asarray(x, "float64").dtype == "float64"
