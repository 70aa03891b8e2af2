"""Ranks from a budget for the whole model."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss import compress_model
from keras_dss.compression import Budget
from keras_dss.compression.outputs import Outputs, computing
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.compression.sensitivity import tail_energy
from keras_dss.layers import DSS
from keras_dss.ssm import hankel_singular_values
from tests.compression.models import MODELS, make_inputs
from tests.layers.oracles import numpy


def branches(weights=(1.0, 1.0), size=8, **options):
    """Two layers side by side, each with a weight on what it adds."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((None, 3))
    options = {"dt_min": 0.05, "dt_max": 0.5} | options
    parts = [
        keras.layers.Rescaling(weight)(DSS(size, name=name, **options)(inputs))
        for name, weight in zip("ab", weights, strict=True)
    ]
    return keras.Model(inputs, keras.layers.add(parts))


def states(model):
    return sum(
        layer.state_size * layer.log_dt.shape[0] * (1 + layer.bidirectional)
        for layer in find_dss_layers(model).values()
    )


@pytest.fixture(scope="module")
def functional():
    """Layers with shared and per-feature eigenvalues, of one and of two directions, and softmax."""
    return MODELS["functional"]()


@given(st.integers(12, 110))
@settings(deadline=None, max_examples=10)
def test_states_are_never_more(functional, budget):
    small, report = compress_model(functional, budget=budget, return_report=True)
    assert states(small) == report.states_after <= budget


@given(st.floats(0.5, 1.0))
@settings(deadline=None, max_examples=10)
def test_parameters_are_never_more(functional, fraction):
    limit = Budget(parameters=fraction).limit(functional.count_params())
    for budget in (Budget(parameters=fraction), Budget(parameters=limit)):
        small, report = compress_model(functional, budget=budget, return_report=True)
        assert small.count_params() == report.parameters_after <= limit


def test_calibrated_budgets_hold_too(functional):
    budget = 0.3
    small = compress_model(functional, budget=budget, calibration=make_inputs())
    assert states(small) <= budget * states(functional)


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("convolution", ["fft", "matmul"])
def test_modes_go_where_they_matter(convolution, calibrated):
    """A layer that the outputs do not see keeps one mode; Hankel energies cannot know."""
    model = branches((1.0, 0.0), convolution=convolution)
    calibration = make_inputs(4, 40) if calibrated else None
    _, report = compress_model(model, budget=24, calibration=calibration, return_report=True)
    ranks = [layer.rank_after for layer in report.layers]
    assert ranks == [7, 1] if calibrated else ranks[1] > 1
    assert sum(ranks) <= 8
    again = compress_model(model, budget=24, calibration=calibration, return_report=True)[1]
    assert [layer.rank_after for layer in again.layers] == ranks


def test_without_calibration_the_hankel_energy_decides():
    model = branches()
    _, report = compress_model(model, budget=24, return_report=True)
    tails = [tail_energy(hankel_singular_values(layer.to_system())) for layer in model.layers[1:3]]
    best = min(
        (tails[0][a - 1] + tails[1][b - 1], (a, b))
        for a in range(1, 9)
        for b in range(1, 9)
        if a + b <= 8
    )[1]
    assert tuple(layer.rank_after for layer in report.layers) == best


def test_outputs_with_one_layer_reduced_are_those_of_the_rebuilt_model():
    model, x = branches(), make_inputs(3, 30)
    outputs = Outputs(model)
    outputs.watched(x)
    small = compress_model(model, {"b": 3})
    with computing(model.get_layer("b"), small.get_layer("b").to_system()):
        found = outputs.change(model)
    assert outputs.change(model).relative_l2 == 0.0
    assert found.relative_l2 == pytest.approx(outputs.change(small).relative_l2, rel=1e-3)
    expected = np.linalg.norm(numpy(small(x)) - numpy(model(x))) / np.linalg.norm(numpy(model(x)))
    assert found.relative_l2 == pytest.approx(expected, rel=1e-3)


def test_a_system_with_another_direct_term_can_be_computed():
    layer = DSS(4, bidirectional=True)
    model, x = keras.Sequential([keras.Input((None, 3)), layer]), make_inputs(2)
    y, system = numpy(model(x)), layer.to_system()
    through = np.stack([system.feedthrough[0] + 1.0, system.feedthrough[1]])
    with computing(layer, type(system)(system.poles, system.residues, through)):
        np.testing.assert_allclose(numpy(model(x)), y + x, atol=1e-4)
    np.testing.assert_array_equal(numpy(model(x)), y)


def test_a_budget_of_everything_leaves_the_model():
    model = branches()
    small, report = compress_model(model, budget=1.0, return_report=True)
    assert [layer.reason for layer in report.layers] == ["the rank is the state size"] * 2
    for old, new in zip(model.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_all_modes_with_shared_eigenvalues_may_cost_less_than_some():
    """4 H r weights exceed 2 N + 2 H N from r = N/2 + N/(2 H) on: such ranks are not taken."""
    model = branches()
    before = model.count_params()
    for budget in (before, before - 1):
        _, report = compress_model(model, budget=Budget(parameters=budget), return_report=True)
        assert all(layer.parameters_after <= layer.parameters_before for layer in report.layers)
    assert report.parameters_after <= before - 1


def test_budgets_that_are_too_small():
    with pytest.raises(ValueError, match="at least 6 states. Received: 5 states"):
        compress_model(branches(), budget=5)
    with pytest.raises(ValueError, match=r"at least \d+ parameters. Received: 9 parameters"):
        compress_model(branches(), budget=Budget(parameters=9))
    with pytest.raises(ValueError, match="Received: states=0"):
        compress_model(branches(), budget=0)


def test_the_share_of_a_tail():
    assert tail_energy(np.zeros((2, 6))).tolist() == [0.0, 0.0, 0.0]
    values = np.array([[4.0, 3.0, 2.0, 1.0], [2.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(tail_energy(values), [5.0 / 34.0, 0.0])


@pytest.mark.parametrize("method", ["balanced", "modal"])
def test_residues_are_refitted_on_the_calibration_inputs(functional, method):
    model, x = branches(), make_inputs(4)
    options = {"budget": 0.5, "method": method, "calibration": x, "return_report": True}
    _, plain = compress_model(model, **options)
    _, refitted = compress_model(model, refit="calibration", **options)
    assert refitted.calibrated and refitted.states_after <= 0.5 * refitted.states_before
    assert 0.0 < refitted.outputs.relative_l2 < 1.0
    assert refitted.outputs.relative_l2 != plain.outputs.relative_l2
    with pytest.raises(ValueError, match="needs calibration inputs. Received: calibration=None"):
        compress_model(model, budget=0.5, refit="calibration")
