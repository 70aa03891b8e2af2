import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_dss import datasets
from keras_dss.datasets import lra_pathfinder, lra_pathx
from keras_dss.datasets.pathfinder import files
from keras_dss.datasets.pathfinder.generator import draw_chunk
from keras_dss.datasets.pathfinder.membership import CONTOUR, OTHER
from keras_dss.datasets.pathfinder.settings import SETTINGS

PACKAGE = Path(datasets.__file__).parent.parent

# A program that draws without importing the package, and with it Keras.
PROGRAM = f"""
import sys, types
package = sys.modules["keras_dss"] = types.ModuleType("keras_dss")
package.__path__ = [{str(PACKAGE)!r}]
package = sys.modules["keras_dss.datasets"] = types.ModuleType("keras_dss.datasets")
package.__path__ = [{str(PACKAGE / "datasets")!r}]
from keras_dss.datasets.pathfinder import files
from keras_dss.datasets.pathfinder.generator import draw_chunk
from keras_dss.datasets.pathfinder.membership import CONTOUR, OTHER
from keras_dss.datasets.pathfinder.settings import SETTINGS
files.load("t", 128, "train", None, 20_000, sys.argv[1], workers=2)
"""


@pytest.fixture(autouse=True)
def no_data(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("task", [lra_pathfinder, lra_pathx])
def test_small_parts_are_drawn_at_once(task, tmp_path):
    x, y = task.load("val", examples=6)
    assert x.shape == (6, task.MAX_LENGTH, 1) and x.dtype == np.float32
    assert y.shape == (6,) and y.dtype == np.uint8
    images = x.raw.reshape(6, task.SIZE, task.SIZE)
    np.testing.assert_array_equal(task.encode(images), np.asarray(x))
    assert not (tmp_path / "cache").exists()


def test_processes_draw_the_same_and_import_no_keras(tmp_path, monkeypatch):
    for name in ("keras", "tensorflow", "jax", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('a worker imports a backend')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    expected = None
    for workers in (1, 2):
        cache = tmp_path / str(workers)
        x, y = lra_pathx.load("test", examples=51, workers=workers, cache_dir=cache)
        assert isinstance(x.raw, np.memmap) and not x.raw.flags.writeable
        assert sorted(path.name for path in cache.iterdir()) == ["lra_pathx-v1-seed0-test-51"]
        assert (x.raw.max(axis=1) >= 250).all()
        if expected:
            np.testing.assert_array_equal(x.raw, expected[0])
            np.testing.assert_array_equal(y, expected[1])
        expected = x.raw, y
    small, labels = lra_pathx.load("test", examples=5)  # drawn here, a part of chunk 0
    np.testing.assert_array_equal(small.raw, expected[0][:5])
    np.testing.assert_array_equal(labels, expected[1][:5])

    # What is there is mapped, not drawn again.
    monkeypatch.setattr(files, "generate", None)
    again, _ = lra_pathx.load("test", examples=51, cache_dir=tmp_path / "1")
    np.testing.assert_array_equal(again.raw, expected[0])


def test_easier_images_are_drawn_beside_the_others(tmp_path):
    x, y = lra_pathfinder.load("train", examples=1001, contour_length=3, workers=2)
    assert x.shape == (1001, 1024, 1) and y.shape == (1001,)
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.name == "lra_pathfinder-v1-seed0-contours3-train-1001"
    small, _ = lra_pathfinder.load("train", examples=7, contour_length=3, cache_dir=tmp_path / "b")
    np.testing.assert_array_equal(small.raw, x.raw[:7])
    # chunks take turns: two dashes a contour, then three, which are more ink
    assert x.raw[:500].mean() < x.raw[500:1000].mean()


def test_easier_images_need_no_official_copy(tmp_path):
    expected, _ = lra_pathfinder.load("train", examples=3, contour_length=4)
    (tmp_path / "curv_contour_length_14").mkdir()  # which lacks everything
    x, _ = lra_pathfinder.load("train", tmp_path, examples=3, contour_length=4)
    np.testing.assert_array_equal(x.raw, expected.raw)


@pytest.mark.parametrize("task", [lra_pathfinder, lra_pathx])
def test_pixels_are_labelled_where_the_dashes_are(task, tmp_path):
    settings = SETTINGS[task.SIZE]
    scenes, labels = draw_chunk(settings, 0, 0, 0)
    x, y, z = task.load("train", examples=settings.chunk, step_labels=True)
    expected, _ = task.load("train", examples=settings.chunk)
    np.testing.assert_array_equal(x.raw, expected.raw)
    np.testing.assert_array_equal(y, labels)
    assert z.shape == x.shape[:2] and z.dtype == np.uint8 and set(np.unique(z)) == {0, 1, 2}
    assert x.raw[z > 0].mean() > 5 * x.raw[z == 0].mean()
    for image in range(8):
        pixels = z[image].reshape(task.SIZE, task.SIZE)
        first, second = sorted(scenes.markers[image, labels[image]].astype(int).tolist())
        assert around(pixels, first) == {CONTOUR}
        assert around(pixels, second) == {CONTOUR if labels[image] else OTHER}
    # as many dashes of the contour in either class: they alone do not give the answer away
    counts = (z == CONTOUR).sum(axis=1)
    assert abs(counts[y == 1].mean() - counts[y == 0].mean()) < 0.05 * counts.mean()


def around(pixels, middle):
    """Labels of dashes near a marker, of which the nearest snake alone can be."""
    row, column = middle
    near = pixels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    return set(near[near > 0].tolist())


def test_labels_of_pixels_are_drawn_by_processes_too(tmp_path):
    given = {"contour_length": 3, "step_labels": True}
    x, y, z = lra_pathfinder.load("train", examples=1001, workers=2, **given)
    (folder,) = (tmp_path / "cache").iterdir()
    assert folder.name == "lra_pathfinder-v1-seed0-contours3-steps-train-1001"
    assert sorted(path.name for path in folder.iterdir()) == ["steps.npy", "x.npy", "y.npy"]
    x_alone, y_alone = lra_pathfinder.load("train", examples=1001, contour_length=3)
    assert list((tmp_path / "cache").iterdir()) == [folder]
    np.testing.assert_array_equal(x_alone.raw, x.raw)
    np.testing.assert_array_equal(y_alone, y)
    again = lra_pathfinder.load("train", examples=1001, **given)
    small = lra_pathfinder.load("train", examples=7, cache_dir=tmp_path / "b", **given)
    for found in (again, small):
        for array, expected in zip(found, (x, y, z), strict=True):
            array, expected = (getattr(each, "raw", each) for each in (array, expected))
            np.testing.assert_array_equal(array, expected[: len(array)])


@pytest.mark.parametrize("given", [{}, {"contour_length": 3}])
def test_strips_are_drawn_beside_the_others(tmp_path, given):
    x, y, z = lra_pathx.load("train", examples=101, height=32, step_labels=True, workers=2, **given)
    assert x.shape == (101, 32 * 128, 1) and z.shape == x.shape[:2] and y.shape == (101,)
    (folder,) = (tmp_path / "cache").iterdir()
    contours = "-contours3" if given else ""
    assert folder.name == f"lra_pathx-v1-seed0{contours}-rows32-steps-train-101"
    small, *_ = lra_pathx.load("train", examples=7, height=32, cache_dir=tmp_path / "b", **given)
    np.testing.assert_array_equal(small.raw, x.raw[:7])
    other, *_ = lra_pathx.load("train", examples=7, height=40, **given)
    assert other.shape == (7, 40 * 128, 1)
    assert (x.raw.max(axis=1) >= 250).all() and (other.raw.max(axis=1) >= 250).all()


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
@pytest.mark.parametrize("kept", [0, 40, -1, None])
def test_damaged_caches_are_drawn_anew(tmp_path, monkeypatch, name, kept):
    monkeypatch.setattr(files, "generate", draw_ones)
    expected, labels = lra_pathfinder.load("test", examples=501)
    (folder,) = (tmp_path / "cache").iterdir()
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if kept is not None:
        (folder / name).write_bytes(content[:kept])
    x, y = lra_pathfinder.load("test", examples=501)
    np.testing.assert_array_equal(x.raw, expected.raw)
    np.testing.assert_array_equal(y, labels)
    assert list((tmp_path / "cache").iterdir()) == [folder]


def draw_ones(folder, size, seed, split, examples, workers, advance, easier, step_labels):
    np.save(folder / "x.npy", np.ones((examples, size**2), np.uint8))
    np.save(folder / "y.npy", np.ones(examples, np.uint8))
    if step_labels:
        np.save(folder / "steps.npy", np.ones((examples, size**2), np.uint8))


def test_a_failing_process_is_reported(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise ImportError('no numpy here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="failed: (.|\n)*no numpy here"):
        lra_pathx.load("test", examples=51, workers=2)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(folder, *_):
        np.save(folder / "x.npy", np.zeros(3))
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "generate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lra_pathx.load("test", examples=51)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_killed_run_is_never_taken_for_whole(tmp_path):
    cache = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(cache)])
    try:
        deadline = time.monotonic() + 60
        while not list(cache.glob(".t-*/y.npy")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.kill()
        process.wait()
    assert [path for path in cache.iterdir() if not path.name.startswith(".")] == []
    for child in children:  # they notice when they next report
        os.kill(int(child), signal.SIGTERM)


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        lra_pathfinder.load("dev")
    with pytest.raises(ValueError, match="between 0 and 20000.*Received: 20001"):
        lra_pathfinder.load("test", examples=20_001)
    for wrong in ({"workers": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match="Received: workers="):
            lra_pathfinder.load("test", examples=2, **wrong)
    for length in (1, 15):
        with pytest.raises(ValueError, match=f"between 2 and 14 dashes. Received: {length}"):
            lra_pathfinder.load("train", examples=2, contour_length=length)
    with pytest.raises(ValueError, match="between 2 and 5 dashes in 32 rows. Received: 6"):
        lra_pathx.load("train", examples=2, contour_length=6, height=32)
    for height in (31, 129):
        with pytest.raises(ValueError, match=f"between 32 and 128 rows. Received: {height}"):
            lra_pathx.load("train", examples=2, height=height)
    for task in (lra_pathfinder, lra_pathx):
        for wrong in (np.zeros((2, 8, 8), np.uint8), np.zeros((2, task.SIZE, task.SIZE))):
            with pytest.raises(ValueError, match=f"uint8 images .n, {task.SIZE}, .*Received: "):
                task.encode(wrong)


def test_provenance():
    found = lra_pathx.provenance(seed=3)
    assert "128 x 128" in found.description
    assert "version 1, seed 3" in found.source and "not the images" in found.source
