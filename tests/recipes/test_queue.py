"""The queue: what it reads, does, skips, and how it goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes import queue
from recipes.clock import Clock
from recipes.files import FolderInUse, locked, read_checkpoint_meta
from recipes.options import RECIPES

ROOT = Path(__file__).parents[2]

# Stands in for a training: leaves the files of a complete one, or does what the data folder says.
TRAINER = """
import json, os, sys
from pathlib import Path
from absl import flags
from recipes.files import sha256, write_json
from recipes.options import define_line_flags, resolve
from recipes.origin import origin
values = flags.FlagValues()
define_line_flags(values)
flags.DEFINE_string("work_dir", None, "", flag_values=values)
flags.DEFINE_float("max_minutes", None, "", flag_values=values)
flags.DEFINE_bool("smoke", False, "", flag_values=values)
values(sys.argv)
folder, what = Path(values.work_dir), values.data_dir or ""
with open(folder.parent / "done.txt", "a") as log:
    log.write(" ".join(values.model) + "\\n")
if what == "fail":
    sys.exit("noise\\nError: Expected luck. Received: none")
if what == "die":
    os.kill(os.getpid(), 9)
if what == "busy":
    sys.exit(75)
if what == "stop":
    sys.exit(0)
settings, names = resolve(values, values.smoke)
for name in names:
    (folder / name).mkdir(parents=True)
    (folder / name / "model.keras").write_bytes(name.encode())
    (folder / name / "initial.keras").write_bytes(b"initial")
    digest = sha256(folder / name / "model.keras")
    write_json(folder / name / "training.json", {"origin": origin(settings, name, folder)})
    write_json(folder / name / "publication.json", {"model": digest, "refused": "worse"})
    path = folder / "evaluation.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, found | {name: {"model": digest}})
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Work off lines with the stand-in; return the exit code and the models in their order."""
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    monkeypatch.setattr(queue, "COMMAND", [sys.executable, str(script)])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path / "zoo"))

    def work(*lines, minutes=None, smoke=False):
        (tmp_path / "queue").write_text("\n".join(lines))
        log = tmp_path / "runs" / "done.txt"
        log.parent.mkdir(exist_ok=True)
        log.write_text("")
        code = queue.work_off(tmp_path / "queue", tmp_path / "runs", Clock(minutes), smoke)
        return code, log.read_text().split()

    return work


def test_lines_are_done_in_order_and_once(fake, capsys):
    lines = ("# first", "--recipe=smnist --model=n8_bt", "", "--recipe=smnist --model=n64 # last")
    assert fake(*lines) == (0, ["n8_bt", "n64"])
    out = capsys.readouterr().out
    assert out.count("not begun") == 2 and "== line 4: --recipe=smnist --model=n64" in out
    assert fake(*lines) == (0, [])


def test_a_line_that_fails_leaves_the_others(fake, capsys):
    bad = [
        f"--recipe=smnist --model={m} --data_dir={d}" for m, d in (("n64", "fail"), ("n16", "die"))
    ]
    assert fake(*bad, "--recipe=fsdd --model=n16") == (1, ["n64", "n16", "n16"])
    out = capsys.readouterr().out
    assert "failed: Error: Expected luck. Received: none" in out and "noise" not in out
    assert "failed: ended by signal 9 (SIGKILL)" in out
    assert fake(*bad, "--recipe=fsdd --model=n16", minutes=0) == (0, [])
    assert capsys.readouterr().out.count("failed: Error: Expected luck") == 2  # known from before


def test_time_and_other_processes(fake, capsys):
    busy, stop, last = (
        f"--recipe=smnist --model={m} --data_dir={d}"
        for m, d in (("n64", "busy"), ("n16", "stop"), ("n8_bt", ""))
    )
    assert fake(busy, stop, last, minutes=5) == (0, ["n64", "n16"])
    out = capsys.readouterr().out
    assert "in the hands of another process" in out and "goes on from here" in out
    assert fake(last, minutes=0) == (0, [])


def test_smoke_lines(fake):
    lines = [f"--recipe=lra_image --model={m}" for m in ("n128", "n64_bt", "n32_bt", "n8")]
    assert fake(*lines, smoke=True) == (0, ["n128", "n64_bt", "n8"])  # n32_bt is the same child


def test_what_is_published_is_complete(fake, tmp_path, capsys):
    for name in ("etth1_n64", "etth1_n16_bt", "scisumm_n64"):  # the last one was trained on
        (tmp_path / "zoo" / name).mkdir(parents=True)
        card = (ROOT / "zoo" / name / "card.json").read_text()
        (tmp_path / "zoo" / name / "card.json").write_text(card)
    lines = ["--recipe=etth1 --model=n64", "--recipe=etth1 --model=n16_bt"]
    lines += ["--recipe=scisumm --model=n64"]
    assert fake(*lines) == (0, [])
    assert "complete: published, version" in capsys.readouterr().out
    for model, assignment in (
        ("n64", "pretrain.epochs=7"), ("n64", "seed=1"), ("n64", "model.features=8"),
        ("n16_bt", "start=published"), ("n16_bt", "state_size=32"),
    ):  # fmt: skip
        text = f"--recipe=etth1 --model={model} --set {assignment}"
        (line,) = queue.read_queue(write(tmp_path, text), tmp_path / "runs")
        assert line.standing().text == "not begun", assignment


def write(folder, text):
    (folder / "queue").write_text(text)
    return folder / "queue"


def test_bad_lines_are_named_before_anything_is_trained(tmp_path):
    path = tmp_path / "queue"
    path.write_text(
        "--recipe=smnist\n--recipe=mnist\n--recipe=smnist --stage=test\n# --recipe=no\n"
        "--recipe=smnist --epochs=3\n--recipe=smnist --set epochs=3\n--recipe=smnist --model=n5\n"
        "--model=n64\n--recipe=smnist now\n--recipe='smnist\n--recipe=smnist --work_dir=a\n"
        "--recipe=smnist --restart\n"
    )
    with pytest.raises(queue.QueueError) as caught:
        queue.read_queue(path)
    told = str(caught.value).splitlines()
    numbers = [text.partition("line ")[2].partition(":")[0] for text in told if str(path) in text]
    assert numbers == ["2", "3", "5", "6", "7", "8", "9", "10", "11", "12"]
    text = str(caught.value)
    for word in ("mnist", "'epochs'", "train.epochs", "n5", "--recipe", "now", "work_dir"):
        assert word in text
    with pytest.raises(queue.QueueError, match="Expected a file with a queue"):
        queue.read_queue(tmp_path / "none")
    path.write_bytes("--recipe=größe".encode("latin-1"))
    with pytest.raises(queue.QueueError, match="Expected a file with a queue.*'utf-8' codec"):
        queue.read_queue(path)


def test_the_real_queue():
    lines = queue.read_queue(queue.QUEUE)
    names = [name for line in lines for name in line.names]
    assert len(set(names)) == len(names) > 40
    assert {line.values.recipe for line in lines} <= set(RECIPES)
    for position, line in enumerate(lines):  # a parent before the children reduced from it
        for name in filter(line.settings.reduced, line.names):
            parent = line.settings.parent
            assert parent in names[:position], name
    assert queue.read_queue(queue.QUEUE, smoke=True)


def start(folder, *flags):
    return subprocess.Popen(
        [sys.executable, "-m", "recipes.run", "--queue", f"--queue_file={folder / 'queue'}",
         "--smoke", f"--work_dir={folder / 'runs'}", *flags],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_killed(tmp_path):
    """SIGKILL while a model trains: the training ends too, and the next call goes on with it."""
    (tmp_path / "queue").write_text(
        "--recipe=smnist --stage=pretrain --model=n64 --set=checkpoint_minutes=0\n"
    )
    folder = tmp_path / "runs" / "smnist_smoke" / "smnist_n6"
    first = start(tmp_path)
    while first.poll() is None and not (folder / "checkpoint.npz").exists():
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    for _ in range(500):  # the training is gone: its lock is free
        try:
            with locked(folder):
                break
        except FolderInUse:
            time.sleep(0.01)
    else:
        raise AssertionError("the training outlives its queue")
    meta = read_checkpoint_meta(folder / "checkpoint.npz")
    step, total = meta["state"]["step"], meta["total"]
    assert 0 < step < total and not (folder / "training.json").exists()
    second = start(tmp_path)
    out, errors = second.communicate(timeout=240)
    assert second.returncode == 0, errors[-3000:]
    assert f"step {step} of {total}" in out and "== line 1: complete" in out
    facts = json.loads((folder / "training.json").read_text())
    assert facts["steps"] == total and len(facts["history"]) == 2
