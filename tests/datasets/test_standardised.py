import copy
import pickle

import keras
import numpy as np
import pytest

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


@pytest.fixture
def x():
    raw = np.random.default_rng(0).integers(0, 256, (20, 6), np.uint8)
    return Standardised(raw, mean=100.0, deviation=50.0)


@pytest.mark.parametrize(
    "index",
    [
        -1,
        [3, 1],
        np.arange(20) % 3 == 0,
        np.zeros((2, 2), int),
        slice(None, None, -2),
        ...,
        None,
        (),
        (..., 0),
        (slice(None), slice(None), 0),
        (slice(2), slice(3), slice(None)),
        (slice(None), [0, 2]),
        ([0, 1], [2, 3], 0),
        (0, ..., None),
        (4, 5, 0),
    ],
)
def test_every_index_of_numpy(x, index):
    expected = np.asarray(x)[index]
    received = np.asarray(x[index])
    assert received.shape == expected.shape and received.dtype == np.float32
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("index", [20, (0, 6), (0, 0, 1), (0, 0, 0, 0)])
def test_an_index_out_of_bounds(x, index):
    with pytest.raises(IndexError):
        x[index]


def test_operators_methods_and_functions_of_arrays(x):
    a = np.asarray(x)
    assert x.size == 120 and x.reshape(20, -1).shape == (20, 6) and x.T.shape == (1, 6, 20)
    assert x.astype("float64").dtype == "float64" and x.tolist() == a.tolist()
    assert x.mean() == x[:].mean() == np.mean(x) == a.mean()
    assert x.max(axis=1).shape == (20, 1) and np.concatenate([x, x]).shape == (40, 6, 1)
    for received, expected in (
        (x == x, a == a),
        (x < 0.5, a < 0.5),
        (x[:4] - 1, a[:4] - 1),
        (1 - x, 1 - a),
        (a * x, a * a),
        (-x, -a),
        (np.exp(x), np.exp(a)),
    ):
        np.testing.assert_array_equal(received, expected)


def test_nothing_is_written(x):
    before = np.array(x)
    with pytest.raises(TypeError):
        x += 1
    with pytest.raises(TypeError):
        x[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        x.sort()
    with pytest.raises(ValueError, match="`copy` None or True.* Received: False"):
        x.__array__(copy=False)
    np.testing.assert_array_equal(x, before)


def test_copies_and_unknown_attributes(x):
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert isinstance(other, Standardised) and (other == x).all()
    with pytest.raises(AttributeError, match="'Standardised' object has no attribute 'means'"):
        _ = x.means
    assert not hasattr(x, "__array_interface__")


def test_keras_computes_it_once(x, monkeypatch):
    computed = []
    whole = Standardised.__array__
    monkeypatch.setattr(
        Standardised, "__array__", lambda self, *a, **k: computed.append(1) or whole(self, *a, **k)
    )
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((20, 1)), validation_split=0.2, verbose=0)
    assert len(computed) == 1
    expected = model.predict(np.asarray(x), verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
