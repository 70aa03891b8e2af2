"""What the report says, and that it is so."""

import json

import keras
import numpy as np
import pytest

from keras_dss import compress_model
from keras_dss.compression.report import WIDTH
from keras_dss.layers import DSS
from keras_dss.models import DSSRegressor
from keras_dss.report.tables import compression_table
from tests.compression.models import make_inputs
from tests.layers.oracles import numpy


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((None, 3)), DSS(8, name="a"), DSS(8, name="b")])


def test_outputs_are_compared_on_the_first_sequences(model):
    x = make_inputs(80, 20)
    batches = [(x[:40], None), (x[40:], None)]
    small, report = compress_model(model, 1, calibration=batches, return_report=True)
    old, new = (np.concatenate([numpy(m(x[:40])), numpy(m(x[40:64]))]) for m in (model, small))
    found = report.outputs
    assert found.sequences == 64
    expected = np.linalg.norm(new - old) / np.linalg.norm(old)
    assert found.relative_l2 == pytest.approx(expected, rel=1e-3)
    assert found.agreement == np.mean(old.argmax(axis=-1) == new.argmax(axis=-1))
    assert f"changed by {found.relative_l2:.2%}" in str(report).replace("\n", " ")


def test_several_inputs_and_outputs():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    layer = DSS(4, name="a")
    y = layer(keras.layers.add([a, b]))
    model = keras.Model([a, b], {"sum": y, "more": keras.layers.Dense(1)(y)})
    x = [make_inputs(3), make_inputs(3, seed=1)]
    small, report = compress_model(model, 1, calibration=x, return_report=True)
    old, new = (
        np.concatenate([numpy(m(x)[k]) for k in ("sum", "more")], -1) for m in (model, small)
    )
    expected = np.linalg.norm(new - old) / np.linalg.norm(old)
    assert report.outputs.relative_l2 == pytest.approx(expected, rel=1e-3)
    assert report.outputs.sequences == 3


def test_numbers_have_no_largest_entry():
    model = DSSRegressor(2, features=3, num_blocks=1, state_size=4, channels=3)
    _, report = compress_model(model, 2, calibration=make_inputs(), return_report=True)
    assert report.outputs.agreement is None and "largest" not in str(report)


def test_without_calibration_nothing_is_said_of_outputs(model):
    _, report = compress_model(model, 2, return_report=True)
    assert report.outputs is None and "outputs" not in str(report)


def test_parameters_are_counted_honestly(model):
    """Shared: 2 N + 2 H N + 2 H. Per feature: 4 H r + 2 H, more than that at r = 5 of 8."""
    small, report = compress_model(model, {"a": 5, "b": 3}, return_report=True)
    assert [row.parameters_before for row in report.layers] == [2 * 8 + 2 * 3 * 8 + 2 * 3] * 2
    assert [row.parameters_after for row in report.layers] == [4 * 3 * r + 2 * 3 for r in (5, 3)]
    assert [layer.count_params() for layer in small.layers] == [
        row.parameters_after for row in report.layers
    ]
    assert [row.eigenvalues for row in report.layers] == ["per_feature"] * 2
    assert not report.layers[0].notes and not report.notes
    _, report = compress_model(model, {"a": 6, "b": 7}, return_report=True)
    assert [row.parameters_after for row in report.layers] == [78, 90]
    assert report.notes == ("more parameters than before: every layer",)


def test_dictionary_is_json(model):
    x = make_inputs(40)
    _, report = compress_model(model, {"b": 3}, calibration=x, return_report=True)
    content = json.loads(json.dumps(report.to_dict()))
    assert content["target"] == "rank {'b': 3}"
    assert content["outputs"]["sequences"] == 40
    assert content["layers"][0]["notes"] == ["skipped: not in the mapping of ranks"]
    row = content["layers"][1]
    assert 0.0 < row["rounding"] < row["hinf_error"] <= row["error_bound"]


def test_table_fits_a_page(model):
    _, report = compress_model(model, budget=0.5, return_report=True)
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "budget 0.5 of the states" in lines[0]
    states = f"{report.states_before} -> {report.states_after} states"
    assert any(states in line for line in lines)


def test_an_unstable_layer_has_no_errors():
    layer = DSS(4, parameterization="softmax", kernel_length=20, name="a")
    model = keras.Sequential([keras.Input((None, 3)), layer])
    layer.lambda_re.assign([0.5, -0.5, -0.1, 0.2])
    _, report = compress_model(model, 2, return_report=True)
    (row,) = report.layers
    assert row.hinf_error is row.error_bound is row.hinf_norm is None
    assert any("unstable" in note for note in row.notes)


@pytest.mark.parametrize("rank", [8, {"b": 3}])
def test_a_layer_that_stays_has_no_error(model, rank):
    _, report = compress_model(model, rank, return_report=True)
    row = report.layers[0]
    assert row.hinf_error == row.error_bound == row.h2_error == row.rounding == 0.0
    assert row.stable and row.reason
    assert all(layer.hinf_error <= layer.error_bound for layer in report.layers)
    line = next(line for line in str(report).splitlines() if line.split()[:1] == ["a"])
    assert line.split() == ["a", "8", "70"]
    values = json.loads(json.dumps(report.to_dict()))["layers"][0]
    assert values["hinf_error"] == 0.0 and values["hinf_norm"] is None
    assert "skipped" in compression_table(report.to_dict())


def test_a_layer_that_stays_unstable():
    layer = DSS(4, parameterization="softmax", kernel_length=20, name="a")
    model = keras.Sequential([keras.Input((None, 3)), layer, DSS(8, name="b")])
    layer.lambda_re.assign([0.5, -0.5, -0.1, 0.2])
    row = compress_model(model, {"b": 2}, return_report=True)[1].layers[0]
    assert row.stable is False and row.hinf_error == 0.0
    layer.D.assign([0.0, np.nan, 0.0])
    assert compress_model(model, {"b": 2}, return_report=True)[1].layers[0].stable is None


def test_growing_modes_have_the_error_of_their_kernel():
    layer = DSS(8, parameterization="softmax", kernel_length=64, name="a")
    model = keras.Sequential([keras.Input((None, 3)), layer])
    layer.lambda_re.assign(np.where(np.arange(8) % 2, -0.5, 5.0))
    small, report = compress_model(model, 4, return_report=True)
    kernel, reduced = (numpy(m.layers[0].kernel(64)) for m in (model, small))
    (row,) = report.layers
    norm = np.sqrt(np.sum((kernel + np.eye(1, 64) * numpy(layer.D)[:, None]) ** 2))
    assert row.kernel_norm == pytest.approx(norm, rel=1e-4)
    assert row.kernel_error == pytest.approx(np.linalg.norm(kernel - reduced), rel=1e-3)
    assert row.hinf_error is row.error_bound is None
    share = row.kernel_error / row.kernel_norm
    assert f"error of the kernel, relative to its norm, {share:.1e}" in row.notes
    (stable,) = compress_model(
        keras.Sequential([keras.Input((None, 3)), DSS(8)]), 4, return_report=True
    )[1].layers
    assert stable.kernel_error is stable.kernel_norm is None


@keras.saving.register_keras_serializable(package="tests")
class ScaledDSS(DSS):
    def __init__(self, state_size, *, scale, **kwargs):
        super().__init__(state_size, **kwargs)
        self.scale = scale

    def call(self, inputs, mask=None):
        return self.scale * super().call(inputs, mask=mask)

    def get_config(self):
        return super().get_config() | {"scale": self.scale}


@pytest.mark.parametrize("target", [{"rank": 3}, {"tolerance": 0.9}])
def test_subclasses_of_the_layer(target):
    model = keras.Sequential([keras.Input((None, 3)), ScaledDSS(8, scale=3.0)])
    small, report = compress_model(model, **target, return_report=True)
    assert type(small.layers[0]) is ScaledDSS and small.layers[0].scale == 3.0
    assert small.layers[0].state_size == report.layers[0].rank_after < 8
