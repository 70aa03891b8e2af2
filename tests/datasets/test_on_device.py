import keras
import numpy as np
import pytest

from keras_dss.datasets import Batches, OnDevice
from keras_dss.datasets.standardised import Standardised

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 257, (20, 200)).astype("uint16")
TOKENS[np.arange(200) >= RNG.integers(10, 200, (20, 1))] = 0
PAIRS = np.stack([TOKENS, TOKENS[::-1]], axis=1)
ARRAYS = {
    "tokens": (TOKENS, np.arange(20, dtype="uint8")),
    "pairs": (PAIRS, np.arange(20, dtype="uint8")),
    "language": (TOKENS.astype("uint8"), TOKENS.astype("uint8")),
    "numbers": (RNG.normal(size=(20, 30, 2)).astype("float32"), RNG.normal(size=(20, 5, 2))),
    "bytes": (Standardised(RNG.integers(0, 256, (20, 30), np.uint8), 100.0, 50.0), np.arange(20)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_the_same_batches_as_from_the_host(name):
    x, y = ARRAYS[name]
    host = Batches(x, y, 4, seed=3)
    device = Batches(OnDevice(x), OnDevice(y), 4, seed=3)
    assert len(host) == len(device)
    for (x1, y1), (x2, y2) in zip(host, device, strict=True):
        for expected, found in ((x1, x2), (y1, y2)):
            assert keras.ops.is_tensor(found)
            found = keras.ops.convert_to_numpy(found)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-6)
