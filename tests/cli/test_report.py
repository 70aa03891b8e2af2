import json

import pytest

from keras_dss import zoo
from tests.cli import support
from tests.report.svg import Page


def test_a_published_model_has_a_page(run, place, tmp_path):
    page = tmp_path / "page.html"
    code, out, err = run("report", support.NAME, "--output", page, "--evaluate=8")
    assert (code, out) == (0, f"page {page}\n")
    found = Page(page.read_text())
    assert support.NAME in found.text and "8 test examples" in found.text
    assert "made here" in found.text  # the card
    assert "Reducing and evaluating" in err
    assert list(tmp_path.iterdir()) == [page]


def test_a_compressed_file_finds_its_parent_and_its_report(run, place, tmp_path):
    small = tmp_path / "small.keras"
    assert run("compress", support.NAME, "--rank=3", "--output", small)[0] == 0
    code, _, err = run("report", small, "--output", tmp_path / "page.html")
    assert code == 0 and f"beside {support.NAME}" in err
    found = Page((tmp_path / "page.html").read_text())
    made = json.loads((tmp_path / "small.report.json").read_text())
    row = next(row for row in found.rows if row[0] == "whole model")
    compression = made["compression"]
    assert row[3] == f"{compression['parameters_before']:,} → {compression['parameters_after']:,}"
    assert "Measured by keras-dss compress on 24 test examples" in found.text

    other = tmp_path / "other.keras"
    zoo.load(support.NAME, root=place / "zoo").save(other)
    code, _, err = run("report", small, f"--parent={other}", "--output", tmp_path / "2.html")
    assert code == 0 and "beside other" in err

    curve = tmp_path / "curve.json"
    curve.write_text(json.dumps({"series": {"theirs": [[4, 0.5]]}}))
    arguments = [f"--curve={curve}", "--output", tmp_path / "page.html", "--overwrite"]
    assert run("report", other, *arguments)[0] == 0
    found = Page((tmp_path / "page.html").read_text())
    assert "theirs" in found.text and "whole model" not in found.text


def test_a_parent_is_found_from_other_folders(run, monkeypatch, tmp_path):
    folder = tmp_path / "models"
    (folder / "small").mkdir(parents=True)
    support.make_model(state_size=4).save(folder / "parent.keras")
    monkeypatch.chdir(folder)
    assert run("compress", "parent.keras", "--rank=2", "--output=small/a.keras")[0] == 0

    monkeypatch.chdir(tmp_path)
    folder = folder.rename(tmp_path / "moved")
    report = ("report", folder / "small" / "a.keras", "--overwrite", f"--output={tmp_path}/a.html")
    code, _, err = run(*report)
    assert code == 0 and "a, beside parent" in err

    path = folder / "small" / "a.report.json"
    content = path.read_text()
    path.write_text(content.replace('"file": "../parent.keras"', '"file": "moved/parent.keras"'))
    assert path.read_text() != content
    code, _, err = run(*report)
    assert code == 0 and "a, beside parent" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "no --output"),
        (("--output=page.pdf",), "--output=FILE.html"),
        (("--output=page.html", "--curve=a.json", "--evaluate=3"), "Received: both"),
    ],
)
def test_what_does_not_fit_is_said_at_once(fails, flags, message):
    assert message in fails(2, "report", support.NAME, *flags)


def test_a_missing_curve_leaves_no_page(fails, tmp_path):
    page, curve = tmp_path / "page.html", tmp_path / "none.json"
    assert "none.json" in fails(1, "report", support.NAME, f"--output={page}", f"--curve={curve}")
    assert list(tmp_path.iterdir()) == []
