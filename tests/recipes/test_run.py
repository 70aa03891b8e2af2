import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recipes import options, run
from recipes.files import FolderInUse, locked, read_checkpoint, read_json
from recipes.queue import BUSY
from recipes.settings import override
from recipes.stages import StageError, Stages
from recipes.training import Clock

ROOT = Path(__file__).parents[2]
SMOKE = [*options.SMOKE, "model.dropout=0.1"]
PARENT, CHILD, CONTROL = "lra_listops_n6", "lra_listops_n3_bt", "lra_listops_n3"


def command(folder, *flags):
    return [
        sys.executable, "-m", "recipes.run", "--recipe=lra_listops", "--smoke",
        f"--work_dir={folder}", *flags,
    ]  # fmt: skip


def start(folder, *flags):
    return subprocess.Popen(
        command(folder, *flags), cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=os.environ | {"KERAS_DSS_ZOO_DIR": str(folder / "zoo")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # not that of a job
    )  # fmt: skip


def finish(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return out


def weights_of(folder, name=PARENT):
    return read_checkpoint(folder / name / "checkpoint.npz")[0]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else 0


def make_stages(folder, *assignments, clock=None):
    from recipes.lra_listops import settings

    return Stages(override(settings, [*SMOKE, *assignments]), folder, smoke=True, clock=clock)


def test_killed_at_any_moment(tmp_path):
    """SIGKILL, at random moments, and resume: the same weights, bit for bit."""
    flags = ["--stage=pretrain", "--set=model.dropout=0.1", "--set=pretrain.epochs=24"]
    flags.append("--set=checkpoint_minutes=0")  # a checkpoint after every step
    whole = start(tmp_path / "whole", *flags)
    path, seed = tmp_path / "killed" / PARENT / "checkpoint.npz", random.randrange(10**6)
    moments = random.Random(seed)
    for _ in range(2):
        process = start(tmp_path / "killed", *flags)
        for _ in range(moments.randint(1, 8)):  # checkpoints that are awaited
            before = modified(path)
            while process.poll() is None and before == modified(path):
                time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.05))
        process.kill()
        process.communicate()
        step = read_checkpoint(path)[1]["state"]["step"]
        assert process.returncode == -signal.SIGKILL and 0 < step < 72, f"{step=} {seed=}"
    finish(start(tmp_path / "killed", *flags))
    finish(whole)
    assert_same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "killed"))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    return folder, finish(start(folder))


def test_the_whole_pipeline(pipeline):
    folder, _ = pipeline
    evaluation = read_json(folder / "evaluation.json")
    for name in (PARENT, CHILD, CONTROL):
        for file in ("checkpoint.npz", "model.keras", "training.json", "history.csv", "curves.png"):
            assert (folder / name / file).stat().st_size, (name, file)
        found = evaluation[name]["test"]
        assert found["total"] == 12 and found["accuracy"] == found["correct"] / 12
    assert (folder / "comparison.png").stat().st_size
    report = read_json(folder / CHILD / "reduction.json")["report"]
    assert report
    sizes = [evaluation[name]["parameters"] for name in (PARENT, CHILD, CONTROL)]
    assert sizes[0] > sizes[1] == sizes[2]


def test_published_cards(pipeline):
    from keras_dss import zoo

    folder, _ = pipeline
    evaluation = read_json(folder / "evaluation.json")
    assert set(zoo.list(folder / "zoo")) == {PARENT, CHILD, CONTROL}
    for name in (PARENT, CHILD, CONTROL):
        card = zoo.card(name, root=folder / "zoo")
        assert card["parent"] == (PARENT if name == CHILD else None)
        assert card["metrics"]["test"] == evaluation[name]["test"]
        assert card["epochs"] == 2 and card["minutes"] > 0 and "--smoke" in card["command"]
        assert "--smoke" in card["data"]["source"]
        assert card["baselines"]["chance"] == 0.1 and card["pin"]["examples"] == 4


def test_a_child_that_is_reduced_otherwise(pipeline, tmp_path, monkeypatch):
    from keras_dss import zoo

    folder, name = tmp_path / "work", "lra_listops_n3_h2"
    shutil.copytree(pipeline[0], folder)
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(folder / "zoo"))
    stages = make_stages(folder, "children=n3_h2", "model.dropout=0.0")
    stages.command = "python -m recipes.run"
    assert all(stages.run(stage, [name]) for stage in options.STAGES)
    assert read_json(folder / name / "reduction.json")["report"]["method"] == "h2_optimal"
    card = zoo.card(name)
    assert card["parent"] == PARENT and card["states"] == zoo.card(CHILD)["states"]
    assert card["method"].startswith(f"H2-optimal reduction of {PARENT}, ")


def test_complete_stages_are_skipped(pipeline, capsys):
    folder, _ = pipeline
    before = {p: p.stat().st_mtime_ns for p in folder.glob("*/*.*")}
    stages = make_stages(folder, "model.dropout=0.0")
    assert all(stages.run(stage) for stage in options.STAGES[:-1])
    out = capsys.readouterr().out
    assert f"{PARENT}  trained already" in out and f"{CHILD}  reduced already" in out
    assert f"{CHILD}  trained already" in out and f"{CONTROL}  trained already" in out
    assert before == {p: p.stat().st_mtime_ns for p in folder.glob("*/*.*")}


def test_max_minutes_stops_at_a_checkpoint(tmp_path):
    out = finish(start(tmp_path, "--stage=all", "--max_minutes=0"))
    assert "stopped at step 1 of 6: time is up" in out and "goes on from here" in out
    assert "reduce" not in out
    assert read_checkpoint(tmp_path / PARENT / "checkpoint.npz")[1]["state"]["step"] == 1
    assert not (tmp_path / PARENT / "training.json").exists()


def test_interrupted(tmp_path):
    path = tmp_path / PARENT / "checkpoint.npz"
    flags = ("--set=pretrain.epochs=999", "--set=checkpoint_minutes=0", "--restart")
    process = start(tmp_path, *flags)
    while process.poll() is None and not path.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in errors
    text = "Interrupted; the same command without --restart goes on from the last checkpoint."
    assert text in errors
    assert read_checkpoint(path)[1]["state"]["step"] > 0


def test_stages_do_not_depend_on_the_process(tmp_path):
    """A model trained after another one, or stopped at every step, gets the same weights."""
    one = make_stages(tmp_path / "one", "train.epochs=1")
    assert one.run("pretrain") and one.run("train", [CONTROL])
    two = make_stages(tmp_path / "two", "train.epochs=1", clock=Clock(0.0))
    while not two.run("train", [CONTROL]):
        pass
    one, two = (weights_of(tmp_path / name, CONTROL) for name in ("one", "two"))
    assert_same(one, two)
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == [
        ".lock", "comparison.png", CONTROL, "settings.json",
    ]  # fmt: skip


def test_stages_that_need_another_one(tmp_path):
    stages = make_stages(tmp_path)
    for stage, models, missing in (
        ("reduce", [], "--stage=pretrain"),
        ("train", ["n3_bt"], "--stage=reduce"),
        ("evaluate", ["n3"], "--stage=train"),
        ("evaluate", ["n6"], "--stage=pretrain"),
        ("publish", ["n6"], "--stage=pretrain"),
    ):
        with pytest.raises(StageError, match=missing):
            stages.run(stage, models)
    with pytest.raises(ValueError, match="pretrain, reduce.*Received: 'test'"):
        stages.run("test")
    with pytest.raises(ValueError, match="lra_listops_n3_bt.*Received: 'n5'"):
        stages.run("train", ["n5"])


def test_other_settings_and_restart(tmp_path):
    make_stages(tmp_path).run("pretrain")
    other = make_stages(tmp_path, "pretrain.epochs=1")
    with pytest.raises(StageError, match="training.epochs = 2, not 1"):
        other.run("pretrain")
    with pytest.raises(StageError, match="training.epochs = 2, not 1"):
        other.run("evaluate", ["n6"])
    other.restart("pretrain", ["n6"])
    assert other.run("pretrain")
    with pytest.raises(StageError, match="Expected an evaluation of lra_listops_n6"):
        other.run("publish", ["n6"])


@pytest.mark.parametrize("change", ["model.dropout=2", "train.curriculum=(5,)", "data"])
def test_restart_spares_what_no_training_would_replace(tmp_path, change):
    make_stages(tmp_path, clock=Clock(0.0)).run("pretrain")
    path = tmp_path / PARENT / "checkpoint.npz"
    other = make_stages(tmp_path, *([] if change == "data" else [change]))
    if change == "data":
        other.splits.data_dir = tmp_path / "none"
    with pytest.raises((ValueError, OSError)):
        other.restart("all")
    assert path.exists()


def test_cards_tell_no_folders():
    words = "--recipe=smnist --work_dir /a --set seed=1 --data_dir=/b -max_minutes 3 --smoke"
    assert " ".join(run.told(words.split())) == "--recipe=smnist --set seed=1 --smoke"


def test_restart_spares_a_training_at_work(tmp_path):
    make_stages(tmp_path, clock=Clock(0.0)).run("pretrain")
    path, child = (tmp_path / name / "checkpoint.npz" for name in (PARENT, CONTROL))
    child.parent.mkdir()
    child.touch()
    before, lock = modified(path), (path.parent / ".lock").stat().st_ino
    with locked(path.parent):
        with pytest.raises(FolderInUse, match=PARENT):
            make_stages(tmp_path).restart("pretrain")
        process = start(tmp_path, "--restart", "--set=model.dropout=0.1", "--max_minutes=0")
        _, errors = process.communicate(timeout=300)
    assert process.returncode == BUSY and "Error: Expected a folder that no other" in errors
    assert modified(path) == before and child.exists()
    make_stages(tmp_path).restart("all")
    assert not path.exists() and not child.exists()
    assert (path.parent / ".lock").stat().st_ino == lock


def test_data_that_is_missing(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "recipes.run", "--recipe=smnist", f"--data_dir={tmp_path / 'none'}",
         f"--work_dir={tmp_path / 'work'}"],
        cwd=ROOT, text=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert "Error: The data folder must exist." in process.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--set=pretrain.epoch=3"], "did you mean pretrain.epochs"),
        (["--stage=tests"], "should be one of"),
        (["--max_minutes=-1"], "non-negative"),
        (["--max_minutes=nan"], "Expected a finite number"),
        (["pretrain"], "Received: pretrain"),
        (["--queue"], "Received: --queue and --recipe"),
    ],
)
def test_a_bad_command_line(tmp_path, flags, message):
    process = subprocess.run(
        command(tmp_path, *flags), cwd=ROOT, text=True, capture_output=True, timeout=300
    )
    assert process.returncode != 0 and message in process.stdout + process.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_flag():
    process = subprocess.run(
        [sys.executable, "-m", "recipes.run", "--help"], cwd=ROOT, text=True, capture_output=True
    )
    names = "recipe stage model set data_dir resident queue work_dir max_minutes restart smoke"
    assert all(f"-{name}:" in process.stdout.replace("[no]", "") for name in names.split())


def test_a_damaged_checkpoint(tmp_path):
    make_stages(tmp_path, clock=Clock(0.0)).run("pretrain")
    path = tmp_path / PARENT / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:-100])
    process = start(tmp_path, "--stage=pretrain", "--set=model.dropout=0.1")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and "Error: Expected a whole checkpoint" in errors
    assert "Traceback" not in errors
    stages = make_stages(tmp_path, clock=Clock(0.0))
    stages.restart("pretrain")
    assert not stages.run("pretrain") and read_checkpoint(path)[1]["state"]["step"] == 1
