import json

import numpy as np
import pytest

from keras_dss import report, scoring
from keras_dss.models import DSSClassifier
from keras_dss.report.measured import fractions


def test_a_curve_is_read_from_a_file(tmp_path):
    path = tmp_path / "curve.json"
    content = {"series": {"a": [[8, 0.5], [4, 0.25, 0.01]]}, "reference": 0.6, "other": 1}
    path.write_text(json.dumps(content))
    curve = report.read_curve(path)
    assert curve.series == content["series"] and curve.reference == 0.6
    assert curve.metric == "accuracy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expected JSON"),
        ("[1]", "Received: list"),
        ('{"rows": 1}', r"Received: \['rows'\]"),
        ('{"series": {"a": [[1, "x"]]}}', r"Received: \[1, 'x'\] of 'a'"),
        ('{"series": {"a": [[0, 0.5]]}}', "states from 1"),
        ('{"series": {"a": 3}}', "does not fit"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "curve.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        report.read_curve(path)


def test_a_curve_is_measured_without_touching_the_model():
    model = DSSClassifier(2, features=2, num_blocks=1, state_size=3)
    before = model.get_weights()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 9, 1)).astype("float32"), rng.integers(0, 2, 12)
    calls = []
    curve = report.measure_curve(
        model, [(x, y)], calibration=x[:4], points=[("mine", model)],
        advance=lambda: calls.append(1),
    )  # fmt: skip
    assert fractions(model) == [0.5]
    accuracy = scoring.score(model, [(x, y)])["accuracy"]
    assert curve.reference == accuracy and curve.points == (("mine", 6, accuracy),)
    for values in curve.series.values():
        assert [states for states, _ in values] == [6, 4]
        assert values[0][1] == accuracy
    assert len(curve.series) == 2 and len(calls) == 2 * 1 + 1 + 1
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
