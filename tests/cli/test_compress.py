"""`keras-dss compress`: the files, the tables, and what is said before any work."""

import itertools
import json
import math
import os
import struct
import types

import keras
import numpy as np
import pytest

from keras_dss import compression, models, zoo
from keras_dss.cli import compress, scoring, training
from keras_dss.cli.files import replacing
from keras_dss.compression import compress_model
from keras_dss.datasets import etth1, lra_listops
from tests.cli.support import NAME, make_model

TRAINING = ("--calibrate", "--calibration_examples=9", "--train_minutes=0.03", "--batch_size=8")


@pytest.fixture(autouse=True)
def few_timed_calls(monkeypatch):
    monkeypatch.setattr(scoring, "TIMED_CALLS", 2)


def correct(model, split, place):
    x, y = lra_listops.load(split, place / "data")
    logits = keras.ops.convert_to_numpy(model(x.astype("int32")))
    return int(np.sum(logits.argmax(axis=-1) == y))


def test_reduced_and_trained(run, place, tmp_path):
    output = tmp_path / "small.keras"
    code, out, err = run("compress", NAME, "--rank=2", f"--output={output}", *TRAINING)
    assert code == 0, err
    names = ["small.hankel.png", "small.keras", "small.report.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names

    model = keras.models.load_model(output)
    assert not model.compiled
    report = json.loads((tmp_path / names[2]).read_text())
    rows = report["models"]
    assert list(rows) == ["original", "reduced", "trained"]
    for name, found in (("original", zoo.load(NAME)), ("trained", model)):
        assert rows[name]["parameters"] == found.count_params()
        assert rows[name]["states"] == zoo.count_states(found)
        assert rows[name]["test"]["correct"] == correct(found, "test", place)
        assert rows[name]["test"]["total"] == 24
        low, middle, high = rows[name]["milliseconds_quartiles"]
        assert 0 < low <= middle <= high and middle == rows[name]["milliseconds_per_sequence"]
    assert rows["reduced"]["states"] == rows["original"]["states"] // 3

    history = report["training"]["history"]
    assert history[0]["step"] == 0 and len(history) >= 2
    chosen = next(row for row in history if row["step"] == report["training"]["best_step"])
    assert chosen["correct"] == max(row["correct"] for row in history)
    assert correct(model, "validation", place) == chosen["correct"]

    layers = report["compression"]["layers"]
    assert report["compression"]["calibrated"] and len(layers) == 2
    assert all(layer["error_bound"] >= layer["hinf_error"] > 0 for layer in layers)
    assert report["task"] == "lra_listops" and report["flags"]["train_minutes"] == 0.03
    assert report["data"]["examples"] == {"test": 24, "validation": 16, "train": 40}
    stages = {"start", "data", "evaluate original", "calibrate", "reduce", "evaluate reduced",
              "train", "evaluate trained", "time", "write"}  # fmt: skip
    assert set(report["seconds"]) == stages
    assert {"keras", "backend", "keras_dss"} <= set(report["versions"])
    assert report["command"].startswith(f"keras-dss compress {NAME} --rank=2")

    for word in ("original", "reduced + trained", "ssm_0", "bound", "ms per sequence", str(output)):
        assert word in out
    for row in rows.values():
        assert f"{row['test']['accuracy']:.2%}" in out and f"{row['parameters']:,}" in out
    assert f"The card of {NAME} says 25.00% (6 of 24)." in out
    assert all(note in out for note in report["notes"])

    picture = (tmp_path / names[0]).read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG") and width > 300 and height > 200


def test_without_training_it_is_compress_model(run, tmp_path):
    output = tmp_path / "small.keras"
    assert run("compress", NAME, "--rank=0.5", f"--output={output}", "--method=modal")[0] == 0
    expected = compress_model(zoo.load(NAME), 0.5, method="modal")
    found = keras.models.load_model(output)
    for old, new in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    report = json.loads((tmp_path / "small.report.json").read_text())
    assert list(report["models"]) == ["original", "reduced"] and report["training"] is None
    assert report["compression"]["method"] == "modal"


def test_file_without_a_task(run, tmp_path):
    make_model(state_size=4).save(tmp_path / "a.keras")
    code, out, _ = run("compress", tmp_path / "a.keras", "--rank=2", f"--output={tmp_path}/b.keras")
    assert code == 0 and "No accuracy was measured" in out
    report = json.loads((tmp_path / "b.report.json").read_text())
    assert report["models"]["reduced"]["test"] is None and report["data"] is None
    assert report["source"]["file"] == "a.keras"


def test_what_seeding_writes_is_held_back(run, monkeypatch, tmp_path):
    make_model(state_size=4).save(tmp_path / "a.keras")
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda _: os.write(2, b"a greeting"))
    code, _, err = run("compress", tmp_path / "a.keras", "--rank=2", f"--output={tmp_path}/b.keras")
    assert code == 0 and "greeting" not in err


def test_methods_are_those_of_the_package():
    methods = compression.METHODS
    assert sorted(compress.METHODS) == sorted(methods)
    assert sorted(compress.CALIBRATED) == sorted(n for n, m in methods.items() if m.calibrated)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output=a.keras"], ["--rank=R", "--tolerance=X", "--budget=B", "no --rank"]),
        ([], ["no --rank and no --output"]),
        (["--rank=2", "--budget=9", "--output=a.keras"], ["one of", "--rank=2 --budget=9"]),
        (["--tolerance=0", "--output=a.keras"], ["number in (0, 1)", "--tolerance=0"]),
        (["--tolerance=1.0", "--output=a.keras"], ["--tolerance=1.0"]),
        (["--tolerance=nan", "--output=a.keras"], ["--tolerance=nan"]),
        (["--tolerance=low", "--output=a.keras"], ["--tolerance=low"]),
        (["--budget=0", "--output=a.keras"], ["integer from 1 or a fraction", "--budget=0"]),
        (["--budget=1.5", "--output=a.keras"], ["--budget=1.5"]),
        (["--budget=9", "--budget_of=bytes", "--output=a.keras"], ["parameters", "bytes"]),
        (["--rank=2", "--budget_of=parameters", "--output=a.keras"], ["goes with --budget"]),
        (["--rank=2"], ["--output=FILE.keras", "no --output"]),
        (["--rank=0", "--output=a.keras"], ["integer from 1", "--rank=0"]),
        (["--rank=-3", "--output=a.keras"], ["--rank=-3"]),
        (["--rank=1.5", "--output=a.keras"], ["fraction in (0, 1]", "--rank=1.5"]),
        (["--rank=few", "--output=a.keras"], ["--rank=few"]),
        (["--rank=nan", "--output=a.keras"], ["--rank=nan"]),
        (["--rank=2", "--output=a.h5"], ["FILE.keras", "--output=a.h5"]),
        (["--rank=2", "--output=none/a.keras"], ["existing folder", "mkdir -p none"]),
        (["--rank=2", "--output=old.keras"], ["--overwrite", "old.keras already"]),
        (["--rank=2", "--output=there.keras"], ["the folder there.keras"]),
        (["--rank=2", "--output=a.keras", "--train_minutes=-1"], ["--train_minutes=-1"]),
        (["--rank=2", "--output=a.keras", "--train_minutes=inf"], ["a finite number", "inf"]),
        (["--rank=2", "--output=a.keras", "--train_minutes=nan"], ["a finite number", "nan"]),
        (["--rank=2", "--output=a.keras", "--learning_rate=inf"], ["--learning_rate=inf"]),
        (["--rank=2", "--output=a.keras", "--learning_rate=0"], ["--learning_rate above 0"]),
        (["--rank=2", "--output=a.keras", "--method=modal", "--calibrate"], ["balanced", "=modal"]),
        (["--rank=2", "--output=a.keras", "--refit=calibration"], ["needs --calibrate"]),
        (["--rank=2", "--output=a.keras", "--horizon=0"], ["horizon"]),
        (["--rank=2", "--output=a.keras", "--method=best"], ["modal_refit", "best"]),
        (["--rank=2", "--output=a.keras", "--data_dir=none"], ["folder of data", "none"]),
    ],
)
def test_said_before_any_work(fails, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_dss.cli.sources.find_source", None)
    (tmp_path / "old.keras").write_text("old")
    (tmp_path / "there.keras").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    line = fails(2, "compress", NAME, *arguments)
    assert all(word in line for word in words), line
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_budget_of_states(run, tmp_path):
    output = tmp_path / "a.keras"
    code, out, err = run("compress", NAME, f"--output={output}", "--budget=0.5", "--calibrate")
    assert code == 0, err
    report = json.loads((tmp_path / "a.report.json").read_text())
    states = report["models"]["original"]["states"]
    reduced = zoo.count_states(keras.models.load_model(output))
    assert reduced == report["models"]["reduced"]["states"] <= states // 2
    assert report["target"] == "budget 0.5 of the states" and report["rank"] is None
    outputs = report["compression"]["outputs"]
    assert outputs["sequences"] == 40 and 0.0 <= outputs["agreement"] <= 1.0
    assert f"outputs on 40 sequences changed by {outputs['relative_l2']:.2%}" in out


def without_data(run, folder, *arguments):
    """Original and reduced model of a file without a task, the report and what is printed."""
    make_model(state_size=5).save(folder / "b.keras")
    code, out, err = run("compress", folder / "b.keras", f"--output={folder}/a.keras", *arguments)
    assert code == 0, err
    models = [keras.models.load_model(folder / f"{name}.keras") for name in "ba"]
    return *models, json.loads((folder / "a.report.json").read_text()), out


def test_budget_of_parameters(run, tmp_path):
    limit = make_model(state_size=5).count_params() - 20
    arguments = f"--budget={limit}", "--budget_of=parameters", "--method=modal"
    _, small, report, out = without_data(run, tmp_path, *arguments)
    assert small.count_params() == report["models"]["reduced"]["parameters"] <= limit
    assert f"budget {limit} parameters" in out


def test_tolerance(run, tmp_path):
    model, small, report, _ = without_data(run, tmp_path, "--tolerance=0.6")
    for layer in report["compression"]["layers"]:
        assert layer["hinf_error"] + layer["rounding"] <= 0.6 * layer["hinf_norm"]
    assert zoo.count_states(small) < zoo.count_states(model)


def test_a_task_whose_data_is_missing(run, fails, tmp_path):
    model = models.DSSRegressor(
        etth1.NUM_OUTPUTS, features=4, num_blocks=1, state_size=4, channels=etth1.CHANNELS,
        horizon=etth1.HORIZON,
    )  # fmt: skip
    model.save(tmp_path / "b.keras")
    arguments = tmp_path / "b.keras", "--task=etth1", "--rank=2", f"--output={tmp_path}/a.keras"
    assert "File ETTh1.csv" in fails(1, "compress", *arguments, "--calibrate")
    code, out, err = run("compress", *arguments)
    assert code == 0, err
    assert "No accuracy was measured: File ETTh1.csv" in out
    assert zoo.count_states(keras.models.load_model(tmp_path / "a.keras")) == 8


def test_targets_that_the_model_cannot_keep(fails, tmp_path):
    output = f"--output={tmp_path}/a.keras"
    line = fails(1, "compress", NAME, "--rank=6", output)
    assert "Received: rank 6, with which all 2 stay as they are" in line
    line = fails(1, "compress", NAME, "--budget=3", output)
    assert "at least 8 states" in line and "Received: 3 states" in line
    line = fails(1, "compress", NAME, "--tolerance=1e-9", output)
    assert "ssm_0" in line and "The best attainable is" in line
    assert not list(tmp_path.iterdir())


def test_rank_above_the_state_size(fails, tmp_path):
    line = fails(1, "compress", NAME, "--rank=7", f"--output={tmp_path}/a.keras")
    assert "state size 6" in line and "Received: rank=7" in line
    assert not list(tmp_path.iterdir())


def test_file_needs_a_task_for_data(fails, tmp_path):
    make_model().save(tmp_path / "a.keras")
    for flag in ("--calibrate", "--train_minutes=1"):
        line = fails(
            2, "compress", tmp_path / "a.keras", "--rank=2", f"--output={tmp_path}/b.keras", flag
        )
        assert "--task=etth1|" in line and "|lra_listops|" in line


def test_not_onto_itself(fails, tmp_path):
    path = tmp_path / "a.keras"
    make_model().save(path)
    line = fails(2, "compress", path, "--rank=2", f"--output={path}", "--overwrite")
    assert "other than the model" in line


def test_model_without_dss_layers(fails, tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "a.keras")
    line = fails(1, "compress", tmp_path / "a.keras", "--rank=2", f"--output={tmp_path}/b.keras")
    assert "no keras_dss.layers.DSS layer" in line


def test_failure_leaves_the_old_files(fails, monkeypatch, tmp_path):
    for suffix in compress.SUFFIXES:
        (tmp_path / f"a{suffix}").write_text("old")

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr("keras_dss.cli.compression.write_json", fail)
    line = fails(1, "compress", NAME, "--rank=2", f"--output={tmp_path}/a.keras", "--overwrite")
    assert line.endswith("no room")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}
    assert len(list(tmp_path.iterdir())) == 3


def test_replacing(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(KeyboardInterrupt), replacing(paths) as (first, _):
        first.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def data(place, split):
    return lra_listops.load(split, place / "data")


@pytest.fixture
def steady_clock(monkeypatch):
    """A clock that a busy machine cannot hurry: every look at it takes 10 ms."""
    ticks = itertools.count()
    clock = types.SimpleNamespace(monotonic=lambda: 0.01 * next(ticks))
    monkeypatch.setattr(training, "time", clock)


def train(place, minutes=0.01, **options):
    model = make_model(features=2, num_blocks=1)
    before = model.get_weights()
    validation = scoring.evaluation_batches(*data(place, "validation"))
    options = {"learning_rate": 1e-2, "batch_size": 8, "seed": 0} | options
    result = training.train(model, data(place, "train"), validation, minutes, **options)
    return model, before, result


def test_learning_rate_over_the_time():
    fractions = np.linspace(0.0, 1.0, 201)
    rates = np.array([training.learning_rate_at(f, 2.0) for f in fractions])
    peak = np.argmax(rates)
    assert math.isclose(rates[peak], 2.0) and rates[0] == 0.0 and rates[-1] < 1e-12
    assert np.all(np.diff(rates[: peak + 1]) > 0) and np.all(np.diff(rates[peak:]) < 0)


def found(correct, loss):
    return {"accuracy": correct / 16, "correct": correct, "total": 16, "loss": loss}


def test_best_weights_are_kept(place, monkeypatch, steady_clock):
    scores = iter([found(5, 1.0), found(3, 0.1), *[found(5, 2.0)] * 50])
    monkeypatch.setattr(training, "score", lambda *_: next(scores))
    model, before, result = train(place)
    assert result.steps > 0 and result.best_step == 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_better_weights_replace_them(place, monkeypatch, steady_clock):
    scores = iter([found(5, 1.0), *[found(6, 1.0)] * 50])
    monkeypatch.setattr(training, "score", lambda *_: next(scores))
    model, before, result = train(place)
    assert 0 < result.best_step <= result.steps
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


def test_divergence_keeps_the_weights_from_before(place, steady_clock):
    model, before, result = train(place, learning_rate=1e30)
    assert result.diverged
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert result.best_step in [row["step"] for row in result.history]
