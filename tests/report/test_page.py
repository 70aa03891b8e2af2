import re

import keras
import numpy as np
import pytest

from keras_dss import compress_model, report
from keras_dss.models import DSSClassifier
from keras_dss.report import facts
from tests.report.svg import Page


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    model = DSSClassifier(2, features=3, num_blocks=2, state_size=4, bidirectional=True)
    small, compression = compress_model(model, 2, return_report=True)
    return model, small, compression


@pytest.fixture(scope="module")
def text(models):
    model, small, compression = models
    curve = report.Curve(series={"a": [(24, 0.9), (12, 0.8)]}, points=(("mine", 12, 0.85),))
    return report.render(
        small, name="<b>mine</b>", parent=model, parent_name="old & large",
        compression=compression, curve=curve,
    )  # fmt: skip


def test_the_page_stands_alone(text):
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "img", "object"} & set(names)
    for _, attributes in page.tags:
        for key, value in attributes.items():
            if key in ("src", "href"):
                assert value.startswith(("#", "data:")), value
            assert not key.startswith("on")
    assert "http" not in re.sub(r'xmlns[:a-z]*="[^"]*"', "", text)
    assert "@import" not in text and "pickle" not in text


def test_pictures_have_texts_and_ids_are_unique(text):
    page = Page(text)
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == 1 + 2 * 3
    assert all(len(one["aria-label"]) > 20 and one["role"] == "img" for one in pictures)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert targets == {"curve", "layers", "hankel", "kernels", "poles"} <= set(ids)


def test_names_are_text_not_markup(text):
    assert "<b>" not in text and "&lt;b&gt;mine" in text and "old &amp; large" in text
    assert "<b>mine</b>" in Page(text).text


def test_tables_say_what_the_reports_say(models, text):
    model, small, compression = models
    rows = {row[0]: row for row in reversed(Page(text).rows)}
    for layer in compression.layers:
        row = rows[layer.path]
        assert row[1] == "4 → 2"
        assert row[3] == f"{layer.parameters_before:,} → {layer.parameters_after:,}"
        assert row[4] == f"{layer.hinf_error / layer.hinf_norm:.2%}"
    assert rows["whole model"][2] == "48 → 24"
    assert f"{small.count_params():,}" in Page(text).text


def test_distances_are_those_of_the_systems(models):
    model, small, compression = models
    found = report.layer_facts(small, model)
    assert [layer.path for layer in found] != [] and all(layer.before for layer in found)
    for layer, row in zip(found, compression.layers, strict=True):
        norm = layer.before.hinf_norm()
        error = (layer.before - layer.system).hinf_norm()
        assert layer.hinf_distance == pytest.approx(np.max(error / norm), rel=2e-2)
        assert layer.hinf_distance >= 0.98 * row.hinf_error / row.hinf_norm
        assert layer.hankel.shape[-1] == 4 and layer.hankel_before.shape[-1] == 8
    assert report.layer_facts(model, model)[0].h2_distance < 1e-12


def test_kernels_shown_are_those_of_the_largest_change(models):
    model, small, _ = models
    layer = report.layer_facts(small, model)[0]
    after, before, labels = layer.shown_kernels()
    length = after.shape[-1]
    whole = layer.before.impulse_response(length).reshape(-1, length)
    change = whole - layer.system.impulse_response(length).reshape(-1, length)
    worst = np.argmax(np.linalg.norm(change, axis=-1) / np.linalg.norm(whole, axis=-1))
    np.testing.assert_allclose(before[-1], whole[worst])
    assert labels[-1] == (
        f"feature {worst % 3} {('forward', 'backward')[worst // 3]}: largest change"
    )


def test_growing_modes_have_no_page_less():
    layer = {"parameterization": "softmax", "kernel_length": 16, "state_size": 4}
    model = keras.Sequential([keras.Input((16, 2)), facts_layer(layer)])
    model.layers[0].lambda_re.assign(0.1 * np.ones(4, "float32"))
    assert not model.layers[0].to_system().is_stable
    assert "unstable" in Page(report.render(model, parent=model)).text


def facts_layer(options):
    from keras_dss.layers import DSS

    return DSS(**options)


def test_a_card_is_shown_with_its_metrics(models):
    from tests.cli.support import make_card

    card = make_card() | {
        "name": "lra_listops_n4", "version": 1, "states": 24, "bytes": 1000, "date": "today",
        "parameters": {"total": 9, "ssm": 4}, "versions": {"backend": "any"},
        "files": {"config.json": "0" * 64},
    }  # fmt: skip
    page = Page(report.render(models[1], card=card, curve=report.Curve()))
    rows = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert rows["on test"] == "25.00% (6 of 24)" and rows["known defect"] == "few"
    assert "25.00 %" in page.text
    card["metrics"] = {"test": {"rmse": 1.5, "total": 24}}
    page = Page(report.render(models[1], card=card, curve=report.Curve()))
    rows = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert rows["on test"] == "rmse 1.5 (24 examples)" and "1.5000" in page.text


def test_a_parent_must_correspond(models, tmp_path):
    model, small, _ = models
    other = DSSClassifier(2, features=3, num_blocks=1, state_size=4)
    with pytest.raises(ValueError, match="2 DSS layers.*with 1"):
        report.write(small, tmp_path / "page.html", parent=other)
    narrow = DSSClassifier(2, features=2, num_blocks=2, state_size=4)
    with pytest.raises(ValueError, match="features and directions"):
        report.render(small, parent=narrow)
    assert list(tmp_path.iterdir()) == []


def test_kernels_are_cut_where_their_energy_ends(models):
    found = report.layer_facts(models[0])[0]
    after, before, labels = found.shown_kernels()
    assert before is None and labels[-1].endswith("largest energy")
    whole = found.system.impulse_response(facts.LONGEST)
    shown = np.linalg.norm(after, axis=-1) ** 2
    energies = np.sort((whole**2).sum(axis=-1).reshape(-1))
    assert shown[-1] >= facts.ENERGY * energies[-1]
