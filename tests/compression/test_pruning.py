import keras
import numpy as np
import pytest

from keras_dss.compression import prune_model, quantize_model
from keras_dss.models import DSSClassifier
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
    small = prune_model(model, sparsity)
    sizes = np.concatenate([np.abs(kernel).reshape(-1) for kernel in before])
    threshold = np.sort(sizes)[round(sparsity * len(sizes))]
    for old, new, whole in zip(before, kernels(small), kernels(model), strict=True):
        np.testing.assert_array_equal(new, np.where(np.abs(old) >= threshold, old, 0.0))
        np.testing.assert_array_equal(old, whole)


def test_pruning_by_layer_takes_the_same_share_of_each(model):
    small = prune_model(model, 0.75, scope="layer")
    for old, new in zip(kernels(model), kernels(small), strict=True):
        assert np.count_nonzero(new == 0.0) == round(0.75 * old.size)
        assert np.abs(new[new != 0.0]).min() >= np.abs(old[new == 0.0]).max()


def test_nothing_but_dense_kernels_changes(model):
    small = prune_model(model, 0.5)
    for old, new in zip(model.weights, small.weights, strict=True):
        if old.name != "kernel":
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (old, new)))


def test_zeros_stay_zero_in_8_bits_and_are_not_paid_for(model):
    pruned, report = prune_model(model, 0.9, scope="layer", return_report=True)
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
