import io
import lzma
import tarfile

import keras
import numpy as np
import pytest

from keras_dss.datasets import lra_image
from keras_dss.datasets.standardised import Standardised

SIZES = {"train": 100, "test": 12}


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def colour():
    """Images (n, 32, 32, 3) and labels of each part; the label is the first red value modulo 10."""
    rng = np.random.default_rng(0)
    images = {
        part: rng.integers(0, 256, (size, 32, 32, 3), np.uint8) for part, size in SIZES.items()
    }
    return {part: (found, found[:, 0, 0, 0] % 10) for part, found in images.items()}


def luma(rgb):
    """The definition, in real numbers."""
    return np.floor(rgb @ np.array([19595, 38470, 7471]) / 65536 + 0.5).astype(np.uint8)


def write_gray(folder, colour, **changes):
    arrays = {}
    for part, (images, labels) in colour.items():
        arrays |= {f"x_{part}": luma(images).reshape(-1, 1024), f"y_{part}": labels}
    content = io.BytesIO()
    np.savez(content, **(arrays | changes))
    (folder / "cifar10_gray.npz.xz").write_bytes(lzma.compress(content.getvalue()))


def binary_files(colour):
    def records(images, labels):
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        return np.hstack([labels[:, None], planes]).tobytes()

    files = {
        f"data_batch_{i + 1}.bin": records(*(a[20 * i : 20 * i + 20] for a in colour["train"]))
        for i in range(5)
    }
    return files | {"test_batch.bin": records(*colour["test"]), "batches.meta.txt": b"airplane\n"}


def write_folder(folder, files):
    (folder / "cifar-10-batches-bin").mkdir()
    for name, content in files.items():
        (folder / "cifar-10-batches-bin" / name).write_bytes(content)


def write_archive(folder, files):
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def check(colour, data_dir):
    """The splits are those of the colour images, and what they are."""
    rows = {}
    for split, size in {"train": 90, "validation": 10, "test": 12}.items():
        x, y = lra_image.load(split, data_dir)
        assert isinstance(x, Standardised) and x.raw.dtype == np.uint8
        assert x.shape == (size, 1024, 1) and x[:2][[0, 1]].dtype == np.float32
        assert y.shape == (size,) and y.dtype == np.uint8
        images, labels = colour["test" if split == "test" else "train"]
        gray = luma(images).reshape(-1, 1024)
        rows[split] = [np.flatnonzero((gray == row).all(axis=1)).item() for row in x.raw]
        np.testing.assert_array_equal(labels[rows[split]], y)
        np.testing.assert_array_equal(np.asarray(x), lra_image.encode(images[rows[split]]))
    assert sorted(rows["train"] + rows["validation"]) == list(range(100))
    assert rows["test"] == list(range(12)) and rows["train"] == sorted(rows["train"])


def test_gray_file(colour, tmp_path, monkeypatch):
    write_gray(tmp_path, colour, lossy_train=np.arange(3), lossy_test=np.arange(2))
    check(colour, tmp_path)
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(tmp_path))
    check(colour, None)


def test_binary_version(colour, tmp_path):
    write_archive(tmp_path, binary_files(colour))
    check(colour, tmp_path)
    (tmp_path / "cifar-10-binary.tar.gz").unlink()
    write_folder(tmp_path, binary_files(colour))
    check(colour, tmp_path)


def test_download(colour, tmp_path, monkeypatch):
    parts = tuple((images, labels[:, None]) for images, labels in colour.values())
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: parts)
    check(colour, None)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"pickled")
    check(colour, tmp_path)


def test_gray_is_the_luma_of_every_colour():
    steps = np.array([*range(0, 256, 5), 254], np.uint8)
    rgb = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
    gray = lra_image.to_gray(rgb)
    assert gray.dtype == np.uint8
    np.testing.assert_array_equal(gray, luma(rgb))
    np.testing.assert_allclose(gray, rgb @ [0.299, 0.587, 0.114], atol=0.51)
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_array_equal(lra_image.to_gray(every), every[:, 0])


def test_encode(colour):
    images = colour["test"][0]
    gray = lra_image.to_gray(images)  # (n, 32, 32)
    x = lra_image.encode(images)
    assert x.shape == (12, 1024, 1) and x.dtype == np.float32
    np.testing.assert_allclose(
        x[3, 32 * 5 + 7, 0], (gray[3, 5, 7] - lra_image.MEAN) / lra_image.STANDARD_DEVIATION, 1e-6
    )
    np.testing.assert_array_equal(lra_image.encode(gray), x)
    np.testing.assert_array_equal(lra_image.encode(gray.reshape(-1, 1024)), x)
    assert lra_image.encode(gray[:0]).shape == (0, 1024, 1)
    for wrong in (gray.astype("float32"), gray[0], images[0], images[:, :28]):
        with pytest.raises(ValueError, match="uint8 images .n, 32, 32.*Received: "):
            lra_image.encode(wrong)


def test_provenance(colour, tmp_path, monkeypatch):
    assert "keras.datasets.cifar10" in lra_image.provenance().source
    write_archive(tmp_path, binary_files(colour))
    assert "cifar-10-binary.tar.gz" in lra_image.provenance(tmp_path).source
    write_folder(tmp_path, binary_files(colour))
    assert "folder cifar-10-batches-bin" in lra_image.provenance(tmp_path).source
    write_gray(tmp_path, colour)
    found = lra_image.provenance(tmp_path)
    assert "cifar10_gray.npz.xz" in found.source and "SHA-256" in found.source
    assert found.defects == () and "45,000" in found.description
    assert any("189 images" in text for _, defects in lra_image._KNOWN.values() for text in defects)


def test_errors_of_the_gray_file(colour, tmp_path):
    def expect(message, split="train"):
        with pytest.raises(ValueError, match="cifar10_gray.npz.xz" + message):
            lra_image.load(split, tmp_path)

    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        lra_image.load("dev", tmp_path)
    path = tmp_path / "cifar10_gray.npz.xz"
    write_gray(tmp_path, colour)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    expect(": Compressed file ended")
    path.write_bytes(b"something else")
    expect(": ")
    path.write_bytes(lzma.compress(b"something else"))
    expect(": expected a complete NumPy archive .*Received: ")
    write_gray(tmp_path, {"train": colour["train"]})
    expect(": expected arrays .'x_test', 'y_test'.. Received: ", "test")
    labels = np.arange(100, dtype=np.uint8) % 10
    labels[37] = 10
    write_gray(tmp_path, colour, y_train=labels)
    expect(", array y_train, record 37: expected a label 0 to 9. Received: 10")
    write_gray(tmp_path, colour, x_train=np.zeros((100, 784), np.uint8))
    expect(r", array x_train: expected uint8 .100, 1024.. Received: uint8 .100, 784.")
    write_gray(tmp_path, colour, y_train=np.array([{}] * 100, object))
    expect(": .*pickle")


def test_errors_of_the_binary_version(colour, tmp_path):
    files = binary_files(colour)
    write_folder(tmp_path, files)
    folder = tmp_path / "cifar-10-batches-bin"
    (folder / "data_batch_2.bin").write_bytes(files["data_batch_2.bin"][:-1])
    with pytest.raises(ValueError, match="data_batch_2.bin, record 19: .*3073 .*Received: 3072"):
        lra_image.load("train", tmp_path)
    changed = bytearray(files["data_batch_2.bin"])
    changed[3 * 3073] = 11
    (folder / "data_batch_2.bin").write_bytes(changed)
    with pytest.raises(ValueError, match="data_batch_2.bin, record 3: .* Received: 11"):
        lra_image.load("train", tmp_path)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(FileNotFoundError, match="batches-bin holds .* Missing: data_batch_2.bin"):
        lra_image.load("train", tmp_path)
    (folder / "data_batch_2.bin").write_bytes(files["data_batch_2.bin"])
    check(colour, tmp_path)


def test_a_truncated_archive(colour, tmp_path):
    write_archive(tmp_path, binary_files(colour))
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="binary.tar.gz: .*last member read is .*data_batch_2.bin"):
        lra_image.load("train", tmp_path)


def test_without_data(tmp_path, monkeypatch):
    def fail():
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    message = "cifar10_gray.npz.xz, cifar-10-binary.tar.gz .*KERAS_DSS_DATA_DIR.*no network"
    for data_dir in (None, tmp_path):
        with pytest.raises(FileNotFoundError, match=message):
            lra_image.load("train", data_dir)
