"""Every method that reduces a layer, through `reduce_layer` and `compress_model`."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_dss
from keras_dss import ssm
from keras_dss.compression import METHODS
from keras_dss.compression.calibration import MeasuredInputs, measure_gramians, measure_inputs
from keras_dss.compression.methods import check_method, reduce_layer
from keras_dss.layers import DSS
from tests.layers.autodiff import double_precision


def built(features=3, state_size=6, **options):
    keras.utils.set_random_seed(0)
    layer = DSS(state_size, dt_min=0.02, dt_max=0.2, **options)
    layer.build((None, None, features))
    return layer


def inputs_of(layer, seed=0):
    """Smooth random inputs (B, L, H) and what is measured on them."""
    u = np.random.default_rng(seed).standard_normal((3, 60, layer.log_dt.shape[0]))
    u = np.cumsum(u, axis=1) / 8.0
    model = keras.Sequential([keras.Input(u.shape[1:]), layer])
    systems = {"ssm": layer.to_system()}
    return u, measure_inputs(model, {"ssm": layer}, systems, u, 32)["ssm"]


def rebuilt(layer, reduction):
    small = DSS.from_config(reduction.config(layer))
    small.build((None, None, layer.log_dt.shape[0]))
    return small


def kernel(system, length=80):
    return system.impulse_response(length)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_rebuilt_layer_computes_the_reduced_system(method, bidirectional):
    layer = built(bidirectional=bidirectional)
    system = layer.to_system()
    horizon = 50 if method == "finite_horizon" else None
    reduction = reduce_layer("ssm", layer, system, 3, method, horizon=horizon)
    assert reduction.system.poles.shape == (*system.shape, 3)
    assert np.all(reduction.stable) and reduction.original is system
    assert reduction.eigenvalues == METHODS[method].eigenvalues
    small = rebuilt(layer, reduction)
    assert small.eigenvalues == reduction.eigenvalues
    wanted = kernel(reduction.system)
    np.testing.assert_allclose(kernel(small.to_system()), wanted, atol=2e-5 * np.abs(wanted).max())
    if bidirectional:
        assert np.all(reduction.system.feedthrough[1] == 0.0)


@pytest.mark.parametrize("method", ["balanced", "shared"])
def test_parameters_of_float64_layers_are_float64(method):
    with double_precision():
        layer = built(dtype="float64")
        reduction = reduce_layer("ssm", layer, layer.to_system(), 3, method)
        small = rebuilt(layer, reduction).to_system()
    expected = kernel(reduction.system)
    np.testing.assert_allclose(kernel(small), expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_shared_eigenvalues_keep_the_number_of_parameters_low():
    layer = built(bidirectional=True)
    small = rebuilt(layer, reduce_layer("ssm", layer, layer.to_system(), 2, "shared"))
    assert small.count_params() == 2 * 2 + 2 * 3 * 2 * 2 + 2 * 3
    assert small.lambda_re.shape == (2,)


def test_shared_eigenvalues_of_a_layer_that_has_its_own_for_each_feature():
    layer = built(eigenvalues="per_feature")
    reduction = reduce_layer("ssm", layer, layer.to_system(), 3, "shared")
    errors = ssm.h2_norm(reduction.error_system), ssm.h2_norm(layer.to_system())
    assert np.sum(errors[0] ** 2) < 0.5 * np.sum(errors[1] ** 2)


def test_singular_perturbation_keeps_the_gain_at_frequency_zero():
    for bidirectional in (False, True):
        layer = built(bidirectional=bidirectional)
        system = layer.to_system()
        reduction = reduce_layer("ssm", layer, system, 2, "singular_perturbation")
        gains = [ssm.dc_gain(s) for s in (system, rebuilt(layer, reduction).to_system())]
        if bidirectional:
            gains = [gain.sum(axis=0) for gain in gains]
        np.testing.assert_allclose(gains[1], gains[0], rtol=1e-4, atol=1e-5)
        assert np.all(reduction.hinf_error() <= reduction.error_bound * (1 + 1e-6))


def test_singular_perturbation_of_both_directions_stays_near():
    layer = built(state_size=8, bidirectional=True)
    system = layer.to_system()
    plain, found = (
        reduce_layer("ssm", layer, system, 4, method)
        for method in ("balanced", "singular_perturbation")
    )
    np.testing.assert_array_equal(found.system.poles[1], plain.system.poles[1])
    lost = np.abs(ssm.dc_gain(system[1]) - ssm.dc_gain(plain.system[1]))
    alone = ssm.singular_perturbation(system, 4).error_bound[0]
    np.testing.assert_allclose(found.error_bound, [alone + lost, plain.error_bound[1]])
    assert np.all(found.error_bound[0] <= alone + plain.error_bound[1])


CALIBRATED = [name for name, method in METHODS.items() if method.calibrated]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("method", CALIBRATED)
def test_measured_inputs_lower_the_error_on_these_inputs(method, bidirectional):
    layer = built(state_size=8, bidirectional=bidirectional)
    _, inputs = inputs_of(layer)
    system, horizon = layer.to_system(), 200 if method == "finite_horizon" else None
    exact, measured = (
        reduce_layer("ssm", layer, system, 2, method, inputs=found, horizon=horizon)
        for found in (None, inputs)
    )
    errors = [ssm.output_norm(r.error_system, inputs.sequences) for r in (exact, measured)]
    if method == "singular_perturbation":  # which minds frequency zero first
        assert np.any(errors[1] < errors[0])
    else:
        assert np.sum(errors[1] ** 2) < np.sum(errors[0] ** 2)


@pytest.mark.parametrize("refit", ["kernel", "calibration"])
def test_refit_of_both_directions_lowers_what_it_minimises(refit):
    layer = built(bidirectional=True)
    _, inputs = inputs_of(layer)
    system = layer.to_system()
    plain, refitted = (
        reduce_layer("ssm", layer, system, 2, "balanced", inputs=inputs, refit=r)
        for r in (None, refit)
    )
    r = inputs.sequences if refit == "calibration" else None
    before, after = (ssm.output_norm(f.error_system, r) for f in (plain, refitted))
    assert np.all(after <= before * (1 + 1e-9)) and np.all(after.sum(axis=-1) < before.sum(axis=-1))
    assert np.all(np.isnan(refitted.error_bound)) and np.all(refitted.system.feedthrough[1] == 0)


def test_refit_is_the_least_squares_solution():
    layer = built()
    u, inputs = inputs_of(layer)
    system = layer.to_system()
    reduction = reduce_layer("ssm", layer, system, 2, "modal", inputs=inputs, refit="calibration")
    poles = ssm.modal_truncation(system, 2).poles
    np.testing.assert_array_equal(reduction.system.poles, poles)
    length = u.shape[1]
    for h in range(3):
        powers = poles[h][:, None] ** np.arange(length)
        columns = [*powers.real, *-powers.imag, np.eye(1, length)[0]]
        columns = [np.concatenate([np.convolve(x[:, h], c)[:length] for x in u]) for c in columns]
        wanted = kernel(system, length)[h]
        target = np.concatenate([np.convolve(x[:, h], wanted)[:length] for x in u])
        best = np.linalg.lstsq(np.array(columns).T, target, rcond=None)[0]
        found = reduction.system
        coefficients = [*found.residues[h].real, *found.residues[h].imag, found.feedthrough[h]]
        np.testing.assert_allclose(coefficients, best, rtol=1e-5, atol=1e-6)


def test_finite_horizon_serves_growing_modes():
    layer = built(parameterization="softmax", kernel_length=40)
    layer.lambda_re.assign(np.linspace(-0.5, 0.05, 6))
    layer.W.assign(np.random.default_rng(0).standard_normal(layer.W.shape))
    layer.log_dt.assign(np.log([0.01, 0.03, 0.1]))
    system = layer.to_system()
    assert not system.is_stable
    for method in ("balanced", "finite_horizon"):
        horizon = 40 if method == "finite_horizon" else None
        reduction = reduce_layer("ssm", layer, system, 5, method, horizon=horizon)
        wanted, found = kernel(system, 40), kernel(rebuilt(layer, reduction).to_system(), 40)
        np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())
    with pytest.raises(ssm.UnstableSystemError, match="Layer 'ssm' cannot be reduced"):
        reduce_layer("ssm", layer, system, 4, "singular_perturbation")


def test_random_modes_follow_the_seed():
    layer = built()
    draws = [reduce_layer("ssm", layer, layer.to_system(), 2, "random", seed=s) for s in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0].system.poles, draws[1].system.poles)
    assert np.any(draws[0].system.poles != draws[2].system.poles)


def test_sequences_are_the_inputs_of_both_directions():
    layer = built(bidirectional=True)
    u, inputs = inputs_of(layer)
    backward = np.moveaxis(u, -1, 0)  # (H, B, L): what it sees last is the first step
    np.testing.assert_allclose(inputs.sequences.reverse[1], backward, atol=1e-6)
    np.testing.assert_allclose(inputs.sequences.reverse[0], backward[..., ::-1], atol=1e-6)
    assert inputs.sequences.steps == 3 * 60
    part = inputs.at([1, 4])
    assert isinstance(part, MeasuredInputs) and part.gramian.shape == (2, 12, 12)
    np.testing.assert_array_equal(part.sequences.reverse[1], inputs.sequences.reverse[1, 1])
    model = keras.Sequential([keras.Input(u.shape[1:]), layer])
    systems = {"ssm": layer.to_system()}
    np.testing.assert_array_equal(
        measure_gramians(model, {"ssm": layer}, systems, u, 32)["ssm"], inputs.gramian
    )


def test_compress_model_passes_the_options_on():
    keras.utils.set_random_seed(0)
    model = keras_dss.models.DSSClassifier(3, features=3, num_blocks=1, state_size=6)
    x = np.random.default_rng(0).standard_normal((4, 30, 1)).astype("float32")
    before = model.predict(x, verbose=0)
    kernels = []
    for options in (
        {"method": "singular_perturbation"},
        {"method": "h2_optimal", "calibration": x},
        {"method": "shared", "calibration": x},
        {"method": "finite_horizon", "horizon": 20, "refit": "kernel"},
    ):
        small, report = keras_dss.compress_model(model, 5, return_report=True, **options)
        change = np.abs(small.predict(x, verbose=0) - before).max()
        assert 0.0 < change < (0.1 if "calibration" in options else 1.0) * np.abs(before).max()
        layer = small.blocks[0].ssm
        assert report.layers[0].parameters_after == layer.count_params()
        kernels.append(keras.ops.convert_to_numpy(layer.kernel(30)))
    assert all(np.any(kernels[0] != other) for other in kernels[1:])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "best"}, "Received: method='best'"),
        ({"method": "modal", "calibrated": True}, "'shared', 'h2_optimal' and refit='calibration'"),
        ({"method": "modal", "horizon": 5}, "use a horizon. Received: horizon=5"),
        ({"method": "modal", "refit": "all"}, "Received: refit='all'"),
        ({"method": "modal", "refit": "calibration"}, "needs calibration inputs"),
    ],
)
def test_options_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_method(**arguments)


def test_finite_horizon_needs_a_horizon():
    layer = built()
    with pytest.raises(ValueError, match="Received: horizon=None"):
        reduce_layer("ssm", layer, layer.to_system(), 2, "finite_horizon")


def test_parameters_that_no_layer_has_name_the_layer():
    layer = keras_dss.layers.DSS(4)
    layer.build((None, 20, 3))
    reduction = reduce_layer("block/a", layer, layer.to_system(), 2, "balanced")
    outside = ssm.DiagonalSystem(np.full((3, 2), 1.5), np.ones((3, 2)))
    with pytest.raises(ValueError, match="Layer 'block/a' cannot be reduced: .* modulus 1.5"):
        dataclasses.replace(reduction, system=outside).config(layer)
