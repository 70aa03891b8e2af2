"""The trainings that compare initial parameters: batches, and models put together from two."""

import dataclasses

import numpy as np
import pytest

from benchmarks.short_trainings import Bench, Steps, _others
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.datasets import lra_text
from recipes.data import Epochs, fixture_folder


@pytest.fixture
def epochs():
    return Epochs(np.ones((10, 6, 1), "float32"), np.arange(10), batch_size=4, seed=0)


def test_batches_run_on_over_epochs_and_from_any_start(epochs):
    steps = Steps(epochs, 5)
    labels = [list(y) for _, y in steps.epoch(0)]
    expected = [list(y) for n in range(3) for _, y in epochs.epoch(n)][:5]
    assert labels == expected and len(labels) == 5
    for start in range(6):
        assert [list(y) for _, y in steps.epoch(0, start)] == expected[start:]


def test_a_model_from_the_layers_of_one_and_the_weights_of_another(tmp_path):
    bench = Bench("smnist", None, tmp_path)
    first, second = bench.fresh(3, 1), bench.fresh(3, 2)
    both = bench.combined(first, second)
    for found, of_first, of_second in zip(
        *(find_dss_layers(m).values() for m in (both, first, second)), strict=True
    ):
        np.testing.assert_array_equal(found.get_weights()[2], of_first.get_weights()[2])
        assert np.abs(of_first.get_weights()[2] - of_second.get_weights()[2]).max() > 0
    found, of_second = _others(both), _others(second)
    assert len(found) == len(of_second) > 0
    for weight, other in zip(found, of_second, strict=True):
        np.testing.assert_array_equal(weight.numpy(), other.numpy())


def test_labels_of_steps_are_learned_where_the_recipe_has_them(tmp_path):
    bench = Bench("lra_text", fixture_folder(lra_text), tmp_path)
    settings = dataclasses.replace(bench.settings.train, batch_size=2)
    assert settings.step_labels
    model = bench.fresh(2, 0)
    before = model.get_weights()
    bench.train(model, "short", 2, 0, settings)
    changed = [np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.mean(changed) > 0.9
