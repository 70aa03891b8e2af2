import keras
import numpy as np
import pytest

from keras_dss.compression import prune_model, quantize_model
from keras_dss.compression.surgery import refitted, removal_costs
from keras_dss.models import DSSClassifier, DSSPairClassifier
from tests.compression.models import functional


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return DSSClassifier(5, features=8, num_blocks=2, state_size=4, channels=3)


def kernels(model):
    return [
        np.array(keras.ops.convert_to_numpy(weight))
        for weight in model.weights
        if weight.name == "kernel"
    ]


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_global_pruning_takes_the_smallest_of_all(model, sparsity):
    before = kernels(model)
    small = prune_model(model, sparsity, scope="global")
    sizes = np.concatenate([np.abs(kernel).reshape(-1) for kernel in before])
    threshold = np.sort(sizes)[round(sparsity * len(sizes))]
    for old, new, whole in zip(before, kernels(small), kernels(model), strict=True):
        np.testing.assert_array_equal(new, np.where(np.abs(old) >= threshold, old, 0.0))
        np.testing.assert_array_equal(old, whole)


def test_pruning_by_layer_takes_the_same_share_of_each(model):
    small = prune_model(model, 0.75)
    for old, new in zip(kernels(model), kernels(small), strict=True):
        assert np.count_nonzero(new == 0.0) == round(0.75 * old.size)
        assert np.abs(new[new != 0.0]).min() >= np.abs(old[new == 0.0]).max()


def error(change, x):
    return np.mean((x @ change) ** 2, axis=0)


def test_a_removal_costs_what_the_others_cannot_make_up_for():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) @ (np.eye(6) + 0.3 * rng.normal(size=(6, 6)))
    kernel = rng.normal(size=(6, 3))
    metric = x.T @ x / len(x)
    order, costs = removal_costs(kernel, metric)
    for t in range(1, 6):
        kept = np.ones(kernel.shape, bool)
        np.put_along_axis(kept, order[:t], False, axis=0)
        new = refitted(kernel, metric, kept, metric)
        assert np.all((new != 0.0) == kept)
        best = np.stack(
            [
                np.linalg.lstsq(x * kept[:, o], x @ kernel[:, o], rcond=None)[0]
                for o in range(kernel.shape[1])
            ],
            axis=1,
        )
        np.testing.assert_allclose(error(new - kernel, x), error(best - kernel, x), rtol=1e-2)
        np.testing.assert_allclose(costs[:t].sum(axis=0), error(new - kernel, x), rtol=1e-2)
    first = []
    for q in range(6):
        kept = np.arange(6)[:, None] != q
        new = refitted(kernel, metric, np.repeat(kept, 3, axis=1), metric)
        first.append(error(new - kernel, x))
    np.testing.assert_array_equal(order[0], np.argmin(first, axis=0))


def inputs(seed, count=24):
    return np.random.default_rng(seed).normal(size=(count, 30, 3)).astype("float32").cumsum(axis=1)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_calibration_keeps_the_outputs_better_than_magnitudes_do(scope):
    model = DSSClassifier(5, features=32, num_blocks=2, state_size=4, channels=3)
    x, other = inputs(0), inputs(1)
    wanted = model.predict(other, verbose=0)
    changes = []
    for calibration in (None, x):
        small, report = prune_model(
            model, 0.5, scope=scope, calibration=calibration, return_report=True
        )
        zeros = [row.zeros for row in report.weights if row.role == "kernel"]
        sizes = [kernel.size for kernel in kernels(model)]
        assert sum(zeros) == round(0.5 * sum(sizes))
        assert scope == "global" or zeros == [round(0.5 * size) for size in sizes]
        changes.append(np.linalg.norm(small.predict(other, verbose=0) - wanted))
    assert scope == "layer" or changes[1] < 0.5 * changes[0]


def test_scopes_by_default(model):
    x = inputs(0)
    for options, scope in (({}, "layer"), ({"calibration": x}, "global")):
        wanted = kernels(prune_model(model, 0.5, scope=scope, **options))
        for one, other in zip(wanted, kernels(prune_model(model, 0.5, **options)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_calibration_needs_no_entry_where_inputs_never_differ(model):
    constant = np.ones((4, 30, 3), "float32")
    encoder = [weight.path for weight in model.weights if weight.name == "kernel"][0]
    small = prune_model(model, 0.9, scope="layer", calibration=constant)
    kernel = next(weight for weight in small.weights if weight.path.endswith(encoder))
    assert np.count_nonzero(keras.ops.convert_to_numpy(kernel)) == 24 - round(0.9 * 24)
    x = constant + 0.0 * inputs(0, 4)
    wanted, found = (m.layers[1](x) for m in (model, small))  # the biases hold what was lost
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (wanted, found)), atol=1e-5)


def test_padding_is_no_calibration():
    model = DSSClassifier(5, features=8, num_blocks=2, state_size=4, vocabulary_size=12)
    tokens = np.random.default_rng(0).integers(1, 12, (6, 20))
    padded = np.pad(tokens, [(0, 0), (0, 30)])
    for one, other in zip(
        *(kernels(prune_model(model, 0.5, calibration=x)) for x in (tokens, padded)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_calibration_of_a_layer_that_is_called_twice():
    model = DSSPairClassifier(2, features=8, num_blocks=1, state_size=4, vocabulary_size=12)
    pairs = np.random.default_rng(0).integers(1, 12, (6, 2, 20))
    small, report = prune_model(model, 0.5, scope="layer", calibration=pairs, return_report=True)
    assert {row.zeros / np.prod(row.shape) for row in report.weights if row.role == "kernel"} == {
        0.5
    }
    assert np.isfinite(small.predict(pairs, verbose=0)).all()


def test_nothing_but_dense_kernels_changes(model):
    small = prune_model(model, 0.5)
    for old, new in zip(model.weights, small.weights, strict=True):
        if old.name != "kernel":
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (old, new)))


def test_zeros_stay_zero_in_8_bits_and_are_not_paid_for(model):
    pruned, report = prune_model(model, 0.9, return_report=True)
    small, rounded = quantize_model(pruned, return_report=True)
    for sparse, quantized in zip(kernels(pruned), kernels(small), strict=True):
        assert np.all(quantized[sparse == 0.0] == 0.0)
    for row, after in zip(report.weights, rounded.weights, strict=True):
        if row.role == "kernel":
            size = int(np.prod(row.shape))
            used = size - round(0.9 * size)
            assert row.sparse and row.bytes_after == -(-size // 8) + 4 * used
            assert after.sparse and after.bytes_after <= -(-size // 8) + used + 4 * row.shape[1]


def test_what_does_not_fit_is_refused(model):
    for sparsity in (1.0, -0.1, "half", True):
        with pytest.raises(ValueError, match="`sparsity` must be"):
            prune_model(model, sparsity)
    with pytest.raises(ValueError, match="Received: scope='all'"):
        prune_model(model, 0.5, scope="all")
    inner = functional().get_layer("a")
    without = keras.Sequential([keras.Input((None, 3)), type(inner)(4)])
    with pytest.raises(ValueError, match="no Dense kernel"):
        prune_model(without, 0.5)
    for bad, message in (
        (np.full((2, 30, 3), np.nan, "float32"), "finite"),
        (np.zeros((0, 30, 3), "float32"), "at least one sequence"),
        (3.0, "must be an array"),
    ):
        with pytest.raises(ValueError, match=message):
            prune_model(model, 0.5, calibration=bad)
