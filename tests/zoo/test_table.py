import runpy
import sys

import keras
import numpy as np
import pytest
from absl import flags

from keras_dss import zoo
from keras_dss.zoo.table import insert
from tests.zoo.support import make_card

TEXT = "# Title\n\n<!-- zoo -->\nold\n<!-- /zoo -->\n\nrest\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    zoo.publish(model, "toy_n64", make_card(), np.ones((2, 3)), root=root)
    zoo.publish(model, "toy_n64", make_card(), np.ones((2, 3)), root=root)
    zoo.publish(model, "toy_n16_bt", make_card(parent="toy_n64"), np.ones((2, 3)), root=root)
    score = {"mse": 0.25, "mae": 0.4, "total": 8}
    card = make_card(
        task="line", metrics={"validation": score, "test": score}, baselines={"mean": 1.0}
    )
    zoo.publish(model, "line_n8", card, np.ones((2, 3)), root=root)
    return root


def run(monkeypatch, root, *arguments):
    """Runs the module as a program; returns what it exits with."""
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(root))
    monkeypatch.setattr(sys, "argv", ["table", *arguments])
    saved = flags.FLAGS.flag_values_dict().keys()
    try:
        runpy.run_module("keras_dss.zoo.table", run_name="__main__")
    except SystemExit as error:
        return error.code or 0
    finally:
        for name in set(flags.FLAGS) - set(saved):
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


def test_rows(folder):
    rows = zoo.table(folder)
    assert [row["name"] for row in rows] == ["line_n8", "toy_n16_bt", "toy_n64"]
    assert rows[1] == {
        "task": "toy",
        "name": "toy_n16_bt",
        "states": 0,
        "parameters": 8,
        "bytes": zoo.card("toy_n16_bt", folder)["bytes"],
        "test_accuracy": 0.5,
        "chance": 1 / 3,
        "majority": 0.4,
        "test": {"accuracy": 0.5, "correct": 4, "total": 8},
        "baselines": {"chance": 1 / 3, "majority": 0.4},
        "parent": "toy_n64",
        "version": 1,
    }
    assert rows[0]["test_accuracy"] is None and rows[2]["version"] == 2


def test_markdown(folder):
    lines = zoo.markdown_table(folder).splitlines()
    assert len(lines) == 5 and len({line.count("|") for line in lines}) == 1
    assert "| `line_n8` | MSE 0.2500, MAE 0.4000 |  |" in lines[2]
    assert "| `toy_n16_bt` | 50.00% (4 of 8) | 40.00% |" in lines[3]
    assert lines[3].endswith("| `toy_n64` | 1 |")


def test_insert(folder, tmp_path):
    text = insert(TEXT, folder)
    assert text == TEXT.replace("old", zoo.markdown_table(folder))
    assert insert(text, folder) == text
    assert insert(text, tmp_path).count("\n") == text.count("\n") - 3


@pytest.mark.parametrize("text", ["", "<!-- zoo -->", "<!-- /zoo --><!-- zoo -->", TEXT + TEXT])
def test_markers(folder, text):
    with pytest.raises(ValueError, match="Expected the markers.*Received"):
        insert(text, folder)


def test_program(folder, tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(TEXT)
    assert "--write" in run(monkeypatch, folder, f"--check={readme}")
    assert readme.read_text() == TEXT
    assert run(monkeypatch, folder, f"--write={readme}") == 0
    assert readme.read_text() == insert(TEXT, folder)
    assert run(monkeypatch, folder, f"--check={readme}") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert run(monkeypatch, folder) == 0
    assert "toy_n64" in capsys.readouterr().out
    readme.write_text("no markers")
    assert "markers" in run(monkeypatch, folder, f"--write={readme}")
    assert "No such file" in run(monkeypatch, folder, f"--check={tmp_path / 'none'}")
