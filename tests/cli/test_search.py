"""`keras-dss search`: the files, the tables, a search that goes on, and what is said before it."""

import json
import struct

import keras
import numpy as np
import pytest

from keras_dss import tuner, zoo
from keras_dss.cli import search, searching
from keras_dss.datasets import lra_listops
from tests.cli.support import NAME, make_model

FEW = ("--ranks=1,6", "--search=grid", "--limit=16")


def correct(model, split, place):
    x, y = (array[:16] for array in lra_listops.load(split, place / "data"))
    logits = keras.ops.convert_to_numpy(model(x.astype("int32")))
    return int(np.sum(logits.argmax(axis=-1) == y))


def test_grid(run, place, tmp_path):
    output = tmp_path / "small.keras"
    code, out, err = run("search", NAME, *FEW, "--size_weight=3", f"--output={output}")
    assert code == 0, err
    names = ["small.front.png", "small.keras", "small.search", "small.search.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names

    report = json.loads((tmp_path / names[3]).read_text())
    assert len(report["trials"]) == 4 and report["data"]["examples"] == {
        "validation": 16,
        "test": 16,
    }
    chosen = report["chosen"]
    assert chosen["metrics"]["score"] == max(t["metrics"]["score"] for t in report["trials"])
    assert set(chosen["values"].values()) == {1}  # size is worth more than any accuracy
    model = keras.models.load_model(output)
    assert not model.compiled and zoo.count_states(model) == chosen["metrics"]["states"] == 8
    assert correct(model, "validation", place) == chosen["metrics"]["correct"]
    assert correct(model, "test", place) == chosen["test"]["correct"]
    original = zoo.load(NAME)
    assert report["original"]["correct"] == correct(original, "validation", place)
    assert report["original"]["states"] == zoo.count_states(original)
    assert chosen["values"] in [trial["values"] for trial in report["front"]]
    assert set(report["seconds"]) == {"start", "data", "search", "evaluate", "write"}
    assert report["command"].startswith(f"keras-dss search {NAME} --output=")

    for word in ("what no trial beats", "chosen", "1 1", "original", str(output)):
        assert word in out
    assert all(note in out for note in report["notes"])
    picture = (tmp_path / names[0]).read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG") and width > 800 and height > 300


def test_search_that_is_cut_off_goes_on(run, monkeypatch, tmp_path):
    command = ("search", NAME, *FEW, f"--output={tmp_path}/small.keras")
    add = searching.tuner.tuner.Ledger.add

    def cut(ledger, *arguments):
        add(ledger, *arguments)
        if len(ledger.trials) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(searching.tuner.tuner.Ledger, "add", cut)
        code, _, err = run(*command)
    assert code == 130 and "the same command goes on from here" in err
    assert [path.name for path in tmp_path.iterdir()] == ["small.search"]
    code, _, err = run(*command)
    assert code == 0 and "goes on after 2 trials" in err
    report = json.loads((tmp_path / "small.search.json").read_text())
    assert len({json.dumps(trial["values"]) for trial in report["trials"]}) == 4


def test_training_with_calibration_of_a_file(run, place, tmp_path):
    make_model(num_blocks=1).save(tmp_path / "a.keras")
    flags = ("--task=lra_listops", "--ranks=2", "--search=hyperband", "--epochs=2", "--calibrate",
             "--calibration_examples=8", "--limit=16", "--batch_size=8", "--noper_layer",
             f"--work_dir={tmp_path}/work")  # fmt: skip
    code, out, err = run("search", tmp_path / "a.keras", *flags, f"--output={tmp_path}/b.keras")
    assert code == 0, err
    report = json.loads((tmp_path / "b.search.json").read_text())
    assert report["source"]["file"] == "a.keras"
    assert {trial["values"]["rank"] for trial in report["trials"]} == {2}
    assert report["data"]["examples"] == {"validation": 16, "train": 16, "test": 16}
    model = keras.models.load_model(tmp_path / "b.keras")
    assert correct(model, "validation", place) == report["chosen"]["metrics"]["correct"]
    assert "its card" not in out and (tmp_path / "work").is_dir()


def test_choices_are_those_of_the_package():
    assert search.SEARCHES == tuner.SEARCHES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--output=FILE.keras", "no --output"]),
        (["--output=a.h5"], ["FILE.keras", "--output=a.h5"]),
        (["--output=old.keras"], ["--overwrite", "old.keras already"]),
        (["--output=a.keras", "--ranks=2,x"], ["--ranks=2,x"]),
        (["--output=a.keras", "--ranks=0"], ["from 1", "--ranks=0"]),
        (["--output=a.keras", "--trials=0"], ["--trials=0"]),
        (["--output=a.keras", "--search=best"], ["bayesian", "best"]),
        (["--output=a.keras", "--search=hyperband"], ["--epochs=N"]),
        (["--output=a.keras", "--search=hyperband", "--epochs=2", "--trials=3"], ["--trials=3"]),
        (["--output=a.keras", "--method=modal", "--calibrate"], ["balanced"]),
        (["--output=a.keras", "--refit=calibration"], ["needs --calibrate"]),
        (["--output=a.keras", "--method=finite_horizon"], ["needs --horizon"]),
        (["--output=a.keras", "--learning_rate=0"], ["above 0"]),
        (["--output=a.keras", "--learning_rate=nan"], ["a finite number", "nan"]),
        (["--output=a.keras", "--size_weight=inf"], ["--size_weight=inf"]),
        (["--output=a.keras", "--data_dir=none"], ["folder of data", "none"]),
    ],
)
def test_said_before_any_work(fails, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_dss.cli.sources.find_source", None)
    (tmp_path / "old.keras").write_text("old")
    line = fails(2, "search", NAME, *arguments)
    assert all(word in line for word in words), line
    assert [path.name for path in tmp_path.iterdir()] == ["old.keras"]


def test_file_needs_a_task(fails, tmp_path):
    make_model().save(tmp_path / "a.keras")
    line = fails(2, "search", tmp_path / "a.keras", f"--output={tmp_path}/b.keras")
    assert "--task=etth1|" in line
