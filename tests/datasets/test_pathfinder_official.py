import warnings

import numpy as np
import pytest
from PIL import Image

from keras_dss.datasets import lra_pathfinder, lra_pathx
from keras_dss.datasets.pathfinder import files, official


def write(folder, size, count=30, arrays=(1,)):
    """An official copy: three parts of images whose first pixel counts; its parity is the label."""
    (folder / "metadata").mkdir(parents=True)
    for part in range(3):
        (folder / "imgs" / str(part)).mkdir(parents=True)
        rows = []
        for i in range(part, count, 3):
            image = np.zeros((size, size), np.uint8)
            image[0, 0] = i % 256
            Image.fromarray(image).save(folder / "imgs" / str(part) / f"sample_{i}.png")
            rows.append([f"imgs/{part}", f"sample_{i}.png", i, i % 2, 1.0, 14, 4, 2, 0.5, 1, 1])
        file = folder / "metadata" / f"{part}.npy"
        if part in arrays:
            np.save(file, np.array(rows))
        else:
            file.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("task", [lra_pathfinder, lra_pathx])
def test_every_place_and_every_metadata(task, tmp_path):
    places = {
        "a": f"pathfinder{task.SIZE}/curv_contour_length_14",
        "b": "curv_contour_length_14",
        "c": "",
    }
    for name, place in places.items():
        root = tmp_path / name
        write(root / place, task.SIZE, arrays=((), (1,), (0, 1, 2))["abc".index(name)])
        seen = []
        for split, size in {"train": 24, "val": 3, "test": 3}.items():
            x, y = task.load(split, root)
            assert x.shape == (size, task.MAX_LENGTH, 1) and y.dtype == np.uint8
            np.testing.assert_array_equal(x.raw[:, 0] % 2, y)
            seen.extend(x.raw[:, 0].tolist())
            np.testing.assert_array_equal(task.load(split, root, examples=2)[0].raw, x.raw[:2])
        assert sorted(seen) == list(range(30))
    assert "30 images" in task.provenance(root).source
    assert not (tmp_path / "cache").exists()


def test_large_copies_are_converted_once(tmp_path, monkeypatch):
    folder = write(tmp_path / "data", 32)
    expected, labels = lra_pathfinder.load("train", folder)
    monkeypatch.setattr(files, "SMALL", 0)
    x, y = lra_pathfinder.load("train", folder)
    assert isinstance(x.raw, np.memmap)
    np.testing.assert_array_equal(x.raw, expected.raw)
    np.testing.assert_array_equal(y, labels)
    monkeypatch.setattr(official, "read_images", None)
    np.testing.assert_array_equal(lra_pathfinder.load("train", folder)[0].raw, expected.raw)
    (path,) = (tmp_path / "cache").iterdir()
    assert path.name.startswith("lra_pathfinder-official-") and path.name.endswith("-train-24")
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "SMALL", 0)
    (path / "x.npy").write_bytes((path / "x.npy").read_bytes()[:-1])
    np.testing.assert_array_equal(lra_pathfinder.load("train", folder)[0].raw, expected.raw)


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SMALL", 0)
    folder = write(tmp_path / "data", 32)
    (folder / "imgs" / "0" / "sample_0.png").write_bytes(b"")
    with pytest.raises(ValueError, match="sample_0.png: expected a PNG image"):
        for split in lra_pathfinder.SPLITS:
            lra_pathfinder.load(split, folder)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]


def test_defects_are_named(tmp_path):
    def load(folder):
        for split in lra_pathfinder.SPLITS:
            lra_pathfinder.load(split, folder)

    folder = write(tmp_path / "a", 32)
    image = folder / "imgs" / "1" / "sample_4.png"
    whole = image.read_bytes()
    for content in (b"", whole[:40], b"no picture"):
        image.write_bytes(content)
        with pytest.raises(ValueError, match="sample_4.png: expected a PNG image. Received: "):
            load(folder)
    Image.fromarray(np.zeros((32, 30), np.uint8)).save(image)
    with pytest.raises(ValueError, match="sample_4.png: expected 32 x 32 .*Received: 32 x 30"):
        load(folder)
    image.unlink()
    with pytest.raises(FileNotFoundError, match="sample_4.png is listed in the metadata"):
        load(folder)
    image.write_bytes(whole)
    load(folder)

    metadata = folder / "metadata" / "0.npy"
    text = metadata.read_text()
    for row, received in (
        ("imgs/0 sample_0.png 0", "sample_0.png 0'"),
        ("imgs/0 sample_0.png 0 2 1.0", "0 2 1.0'"),
    ):
        metadata.write_text(text + row + "\n")
        with pytest.raises(ValueError, match=f"0.npy, row 11: expected .*Received: .*{received}"):
            load(folder)
    metadata.write_text(text)
    with open(metadata.parent / "7.npy", "wb") as file:
        np.save(file, np.array([["imgs/0", 3]], object), allow_pickle=True)
    with pytest.raises(ValueError, match="7.npy: expected an array of text. Received: "):
        load(folder)
    (metadata.parent / "7.npy").unlink()

    for path in metadata.parent.iterdir():
        path.write_text("")
    with pytest.raises(ValueError, match="metadata: expected .*3 images. Received: 3 files with 0"):
        load(folder)


def test_the_known_empty_image_is_left_out(tmp_path):
    folder = write(tmp_path / "curv_baseline", 32, count=180)
    source = folder / "imgs" / "0" / "sample_171.png"
    empty = source.with_name("sample_172.png")  # not among those of part 0
    empty.write_bytes(b"")
    with open(folder / "metadata" / "0.npy", "a") as file:
        file.write("imgs/0 sample_172.png 172 0\n")
    with pytest.warns(UserWarning, match="sample_172.png is known to be empty"):
        assert len(official.read_metadata(folder)[1]) == 180
    empty.write_bytes(source.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(official.read_metadata(folder)[1]) == 181


def test_a_part_of_a_copy(tmp_path):
    (tmp_path / "imgs").mkdir()
    with pytest.raises(FileNotFoundError, match="only a part .*Received: imgs"):
        lra_pathfinder.load("test", tmp_path)
    (tmp_path / "pathfinder128" / "curv_contour_length_14").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="curv_contour_length_14 .*Received: neither"):
        lra_pathx.load("test", tmp_path)
