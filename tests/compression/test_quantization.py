import keras
import numpy as np
import pytest

from keras_dss import compress_model
from keras_dss.compression import prune_model, quantize_model
from keras_dss.compression.calibration import measure_gramians
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.compression.rounding import output_metric, round_in_metric
from keras_dss.models import DSSClassifier
from tests.compression import models
from tests.layers.oracles import numpy


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return DSSClassifier(3, features=4, num_blocks=2, state_size=8, channels=3, bidirectional=True)


X = models.make_inputs(4, 16)


def predict(model):
    return keras.ops.convert_to_numpy(model(X))


def values(model):
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def test_every_weight_is_a_number_of_its_format_and_the_model_is_left_whole(model):
    before = values(model)
    small, report = quantize_model(model, return_report=True)
    for value, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(weight))
    for row, value in zip(report.weights, values(small), strict=True):
        if row.number_format == "float16":
            np.testing.assert_array_equal(value.astype("float16").astype("float32"), value)
        if row.role == "kernel":
            assert all(len(np.unique(column)) <= 255 for column in value.T)
        if row.role == "log_dt":
            assert row.number_format == "float32" and row.error == 0.0
    formats = {row.role: row.number_format for row in report.weights}
    assert formats == {
        "kernel": "int8", "W": "int8", "lambda_log_neg_re": "int8", "lambda_im": "float16",
        "D": "float16", "log_dt": "float32", "other": "float16",
    }  # fmt: skip


def test_bytes_are_counted_by_hand():
    _, report = quantize_model(models.sequential(), return_report=True)  # H = 3, N = 8
    found = {row.role: (row.bytes_before, row.bytes_after) for row in report.weights}
    assert found == {
        "lambda_log_neg_re": (32, 8 + 4),
        "lambda_im": (32, 16),
        "log_dt": (12, 12),
        "W": (192, 48 + 3 * 4),
        "D": (12, 6),
        "kernel": (24, 6 + 2 * 4),
        "other": (8, 1),  # zeros
    }
    assert (report.bytes_before, report.bytes_after) == (312, 121)


def test_outputs_change_little_and_less_with_more_bits(model):
    expected = predict(model)
    errors = [
        np.abs(predict(quantize_model(model, formats)) - expected).max()
        for formats in ("int8", "float16", "float32")
    ]
    assert errors[2] == 0.0 < errors[1] < errors[0] < 0.05 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_keras_stores_the_same_kernels_as_int8(model):
    small = quantize_model(model, {"kernel": "int8"})
    expected = predict(small)
    config = keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
    small.quantize(config=config)
    stored = [weight for weight in small.weights if weight.path.endswith("kernel")]
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in stored} == {"int8"}
    np.testing.assert_allclose(predict(small), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("calibrated", [False, True])
def test_errors_of_modes_cancel(model, calibrated):
    calibration = X if calibrated else None
    layers = find_dss_layers(model)
    systems = {path: layer.to_system() for path, layer in layers.items()}
    gramians = measure_gramians(model, layers, systems, X, 4) if calibrated else {}
    small = quantize_model(model, {"W": "int8"}, calibration=calibration)
    errors = np.zeros(2)
    for (path, layer), twin in zip(layers.items(), find_dss_layers(small).values(), strict=True):
        old, new = (np.array(keras.ops.convert_to_numpy(x.W), "float64") for x in (layer, twin))
        scale = np.abs(old).max(axis=(-1, -2), keepdims=True) / 127
        metric = output_metric(layer, systems[path], gramians.get(path))
        assert np.abs(np.rint(new / scale) - new / scale).max() < 0.01
        nearest = np.rint(old / scale) * scale
        errors += [energy(new - old, metric).sum(), energy(nearest - old, metric).sum()]
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.parametrize("eigenvalues", ["shared", "per_feature"])
def test_a_mode_of_large_weights_costs_the_others_nothing(eigenvalues):
    model = DSSClassifier(
        3, features=6, num_blocks=1, state_size=4, eigenvalues=eigenvalues, dt_min=0.05
    )
    layer = next(iter(find_dss_layers(model).values()))
    decay, weights = (numpy(w).copy() for w in (layer.lambda_re, layer.W))
    decay[..., 1], weights[:, 1] = 12.0, 3e4  # exp(12) = 2e5
    layer.lambda_re.assign(decay)
    layer.W.assign(weights)
    old, new = (
        next(iter(find_dss_layers(m).values())).to_system().impulse_response(50)
        for m in (model, quantize_model(model, {"W": "int8"}))
    )
    assert np.abs(new - old).max() < 0.02 * np.abs(old).max()


def energy(change, metric):
    columns = np.swapaxes(change, -1, -2).reshape(*change.shape[:-2], -1)
    return np.einsum("...i,...ij,...j", columns, metric, columns)


def test_the_metric_is_the_energy_of_the_changed_kernel(model):
    layer = next(iter(find_dss_layers(model).values()))
    before = layer.to_system().impulse_response(20000)
    change = 0.1 * np.random.default_rng(0).normal(size=tuple(layer.W.shape))
    twin = next(iter(find_dss_layers(quantize_model(model, "float32")).values()))
    twin.W.assign_add(change.astype("float32"))
    after = twin.to_system().impulse_response(20000)
    found = energy(change, output_metric(layer, layer.to_system()))
    np.testing.assert_allclose(found, ((after - before) ** 2).sum(axis=-1), rtol=1e-2)


def test_errors_cancel_the_better_the_more_alike_the_modes_are():
    rng = np.random.default_rng(0)
    values = rng.uniform(-100, 100, (5, 12))
    factor = rng.normal(size=(5, 12, 12)) * 3.0 ** -np.arange(12)
    metric = factor @ factor.mT
    change = round_in_metric(values, metric) - values
    nearest = np.rint(values) - values
    found, plain = (np.einsum("bi,bij,bj->b", x, metric, x) for x in (change, nearest))
    assert found.sum() < 0.15 * plain.sum()


def test_rounding_in_a_diagonal_metric_is_rounding_to_nearest():
    values = np.random.default_rng(0).uniform(-130, 130, (3, 10))
    metric = np.eye(10) * np.arange(1.0, 11.0)
    expected = np.rint(values).clip(-127, 127)
    np.testing.assert_array_equal(round_in_metric(values, np.stack([metric] * 3)), expected)


@pytest.mark.parametrize("kind", ["sequential", "plain_config"])
def test_any_model_is_rounded_and_saves(kind, tmp_path):
    model = models.MODELS[kind]()
    small, report = quantize_model(model, calibration=X, return_report=True)
    assert report.bytes_after < 0.5 * report.bytes_before
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(predict(loaded), predict(small))


def test_dense_layers_alone_are_rounded_and_pruned_on_inputs_too():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    for change in (quantize_model, lambda *args, **kw: prune_model(*args, 0.25, **kw)):
        small = change(model, calibration=x)
        np.testing.assert_allclose(small.predict(x, verbose=0), model.predict(x, verbose=0), atol=1)


def test_a_rounded_model_is_reduced_as_any_other(model):
    small = compress_model(quantize_model(model), 4)
    assert np.isfinite(predict(small)).all()


def test_embeddings_have_a_scale_for_each_row_and_frozen_layers_stay_frozen():
    model = DSSClassifier(2, features=4, num_blocks=1, state_size=4, vocabulary_size=9)
    model.layers[1].trainable = False
    small, report = quantize_model(model, {"embeddings": "int8"}, return_report=True)
    (row,) = [row for row in report.weights if row.role == "embeddings"]
    assert (row.bytes_before, row.bytes_after) == (9 * 4 * 4, 9 * 4 + 9 * 4)
    assert not small.layers[1].trainable and small.layers[2].trainable
    assert [row.number_format for row in report.weights if row.role != "embeddings"] == [
        "float32"
    ] * (len(report.weights) - 1)


def test_reports_print_and_become_json(model):
    _, report = quantize_model(model, return_report=True)
    found = report.to_dict()
    assert sum(row["bytes_after"] for row in found["weights"]) == found["bytes_after"]
    assert f"{report.bytes_before:,} -> {report.bytes_after:,}" in str(report)


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="Received: 'int4'"):
        quantize_model(model, "int4")
    with pytest.raises(ValueError, match="Received: \\['bias'\\]"):
        quantize_model(model, {"bias": "int8"})
    with pytest.raises(ValueError, match="Received: \\['int2'\\]"):
        quantize_model(model, {"W": "int2"})
    with pytest.raises(TypeError, match="Received: 3"):
        quantize_model(3)
    broken = quantize_model(model, "float32")
    broken.get_layer("logits").bias.assign([np.inf, 0.0, 0.0])
    with pytest.raises(ValueError, match="logits/bias"):
        quantize_model(broken)
