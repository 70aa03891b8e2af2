"""Trainings that go on from published models, and what they may replace."""

import json
import shutil

import keras
import numpy as np
import pytest

from keras_dss import zoo
from recipes import published
from recipes.clock import Clock
from recipes.files import CheckpointError, read_json
from recipes.options import SMOKE
from recipes.settings import override
from recipes.smnist import settings as SETTINGS
from recipes.stages import StageError, Stages

PARENT, CHILD = "smnist_n6", "smnist_n3_bt"
ONCE = ("children=n3_bt", "pretrain.epochs=1", "train.epochs=1")


def make_stages(folder, *assignments, clock=None, **options):
    settings = override(SETTINGS, [*SMOKE, *ONCE, *assignments])
    return Stages(settings, folder, None, clock, "python -m recipes.run", smoke=True, **options)


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def assert_same(first, second):
    assert len(first) == len(second)
    assert all(map(np.array_equal, first, second))


def change_card(name, **changes):
    path = zoo.root() / name / "card.json"
    path.write_text(json.dumps(read_json(path) | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A work dir and a zoo with the parent."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_DSS_ZOO_DIR", str(folder / "zoo"))
        stages = make_stages(folder / "work", "children=")
        assert all(map(stages.run, ("pretrain", "evaluate", "publish")))
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A folder with a copy of both."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path / "zoo"))
    return tmp_path


def test_the_published_parent_is_reduced(place, capsys):
    stages = make_stages(place / "new")
    assert stages.run("pretrain", [CHILD]) and stages.run("reduce", [CHILD])
    out = capsys.readouterr().out
    assert f"{PARENT}  not trained: version 1 is published" in out
    assert f"{CHILD}  reduced from the published {PARENT}, version 1" in out
    assert not (place / "new" / PARENT).exists()
    origin = read_json(place / "new" / CHILD / "reduction.json")["origin"]
    card = zoo.card(PARENT)
    assert origin["version"] == 1 and origin["parent"] == card["files"]["model.weights.h5"]
    make_stages(place / "work").run("reduce", [CHILD])
    paths = [place / folder / CHILD / "initial.keras" for folder in ("new", "work")]
    assert_same(*map(weights, paths))

    change_card(PARENT, version=2)  # what was begun stays with the version it began with
    assert stages.run("reduce", [CHILD])
    assert "reduced already, from version 1" in capsys.readouterr().out
    with pytest.raises(StageError, match="calibration = 4, not 5"):
        make_stages(place / "new", "calibration=5").run("reduce", [CHILD])


def test_a_control_needs_no_parent(tmp_path, capsys):
    stages = make_stages(tmp_path, "children=n3")
    assert stages.run("pretrain", ["n3"]) and not (tmp_path / PARENT).exists()
    assert f"{PARENT}  not needed" in capsys.readouterr().out


def test_a_training_goes_on_from_the_published_weights(place):
    first = zoo.card(PARENT)
    stages = make_stages(place / "new", "start=published", replace_better=True)
    assert all(stages.run(stage, [PARENT]) for stage in ("pretrain", "evaluate"))
    assert_same(weights(place / "new" / PARENT / "published.keras"), zoo.load(PARENT).get_weights())
    assert stages.run("publish", [PARENT])
    card, facts = zoo.card(PARENT), read_json(place / "new" / PARENT / "training.json")
    assert card["version"] == 2 and card["epochs"] == 2
    assert card["minutes"] == pytest.approx(first["minutes"] + facts["minutes"])
    assert card["method"].startswith(f"version 1 ({first['method']}), trained on for 1 epoch and ")
    assert facts["origin"]["start"] == {
        "published": PARENT, "version": 1, "weights": first["files"]["model.weights.h5"],
    }  # fmt: skip
    assert stages.run("pretrain", [PARENT]) and stages.run("evaluate", [PARENT])  # complete


def test_checkpoints_of_another_start_are_refused(place):
    for name, start, other in (("a", "recipe", "published"), ("b", "published", "recipe")):
        stop = Clock(0.0)
        assert not make_stages(place / name, f"start={start}", clock=stop).run("pretrain")
        with pytest.raises(CheckpointError, match="start.*= .*not"):
            make_stages(place / name, f"start={other}", clock=stop).run("pretrain")
        # the former settings are not disturbed
        assert not make_stages(place / name, f"start={start}", clock=stop).run("pretrain")


def test_another_architecture_is_refused(place):
    stages = make_stages(place / "new", "start=published", "model.features=5")
    with pytest.raises(ValueError, match="version 1, to have.*features = 4, not 5"):
        stages.run("pretrain")
    with pytest.raises(ValueError, match="readout = mean, not last"):
        make_stages(place / "new", "model.readout=last").run("reduce", [CHILD])
    with pytest.raises(ValueError, match="Expected the name of a published model"):
        make_stages(place / "new", "start=published").run("train", [CHILD])


def test_a_better_published_model_stays(place, capsys):
    stages, name = make_stages(place / "work"), PARENT
    stages.run("publish", [name])
    assert "published already, version 1" in capsys.readouterr().out
    other = make_stages(place / "other", "seed=1")
    assert other.run("pretrain") and other.run("evaluate", [name])
    total = zoo.card(name)["metrics"]["validation"]["total"]

    def score(correct):
        found = {"accuracy": correct / total, "correct": correct, "total": total, "loss": 1e-9}
        change_card(name, metrics=zoo.card(name)["metrics"] | {"validation": found})

    score(total)
    with pytest.raises(StageError, match="validate better than its published version 1, 100.00%"):
        other.run("publish", [name])
    assert zoo.card(name)["version"] == 1
    assert make_stages(place / "other", "seed=1", replace_better=True).run("publish", [name])
    assert zoo.card(name)["version"] == 2

    score(0)
    validation = zoo.card(name)["metrics"]["validation"] | {"loss": 1e9}
    change_card(name, metrics=zoo.card(name)["metrics"] | {"validation": validation})
    assert stages.run("publish", [name]) and zoo.card(name)["version"] == 3


def test_scores_of_other_data_are_not_compared():
    score = {"accuracy": 0.5, "correct": 5, "total": 10, "loss": 1.0}
    data = {"description": "Digits. SHA-256 of the training arrays: abc."}
    card = {"name": "smnist_n6", "version": 1, "metrics": {"validation": score}, "data": data}
    worse, better = score | {"loss": 2.0}, score | {"loss": 0.5}
    assert "--replace_better" in published.objection(card, worse, "abc")
    assert published.objection(card, score, "abc")  # equal is not better
    assert published.objection(card, better, "abc") is None
    assert published.objection(card, worse, "abd") is None
    assert published.objection(card, worse | {"total": 11}, "abc") is None
