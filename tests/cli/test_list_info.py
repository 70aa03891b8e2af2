"""`keras-dss list` and `keras-dss info`."""

import json

from keras_dss import zoo
from tests.cli.support import NAME


def test_list(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    row = next(line.split() for line in out.splitlines() if NAME in line)
    (expected,) = zoo.table()
    assert row[:4] == ["lra_listops", NAME, str(expected["states"]), str(expected["parameters"])]
    assert "25.00%" in row and row[-1] == "1"
    assert max(map(len, out.splitlines())) <= 120


def test_list_of_one_task(run, fails):
    assert NAME in run("list", "--task=lra_listops")[1]
    assert "one of lra_listops. Received: --task=smnist" in fails(2, "list", "--task=smnist")


def test_empty_zoo(run, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path))
    assert run("list") == (0, f"No model is published in {tmp_path}.\n", "")


def test_info(run):
    code, out, err = run("info", NAME)
    assert (code, err) == (0, "")
    card = zoo.card(NAME)
    for word in (NAME, "25.00%", "short expressions", "few", "bidirectional no", "Apache-2.0"):
        assert word in out
    assert card["files"]["model.weights.h5"] in out
    assert f"{card['parameters']['total']:,}" in out


def test_info_as_json(run):
    assert json.loads(run("info", NAME, "--json")[1]) == zoo.card(NAME)


def test_damaged_card(fails, monkeypatch, tmp_path):
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "card.json").write_text("{")
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path))
    assert "card.json to be JSON" in fails(1, "info", NAME)
