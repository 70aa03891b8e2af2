import importlib
import types

import numpy as np
import pytest

from keras_dss.datasets.grades import Grades
from recipes.data import Epochs, Splits
from recipes.options import TASKS

X = np.zeros((50, 300), "uint8")
for row, length in enumerate(np.random.default_rng(0).integers(20, 300, 50)):
    X[row, :length] = 1 + row % 9
Y = np.arange(50)


def labels(batches):
    return [y.tolist() for _, y in batches]


def test_order_follows_from_seed_and_epoch():
    one, same, other = (Epochs(X, Y, 8, seed) for seed in (1, 1, 2))
    list(same.epoch(7))  # what was asked before leaves no trace
    assert labels(one.epoch(3)) == labels(same.epoch(3))
    assert labels(one.epoch(3)) != labels(one.epoch(4))
    assert labels(one.epoch(3)) != labels(other.epoch(3))


@pytest.mark.parametrize("start", range(6))
def test_epochs_go_on_from_any_batch(start):
    epochs = Epochs(X, Y, 8, 1)
    assert labels(epochs.epoch(2, start)) == labels(epochs.epoch(2))[start:]


def test_batches_are_equal_and_hold_no_example_twice():
    epochs = Epochs(X, Y, 8, 1)
    found = labels(epochs.epoch(0))
    assert len(found) == epochs.steps_per_epoch == 6 and {len(y) for y in found} == {8}
    assert len({label for y in found for label in y}) == 48


def test_shapes_are_those_of_epochs():
    epochs = Epochs(X, Y, 8, 1)
    lengths = [x.shape[1] for x, _ in epochs.shapes()]
    assert lengths == sorted(lengths) and lengths[-1] == 300
    for number in range(5):
        for x, _ in epochs.epoch(number):
            assert x.shape[1] in lengths and x.dtype == epochs.shapes()[0][0].dtype


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="at most the 50 training examples. Received: 51"):
        Epochs(X, Y, 51, 1)


@pytest.mark.parametrize("name", TASKS)
def test_fixture_files(name, tmp_path, monkeypatch):
    """Every task has a few examples in the layout of the real files, read by its own reader."""
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path))
    task = importlib.import_module(f"keras_dss.datasets.{name}")
    splits = Splits(task, smoke=True)
    assert len(splits.get("train")[0]) >= 24 and len(splits.get("train", 4)[1]) == 4
    again = Splits(task, smoke=True)
    assert splits.digest() == again.digest()
    total = sum(len(y) for _, y in splits.evaluation("test", 5))
    assert total == len(splits.get("test")[1]) >= 12
    assert splits.provenance().source
    x, y = splits.get("train")
    assert x.ndim == (3 if task.KIND == "pairs" or task.VOCABULARY_SIZE is None else 2)
    if task.KIND in ("classification", "pairs"):
        assert y.max() < task.NUM_CLASSES


def test_padded_waveforms_are_cut():
    x = np.zeros((20, 500, 1), "float32")
    for row, length in enumerate(range(100, 500, 20)):
        x[row, :length] = 1.0
    epochs = Epochs(x, np.arange(20), 5, 0, mask_zeros=True)
    assert epochs.boundaries[-1] == 500 and len(epochs.boundaries) > 1
    for batch, labels in epochs.epoch(0):
        assert batch.shape[1] >= 100 + 20 * labels.max()


def test_pairs_are_cut():
    x = np.zeros((20, 2, 500), "uint16")
    for row, length in enumerate(range(100, 500, 20)):
        x[row, row % 2, :length] = 1
    epochs = Epochs(x, np.arange(20), 5, 0)
    assert [x.shape for x, _ in epochs.shapes()] == [(5, 2, n) for n in epochs.boundaries]
    for batch, labels in epochs.epoch(0):
        assert batch.shape[1] == 2 and 100 + 20 * labels.max() <= batch.shape[2]


def test_splits_hand_the_data_folder_on():
    asked = []
    task = types.SimpleNamespace(load=lambda *arguments: asked.append(arguments) or (X, Y))
    splits = Splits(task, "folder")
    splits.get("test")
    splits.get("test", 3)
    assert asked == [("test", "folder")]


DRAWN = Grades("contour_length", range(2, 4), "drawn images", drawn_labels=True)


def test_a_curriculum_begins_with_easier_examples():
    asked = []

    def load(split, data_dir=None, *, examples=None, contour_length=None):
        asked.append(contour_length)
        values = Y if contour_length is None else np.full(50, 100 * contour_length)
        return np.ones((50, 4, 1), "float32"), values

    task = types.SimpleNamespace(load=load, __name__="task", GRADES=DRAWN)
    own = Splits(task).training(8, seed=1)
    data = Splits(task).training(8, seed=1, curriculum=(2, 3, 2))
    assert data.steps_per_epoch == own.steps_per_epoch == 6
    assert labels(data.epoch(4, start=2)) == labels(own.epoch(4))[2:]
    assert asked == [None, None]  # nothing easier is drawn before it is needed
    for number, length in enumerate((2, 3, 2)):
        assert labels(data.epoch(number, 1)) == [[100 * length] * 8] * 5
    assert asked == [None, None, 2, 3]


def labelled_task(**given):
    asked, counts = [], []

    def load(split, data_dir=None, *, examples=None, contour_length=None, step_labels=False):
        asked.append((contour_length, step_labels))
        counts.append(examples)
        steps = [np.full((50, 4), contour_length or 1, np.uint8)] if step_labels else []
        arrays = np.ones((50, 4, 1), "float32"), Y, *steps
        return tuple(array[:examples] for array in arrays)

    given |= {"STEP_WEIGHTS": (1.0,) * 4, "__name__": "task"}
    return types.SimpleNamespace(load=load, asked=asked, examples=counts, **given)


def steps_and_labels(epochs):
    found = [y for _, y in epochs]
    return {int(v) for y in found for v in np.unique(y["steps"])}, [
        y["logits"].tolist() for y in found
    ]


def test_labels_of_steps_are_those_of_the_curriculum():
    task = labelled_task(GRADES=DRAWN)
    data = Splits(task).training(8, seed=1, curriculum=(2, None), step_labels=True)
    plain = Splits(task).training(8, seed=1)
    for number, label in enumerate((2, 1, 255)):
        assert steps_and_labels(data.epoch(number)) == ({label}, labels(plain.epoch(number)))
    assert task.asked == [(None, False), (None, False), (2, True), (None, True)]
    with pytest.raises(ValueError, match="Expected a curriculum: only drawn images of task have"):
        Splits(task).training(8, seed=1, step_labels=True)


def test_labels_of_steps_of_a_tasks_own_examples():
    task = labelled_task()
    splits = Splits(task)
    data, plain = splits.training(8, seed=1, step_labels=True), splits.training(8, seed=1)
    for number in range(3):
        assert steps_and_labels(data.epoch(number)) == ({1}, labels(plain.epoch(number)))
    assert task.asked == [(None, True)]  # loaded once


def test_a_curriculum_of_the_tasks_own():
    task = labelled_task(GRADES=DRAWN)
    expected = labels(Splits(task).training(8, seed=1).epoch(0))
    assert labels(Splits(task).training(8, seed=1, curriculum=(None,)).epoch(0)) == expected


def test_a_curriculum_of_shorter_sequences():
    task = importlib.import_module("keras_dss.datasets.lra_listops")
    splits = Splits(task, smoke=True, num_lengths=2)
    data = splits.training(8, seed=1, curriculum=(64, 256, 64), step_labels=True)
    own = splits.training(8, seed=1)
    for number, longest in enumerate((64, 256, 64, own.boundaries[-1])):
        batches = list(data.epoch(number))
        assert len(batches) == data.steps_per_epoch
        assert max(x.shape[1] for x, _ in batches) == longest
        assert all(y["steps"].shape == x.shape for x, y in batches)
        assert any((y["steps"] < 255).any() for _, y in batches)
    assert [y["logits"].tolist() for _, y in data.epoch(3)] == labels(own.epoch(3))
    shapes = [x.shape for x, _ in data.shapes()]
    assert shapes[0] == (8, 64) and shapes[-1] == (8, own.boundaries[-1])
    assert {x.shape for number in range(4) for x, _ in data.epoch(number)} <= set(shapes)


def test_labels_of_steps_that_a_task_lacks_are_refused():
    task = importlib.import_module("keras_dss.datasets.smnist")
    with pytest.raises(ValueError, match="Expected no step_labels: smnist has none"):
        Splits(task, smoke=True).training(2, 0, step_labels=True)


@pytest.mark.parametrize(
    "name, message",
    [("lra_image", "None for lra_image"), ("lra_pathfinder", "of contour_length 2 to 14 for")],
)
def test_a_curriculum_of_what_a_task_lacks_is_refused_at_once(name, message):
    splits = Splits(importlib.import_module(f"keras_dss.datasets.{name}"), smoke=True)
    with pytest.raises(ValueError, match=f"{message}.*Received: .2, 15"):
        splits.training(2, 0, curriculum=(2, 15))


def test_a_curriculum_of_images_with_fewer_rows():
    task = importlib.import_module("keras_dss.datasets.lra_pathx")
    splits = Splits(task, smoke=True)
    data = splits.training(8, seed=1, curriculum=(32, 40, 32, None), step_labels=True)
    for number, rows in enumerate((32, 40, 32, 128, 128)):
        batches = list(data.epoch(number))
        assert len(batches) == data.steps_per_epoch
        assert all(x.shape == (8, 128 * rows, 1) for x, _ in batches)
        assert all(y["steps"].shape == x.shape[:2] for x, y in batches)
    assert [x.shape[1] // 128 for x, _ in data.shapes()] == [32, 40, 128]


def test_the_first_examples_alone_are_trained_on():
    task = types.SimpleNamespace(load=lambda split, data_dir: (X, Y), __name__="task")
    splits = Splits(task, examples=20)
    assert len(splits.get("train")[0]) == 20 and len(splits.get("test")[0]) == 50
    assert splits.digest() != Splits(task).digest()
    data = splits.training(5, seed=1)
    assert sorted(y for batch in labels(data.epoch(0)) for y in batch) == list(range(20))

    task = labelled_task(GRADES=DRAWN)  # which makes no more than it is asked for
    data = Splits(task, examples=20).training(5, seed=1, curriculum=(2,), step_labels=True)
    list(data.epoch(0))
    assert task.examples == [20, 20]
