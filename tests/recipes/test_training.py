import csv
import itertools

import keras
import numpy as np
import pytest

from keras_dss.models import DSSClassifier
from keras_dss.scoring import score
from recipes.data import Curriculum, Epochs
from recipes.files import CheckpointError, read_checkpoint, write_checkpoint
from recipes.settings import TrainingSettings
from recipes.training import Clock, Training, TrainingDiverged, learning_rate_schedule

SETTINGS = TrainingSettings(epochs=2, batch_size=4, learning_rate=0.01)


class Source:
    """Sixteen sequences in batches of four, cut to two lengths."""

    steps_per_epoch = 4

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.y = rng.normal(size=(16, 6, 2)).astype("float32"), np.arange(16) % 3

    def epoch(self, number, start=0):
        order = np.random.default_rng(number).permutation(16).reshape(4, 4)
        for index in range(start, 4):
            yield self.x[order[index], : 4 + 2 * (index % 2)], self.y[order[index]]

    def shapes(self):
        return [(self.x[:4, :length], self.y[:4]) for length in (4, 6)]


def make_training(folder, settings=SETTINGS, minutes=10.0, source=None, **identity):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3),
        ]
    )
    source = source or Source()
    return Training(
        model, source, lambda: source.epoch(0), settings, seed=5, folder=folder, name="tiny",
        identity=identity, checkpoint_minutes=minutes,
    )  # fmt: skip


def arrays_of(folder):
    return read_checkpoint(folder / "checkpoint.npz")[0]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert make_training(folder).run()
    return folder


def test_stopping_at_every_step_changes_nothing(whole, tmp_path):
    stops = 0
    while not make_training(tmp_path).run(Clock(0.0)):
        stops += 1
    assert stops == SETTINGS.epochs * 4 - 1
    assert_same(arrays_of(whole), arrays_of(tmp_path))
    first, second = (read_checkpoint(f / "checkpoint.npz")[1]["state"] for f in (whole, tmp_path))
    for state in (first, second):
        state.pop("seconds")
        for row in state["history"]:
            row.pop("minutes")
    assert first == second


def test_checkpoints_change_nothing(whole, tmp_path):
    assert make_training(tmp_path, minutes=0.0).run()
    assert_same(arrays_of(whole), arrays_of(tmp_path))


def test_lengths_change_nothing(tmp_path):
    """A resumed run meets the lengths of batches in another order."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 16, (64, 400)).astype("uint8")
    x[np.arange(400) >= rng.choice([100, 300], (64, 1))] = 0
    for name, stops in (("whole", ()), ("stopped", (3, 5, 11))):
        while not (training := make_dss_training(tmp_path / name, x)).run(Stops(training, stops)):
            pass
    assert_same(arrays_of(tmp_path / "whole"), arrays_of(tmp_path / "stopped"))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="for JAX")
@pytest.mark.parametrize("lengths", [1, 2])
def test_compiled_loops_train_as_single_steps_do(tmp_path, monkeypatch, lengths):
    from recipes import compiled

    rng = np.random.default_rng(0)
    x = rng.integers(1, 16, (96, 200)).astype("uint8")
    x[np.arange(200) >= rng.choice([100, 200], (96, 1))] = 0
    settings = TrainingSettings(epochs=2, validate_every=5)
    runs = {}
    for name, stops in (("single", ()), ("whole", ()), ("stopped", (3, 8, 15))):
        monkeypatch.setattr(compiled, "worthwhile", lambda data, name=name: name != "single")
        monkeypatch.setattr(compiled.Steps, "most", 3)
        folder = tmp_path / name
        while True:
            training = make_looped_training(folder, x, settings, lengths)
            assert (training.compiled is None) == (name == "single")
            if training.run(Stops(training, stops)):
                break
        runs[name] = arrays_of(folder)
        with open(folder / "history.csv") as file:
            runs[f"{name} losses"] = [float(row["loss"]) for row in csv.DictReader(file)]
    assert_same(runs["whole"], runs["stopped"])
    np.testing.assert_allclose(runs["single losses"], runs["whole losses"], rtol=1e-5)
    for name in runs["single"]:
        np.testing.assert_allclose(runs["single"][name], runs["whole"][name], atol=1e-5)


def make_looped_training(folder, x, settings, lengths):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(16, 8, mask_zero=True),
            keras.layers.Dropout(0.3),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(10),
        ]
    )
    given = {"batch_size": 8, "seed": 0, "resident": True, "num_lengths": lengths}
    epochs = Epochs(x, np.arange(len(x)) % 10, **given)
    easier = Epochs(x[::-1, :80], np.arange(len(x)) % 2, **given)  # shorter, too
    data = Curriculum((1,), lambda grade: easier, epochs)
    return Training(
        model, data, lambda: epochs.epoch(0), settings, seed=5, folder=folder, name="looped",
        identity={},
    )  # fmt: skip


class Stops(Clock):
    """A clock that is over at given steps."""

    def __init__(self, training, steps):
        self.training, self.steps = training, steps

    def over(self):
        return self.training.state.step in self.steps


def make_dss_training(folder, x):
    keras.utils.set_random_seed(5)
    model = DSSClassifier(10, features=16, num_blocks=1, state_size=16, vocabulary_size=16)
    epochs = Epochs(x, np.arange(len(x)) % 10, 8, seed=0)
    data = Curriculum((1,), lambda grade: Epochs(x[:, :200], epochs.y, 8, seed=0), epochs)
    return Training(
        model, data, lambda: epochs.epoch(0), TrainingSettings(epochs=2, warmup=0.0), seed=5,
        folder=folder, name="lengths", identity={},
    )  # fmt: skip


def test_files(whole):
    rows = list(csv.DictReader((whole / "history.csv").open()))
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    assert {"loss", "accuracy", "validation_loss", "validation_accuracy", "minutes"} <= set(rows[0])
    assert (whole / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_validation_chooses(whole):
    arrays, meta = read_checkpoint(whole / "checkpoint.npz")
    history = meta["state"]["history"]
    best = max(history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
    assert meta["state"]["best_step"] == best["step"]
    training = make_training(whole)
    training.model.set_weights(training.best)
    found = score(training.model, Source().epoch(0))
    assert found["total"] == 16 and found["accuracy"] == best["validation_accuracy"]
    np.testing.assert_allclose(found["loss"], best["validation_loss"], rtol=1e-6)


def test_validate_every(tmp_path):
    training = make_training(tmp_path, TrainingSettings(epochs=2, validate_every=3))
    training.run()
    assert [row["step"] for row in training.state.history] == [3, 4, 7, 8]


def test_another_training_is_refused(whole):
    with pytest.raises(CheckpointError, match="training.epochs = 2, not 3"):
        make_training(whole, TrainingSettings(epochs=3, batch_size=4, learning_rate=0.01))
    with pytest.raises(CheckpointError, match="data = None, not abc"):
        make_training(whole, data="abc")


def test_a_checkpoint_of_another_shape_is_refused(whole, tmp_path):
    arrays, meta = read_checkpoint(whole / "checkpoint.npz")
    arrays["variable/0"] = arrays["variable/0"][:1]
    write_checkpoint(tmp_path / "checkpoint.npz", arrays, meta)
    with pytest.raises(CheckpointError, match=r"kernel of shape \(2, 8\).*Received: \(1, 8\)"):
        make_training(tmp_path)


def test_a_loss_that_is_not_finite_stops(tmp_path):
    source = Source()
    training = make_training(tmp_path, source=source)
    assert not training.run(Clock(0.0))
    before = arrays_of(tmp_path)
    source.x = source.x * np.nan
    with pytest.raises(TrainingDiverged, match="is kept.*Received: loss nan at step 2 of 8"):
        make_training(tmp_path, source=source).run()
    assert_same(before, arrays_of(tmp_path))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    training = make_training(tmp_path)
    training.run(Clock(0.0))
    before = arrays_of(tmp_path)
    kernel = training.model.layers[0].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(TrainingDiverged, match="kernel that are not finite"):
        training._save()
    assert_same(before, arrays_of(tmp_path))


def test_schedule():
    schedule = learning_rate_schedule(TrainingSettings(learning_rate=0.5, warmup=0.1), 100)
    rates = [float(schedule(step)) for step in range(101)]
    steps = np.arange(101)
    cosine = 0.25 * (1 + np.cos(np.pi * np.clip((steps - 10) / 90, 0, 1)))
    np.testing.assert_allclose(rates, np.where(steps < 10, 0.05 * steps, cosine), atol=1e-6)


def test_schedule_without_warmup():
    schedule = learning_rate_schedule(TrainingSettings(learning_rate=0.5, warmup=0.0), 100)
    rates = [float(schedule(step)) for step in (0, 50, 100)]
    np.testing.assert_allclose(rates, [0.5, 0.25, 0.0], atol=1e-6)


def test_progress_on_a_terminal(monkeypatch, capsys):
    from recipes import progress

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with progress.Progress("tiny", total=3, done=0, steps_per_epoch=3) as bar:
        for step, loss in zip((1, 2, 3), itertools.repeat(0.5)):
            bar.step(step, 4, loss, 0.25)
        bar.say("epoch 1")
    assert "epoch 1" in capsys.readouterr().out


def test_log_lines(monkeypatch, capsys):
    from recipes import progress

    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    with progress.Progress("tiny", total=8, done=4, steps_per_epoch=4) as lines:
        lines.step(5, 4, 0.5, 0.25)
        lines.step(6, 4, 0.5, 0.25)
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("tiny  step 6/8  epoch 1.50  loss 0.5000  accuracy 25.0%  ")
    assert "samples/s" in out[-1] and out[-1].endswith("left")
