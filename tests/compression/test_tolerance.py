"""Ranks from a relative H-infinity tolerance."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss import compress_model
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.layers import DSS
from keras_dss.ssm import UnstableSystemError, balanced_truncation, hinf_bounds
from tests.compression.models import make_inputs


def make_model(names="ab", size=8, **options):
    keras.utils.set_random_seed(1)
    options = {"dt_min": 0.05, "dt_max": 0.5} | options
    return keras.Sequential(
        [keras.Input((None, 3))]
        + [DSS(size, name=name, **options) for name in names]
        + [keras.layers.Dense(2)]
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


def relative_error(old, new):
    """Proven between the layers as they are stored, float32 weights included."""
    difference = old.to_system() - new.to_system()
    return np.max(hinf_bounds(difference, rtol=1e-3)[1]) / np.max(old.to_system().hinf_norm())


def ranks(report):
    return [layer.rank_after for layer in report.layers]


@given(st.floats(2e-3, 0.9), st.booleans())
@settings(deadline=None, max_examples=12)
def test_the_stored_layers_keep_within_the_tolerance(tolerance, calibrated):
    model = make_model()
    calibration = make_inputs(4, 40) if calibrated else None
    try:
        small = compress_model(model, tolerance=tolerance, calibration=calibration)
    except ValueError as error:
        assert "The best attainable is" in str(error)
        return
    pairs = zip(find_dss_layers(model).values(), find_dss_layers(small).values(), strict=True)
    assert all(relative_error(*pair) <= tolerance for pair in pairs)


@pytest.mark.parametrize("method", ["balanced", "modal_refit"])
def test_no_smaller_rank_would_do(model, method):
    tolerance = 0.2
    _, report = compress_model(model, tolerance=tolerance, method=method, return_report=True)
    assert any(1 < rank < 8 for rank in ranks(report))
    for layer in report.layers:
        assert layer.hinf_error <= tolerance * layer.hinf_norm
    for i, name in enumerate("ab"):
        for rank in range(1, ranks(report)[i]):
            less = compress_model(model, {name: rank}, method=method, return_report=True)[1]
            row = less.layers[i]
            assert row.hinf_error * 1.001 + row.rounding > tolerance * row.hinf_norm


@given(st.floats(2e-3, 0.5), st.floats(1.0, 10.0))
@settings(deadline=None, max_examples=8)
def test_a_wider_tolerance_needs_no_more_modes(tolerance, factor):
    model = make_model("a")

    def smallest(tolerance):
        try:
            return compress_model(model, tolerance=tolerance).layers[0].state_size
        except ValueError as error:
            assert "The best attainable is" in str(error)
            return 8

    assert smallest(min(0.99, factor * tolerance)) <= smallest(tolerance)


def test_a_mapping_leaves_other_layers(model):
    _, report = compress_model(model, tolerance={"b": 0.2}, return_report=True)
    assert report.layers[0].reason == "not in the mapping of tolerances"
    assert ranks(report)[0] == 8 > ranks(report)[1]


def test_both_directions():
    model = make_model("a", size=4, bidirectional=True)
    small = compress_model(model, tolerance=0.5)
    assert relative_error(model.layers[0], small.layers[0]) <= 0.5


@pytest.mark.parametrize("method", ["balanced", "modal"])
def test_unattainable_says_how_near_one_comes(model, method):
    with pytest.raises(
        ValueError, match="best attainable is .* layer 'a' of state size 8, .* layer 'b' of .*1e-08"
    ):
        compress_model(model, tolerance=1e-8, method=method)
    try:
        compress_model(model, tolerance=1e-8, method=method)
    except ValueError as error:
        number, _, modes = str(error).partition("best attainable is ")[2].split()[:3]
    best, rank = float(number), int(modes)
    found = []
    for each in range(1, 8):
        row = compress_model(model, {"a": each}, method=method, return_report=True)[1].layers[0]
        found.append((row.hinf_error + row.rounding) / row.hinf_norm)
    assert best == pytest.approx(min(found), rel=2e-2)
    assert found[rank - 1] == pytest.approx(min(found), rel=2e-2)


def test_float32_weights_set_the_limit():
    """A system of two modes twice over needs two, but float32 cannot hold them any better."""
    layer = DSS(4, eigenvalues="per_feature", name="a")
    model = keras.Sequential([keras.Input((None, 1)), layer])
    layer.lambda_re.assign([[-3.0, -3.0, -2.0, -2.0]])
    layer.lambda_im.assign([[11.0, 11.0, 3.0, 3.0]])
    exact = balanced_truncation(layer.to_system(), 2)
    norm = float(layer.to_system().hinf_norm().max())
    assert float(exact.hinf_error().max()) < 1e-9 * norm
    with pytest.raises(ValueError, match="The best attainable is"):
        compress_model(model, tolerance=1e-9)
    small, report = compress_model(model, tolerance=1e-3, return_report=True)
    row = report.layers[0]
    difference = exact.system - small.layers[0].to_system()
    assert row.rank_after == 2
    assert 0.0 < float(difference.hinf_norm(rtol=0.1).max()) <= row.rounding
    assert "float32 adds up to" in str(report)


def test_layers_without_a_norm():
    model = make_model("a", parameterization="softmax", kernel_length=20)
    model.layers[0].lambda_re.assign(np.full(8, 0.5))
    with pytest.raises(UnstableSystemError, match="layer '.*a' does not have. Received: a pole"):
        compress_model(model, tolerance=0.5)


def test_stable_softmax_layers_are_balanced_over_all_steps():
    model = make_model("a", parameterization="softmax", kernel_length=20)
    model.layers[0].lambda_re.assign(np.linspace(-1.0, -0.1, 8))
    small, report = compress_model(model, tolerance=0.3, return_report=True)
    assert report.layers[0].rank_after < 8
    assert relative_error(model.layers[0], small.layers[0]) <= 0.3
    refitted = compress_model(model, 4, refit="kernel")
    assert refitted.layers[0].to_system().is_stable
    options = {"parameterization": "softmax", "kernel_length": 40, "dt_min": 1e-3, "dt_max": 0.1}
    model = make_model("a", size=3, **options)
    with pytest.raises(ValueError, match="not known, as all reductions have modes that grow"):
        compress_model(model, tolerance=0.3, horizon=40)


def test_layers_that_no_smaller_rank_keeps_stay(model):
    model = keras.Sequential([keras.Input((None, 3)), DSS(1, name="one"), *make_model().layers])
    small, report = compress_model(
        model, tolerance={"one": 0.9, "a": 1e-8, "b": 0.2}, return_report=True
    )
    one, a, b = report.layers
    assert (one.rank_after, a.rank_after) == (1, 8) and b.rank_after < 8
    assert one.reason == "there is only one mode"
    assert a.reason.startswith("no smaller rank keeps the tolerance (best attainable ")
    assert b.reason is None and a.hinf_error == 0.0
    np.testing.assert_array_equal(small.layers[1].get_weights()[3], model.layers[1].W)


def test_a_single_mode_cannot_be_reduced():
    with pytest.raises(ValueError, match="to keep the only mode"):
        compress_model(make_model("a", size=1), tolerance=0.5)


@pytest.mark.parametrize("tolerance", [0.0, -0.1, 1.0, 1, True, "0.1", float("nan"), {"a": 2.0}])
def test_tolerances_that_are_none(model, tolerance):
    with pytest.raises(ValueError, match="number in .0, 1.. Received: tolerance="):
        compress_model(model, tolerance=tolerance)


def test_exactly_one_target(model):
    with pytest.raises(ValueError, match="exactly one of rank, tolerance and budget. .* none"):
        compress_model(model)
    with pytest.raises(ValueError, match="Received: rank=2, tolerance=0.1"):
        compress_model(model, 2, tolerance=0.1)
    with pytest.raises(ValueError, match="`tolerance` must name DSS layers .* Received: 'c'"):
        compress_model(model, tolerance={"c": 0.1})
