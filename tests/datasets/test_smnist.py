import keras
import numpy as np
import pytest

from keras_dss.datasets import smnist


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with images in the layout of MNIST; the label is the corner pixel modulo 10."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, size in (("train", 60_000), ("test", 10_000)):
        images = np.zeros((size, 28, 28), np.uint8)
        images[:, 0, 0] = rng.integers(0, 256, size)
        arrays |= {f"x_{part}": images, f"y_{part}": images[:, 0, 0] % 10}
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    return tmp_path


def test_load(folder, monkeypatch):
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(folder))
    for split, size in smnist.SPLITS.items():
        x, y = smnist.load(split)
        assert x.shape == (size, 784, 1) and x.dtype == np.float32
        assert y.shape == (size,) and y.dtype == np.uint8
        corner = np.rint(x[:, 0, 0] * smnist.STANDARD_DEVIATION + smnist.MEAN)
        np.testing.assert_array_equal(corner % 10, y)
    np.testing.assert_array_equal(smnist.load("val", folder)[1], smnist.load("validation")[1])


def test_provenance(folder):
    found = smnist.provenance(folder)
    assert "mnist.npz" in found.source and "SHA-256" in found.source and found.defects == ()
    assert "keras.datasets.mnist" in smnist.provenance().source


def test_encode():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 1, 2] = 255
    x = smnist.encode(image)
    assert x[0, 30, 0] == pytest.approx((255 - smnist.MEAN) / smnist.STANDARD_DEVIATION)
    assert x[0, 0, 0] == pytest.approx(-smnist.MEAN / smnist.STANDARD_DEVIATION)
    for wrong in (image.astype("float32"), image[0], np.zeros((2, 784), np.uint8)):
        with pytest.raises(ValueError, match="uint8 images .n, 28, 28.. Received: "):
            smnist.encode(wrong)


@pytest.mark.parametrize("damage", ["empty", "text", "truncated"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_test=np.zeros((2, 28, 28), np.uint8), y_test=np.zeros(2, np.uint8))
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"no archive", "truncated": whole[:-500]}[damage])
    with pytest.raises(ValueError, match="mnist.npz: expected a complete .*Received: "):
        smnist.load("test", tmp_path)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        ((2, 28, 28), [77, 300], "y_test, record 0: expected a label 0 to 9. Received: 77"),
        ((2, 28, 28), [9, 256], "y_test, record 1: expected a label 0 to 9. Received: 256"),
        ((2, 28, 28), [0, -1], "y_test, record 1: expected a label 0 to 9. Received: -1"),
        ((2, 28, 28), [0.5, 1.0], "y_test: expected integers .n,.. Received: float64 .2,."),
        ((2, 28, 28), [[1], [2]], "y_test: expected integers .n,.. Received: int64 .2, 1."),
        ((2, 28, 28), [0] * 5, "x_test: expected uint8 .5, 28, 28.. Received: uint8 .2, 28, 28."),
        ((2, 784), [0, 1], "x_test: expected uint8 .2, 28, 28.. Received: uint8 .2, 784."),
    ],
)
def test_wrong_arrays_are_named(tmp_path, images, labels, message):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_test=np.zeros(images, np.uint8), y_test=np.array(labels))
    with pytest.raises(ValueError, match=f"mnist.npz, array {message}"):
        smnist.load("test", tmp_path)


def test_images_of_another_type_are_named(tmp_path):
    np.savez(tmp_path / "mnist.npz", x_test=np.zeros((2, 28, 28)), y_test=np.array([0, 1]))
    with pytest.raises(ValueError, match="array x_test: expected uint8 .*Received: float64"):
        smnist.load("test", tmp_path)


def test_errors(folder, monkeypatch):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        smnist.load("dev", folder)
    np.savez(folder / "mnist.npz", images=np.zeros(3))
    with pytest.raises(ValueError, match="mnist.npz: expected arrays .*Received: .'images'"):
        smnist.load("train", folder)

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    (folder / "mnist.npz").unlink()
    with pytest.raises(FileNotFoundError, match="mnist.npz .*KERAS_DSS_DATA_DIR.*no network"):
        smnist.load("train", folder)
