"""Commands, flags, help, errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dss.cli import command_line
from keras_dss.cli.command_line import COMMANDS
from keras_dss.version import __version__
from tests.cli.support import NAME

REPOSITORY = Path(__file__).parents[2]


def test_overview_names_every_command(run):
    for arguments in ([], ["--help"], ["help"]):
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_flag(run, name):
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    assert COMMANDS[name].SUMMARY in out
    flags = command_line._flags(COMMANDS[name])
    assert all(re.search(rf"--(\[no\])?{flag}\b", out) for flag in flags)
    assert (code, out) == run("help", name)[:2]
    assert (code, out) == run(name, "argument", "--help")[:2]


def test_version(run):
    assert run("--version") == (0, f"keras_dss {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["comprss"], ["did you mean compress?", "Received: 'comprss'"]),
        (["quantize"], ["list, info, evaluate, compress"]),
        (["compress", NAME, "--rnak=2"], ["no flag --rnak", "did you mean --rank?"]),
        (["compress", NAME, "--zzzzzz=2"], ["no flag --zzzzzz", "--help"]),
        (["compress", "--rank=2", "--output=a.keras"], ["NAME_OR_FILE", "Received: none"]),
        (["info", "a", "b"], ["with NAME", "Received: a b"]),
        (["list", "a"], ["no argument", "Received: a"]),
        (["evaluate", NAME, "--split=tset"], ["--split=tset", "test"]),
        (["evaluate", NAME, "--examples=0"], ["--examples=0"]),
        (["compress", NAME, "--train_minutes=soon"], ["--train_minutes=soon"]),
        (["compress", NAME, "--rank"], ["rank"]),
    ],
)
def test_command_lines_that_do_not_fit(fails, arguments, words):
    line = fails(2, *arguments)
    assert all(word in line for word in words), line


def test_unknown_model(fails):
    for command in ("info", "evaluate"):
        line = fails(2, command, "lra_listops_n16")
        assert f"Did you mean '{NAME}'?" in line and "Received: 'lra_listops_n16'" in line


def test_debug_shows_the_traceback(run):
    code, _, err = run("info", "none", "--debug")
    assert code == 2 and "Traceback" in err and err.splitlines()[-1].startswith("keras-dss: ")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "keras-dss: interrupted; no output was written\n"),
        (KeyError("a"), 1, "keras-dss: unexpected KeyError: 'a'\n"),
        (OSError("no\n  room"), 1, "keras-dss: no room\n"),
        (ValueError("x" * 5000 + "y" * 5000), 1, f"keras-dss: {'x' * 400} ... {'y' * 400}\n"),
    ],
)
def test_errors_at_work(run, monkeypatch, error, code, text):
    def fail(*_):
        raise error

    monkeypatch.setattr(COMMANDS["list"], "run", fail)
    assert run("list") == (code, "", text)


def test_module_runs_from_another_folder(tmp_path, place):
    environment = {"KERAS_DSS_ZOO_DIR": str(place / "zoo"), "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-m", "keras_dss.cli", "info", "none"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2 and result.stderr.splitlines()[-1].startswith("keras-dss: ")
