"""Trainings with labels of steps beside those of the sequences."""

import keras
import numpy as np
import pytest

from keras_dss import scoring
from keras_dss.datasets import OnDevice
from keras_dss.models import DSSClassifier, DSSPairClassifier, DSSRegressor
from recipes.clock import Clock
from recipes.data import SEQUENCE, STEPS, Curriculum, Epochs
from recipes.files import read_checkpoint
from recipes.settings import TrainingSettings
from recipes.step_labels import StepLoss, with_head
from recipes.training import Training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 16, 1)).astype("float32")
Y = {SEQUENCE: np.arange(24) % 2, STEPS: RNG.integers(0, 3, (24, 16)).astype("uint8")}
OWN = {SEQUENCE: Y[SEQUENCE], STEPS: np.broadcast_to(np.uint8(255), (24, 16))}
WEIGHTS = (0.1, 1.0, 1.0)
SETTINGS = TrainingSettings(epochs=2, batch_size=12, curriculum=(2,), step_labels=0.5)


def make_model():
    keras.utils.set_random_seed(3)
    options = {"normalization": "batch", "downsampling": (2,)}
    return DSSClassifier(2, features=8, num_blocks=1, state_size=4, **options)


def make_training(folder, settings=SETTINGS, resident=False):
    own, easier = (Epochs(X, labels, 12, seed=1, resident=resident) for labels in (OWN, Y))
    data = Curriculum((2,), lambda grade: easier, own)
    validation = Epochs(X, Y[SEQUENCE], 12, seed=1)
    return Training(
        make_model(), data, lambda: validation.epoch(0), settings, seed=1, folder=folder,
        name="steps", identity={}, step_weights=WEIGHTS,
    )  # fmt: skip


def test_the_loss_is_that_of_a_plain_sum():
    logits = RNG.normal(size=(2, 3, 6)).astype("float32")  # of two steps each
    labels = np.array([[0, 0, 0, 2, 1, 0], [255, 255, 1, 2, 255, 0]])
    total, weights = 0.0, 0.0
    for row, step in np.ndindex(2, 6):
        label = labels[row, step]
        if label < 255:
            weight = WEIGHTS[label]
            values = logits[row, step // 2].astype("float64")[3 * (step % 2) :][:3]
            total += weight * (np.log(np.exp(values).sum()) - values[label])
            weights += weight
    found = keras.ops.convert_to_numpy(StepLoss(WEIGHTS)(labels, logits))
    np.testing.assert_allclose(found, total / weights, rtol=1e-6)
    whole = np.pad(labels[:, :5], ((0, 0), (0, 1)), constant_values=255)
    found, expected = (
        keras.ops.convert_to_numpy(StepLoss(WEIGHTS)(y, logits)) for y in (labels[:, :5], whole)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    unknown = np.full((2, 6), 255)
    assert float(keras.ops.convert_to_numpy(StepLoss(WEIGHTS)(unknown, logits))) == 0.0


def test_both_outputs_are_of_the_same_layers():
    model = make_model()
    joint, _ = with_head(model, WEIGHTS)
    outputs = joint(X[:4])
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        SEQUENCE: (4, 2),
        STEPS: (4, 8, 6),  # two steps are one
    }
    expected, found = map(keras.ops.convert_to_numpy, (model(X[:4]), outputs[SEQUENCE]))
    np.testing.assert_array_equal(expected, found)
    assert len(joint.weights) == len(model.weights) + 2


def test_padded_tokens_change_nothing():
    model = DSSClassifier(10, features=8, num_blocks=1, state_size=4, vocabulary_size=16)
    joint, loss = with_head(model, (1.0,) * 10)
    losses = {SEQUENCE: scoring.make_loss("classification"), STEPS: loss}
    joint.compile(loss=losses, loss_weights={SEQUENCE: 1.0, STEPS: 0.5})
    tokens, steps = np.full((4, 12), 5), np.full((4, 12), 255)
    tokens[:, 9:], steps[:, 4] = 0, 3
    logs = [
        joint.evaluate(tokens[:, :length], labels, verbose=0, return_dict=True)
        for length in (9, 12)
        for labels in [{SEQUENCE: np.arange(4), STEPS: steps[:, :length]}]
    ]
    assert logs[0][f"{STEPS}_loss"] > 0.1
    for name, value in logs[0].items():
        np.testing.assert_allclose(value, logs[1][name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("classes", [None, 3])
def test_labels_of_pairs_are_those_of_both_sequences(classes):
    options = {"classes": classes, "standardize": True, "downsampling": (2,)}
    model = DSSPairClassifier(2, 8, num_blocks=1, state_size=4, vocabulary_size=16, **options)
    joint, loss = with_head(model, WEIGHTS)
    tokens, labels = RNG.integers(1, 16, (4, 2, 12)), RNG.integers(0, 3, (4, 2, 12))
    logits = joint(tokens)[STEPS]
    assert tuple(logits.shape) == (8, 6, 3 if classes else 6)  # one label, or both, of two steps
    assert len(joint.weights) == len(model.weights) + (0 if classes else 2)
    found, expected = (
        keras.ops.convert_to_numpy(loss(each, logits)) for each in (labels, labels.reshape(8, 12))
    )
    np.testing.assert_array_equal(found, expected)
    joint.compile(loss={SEQUENCE: scoring.make_loss("classification"), STEPS: loss})
    labels = {SEQUENCE: np.arange(4) % 2, STEPS: labels}
    assert np.isfinite(joint.train_on_batch(tokens, labels, return_dict=True)["loss"])


def test_steps_that_are_one_have_the_largest_of_their_labels():
    logits = RNG.normal(size=(2, 3, 3)).astype("float32")
    labels = np.array([[0, 0, 2, 255, 255, 255], [1, 0, 255, 0, 255, 1]])
    joined = np.array([[0, 2, 255], [1, 0, 1]])
    loss, same = StepLoss(WEIGHTS, joined=2), StepLoss(WEIGHTS)
    loss = StepLoss.from_config(loss.get_config())
    for end in (6, 5):  # the last step may be of padding
        joined[1, 2] = 1 if end == 6 else 255
        found, expected = (
            keras.ops.convert_to_numpy(each(y, logits))
            for each, y in ((loss, labels[:, :end]), (same, joined))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_another_number_of_classes_is_refused():
    options = {"classes": 4, "vocabulary_size": 16}
    model = DSSPairClassifier(2, 8, num_blocks=1, state_size=4, **options)
    with pytest.raises(ValueError, match="as the steps' labels are, 3. Received: 4"):
        with_head(model, WEIGHTS)


def test_a_model_without_a_readout_is_refused():
    with pytest.raises(ValueError, match="with a readout. Received: DSSRegressor"):
        with_head(DSSRegressor(1, features=4, num_blocks=1, state_size=4, readout=None), WEIGHTS)


def test_stopping_at_every_step_changes_nothing(tmp_path):
    assert make_training(tmp_path / "whole").run()
    while not make_training(tmp_path / "stopped").run(Clock(0.0)):
        pass
    first, second = (
        read_checkpoint(tmp_path / name / "checkpoint.npz")[0] for name in ("whole", "stopped")
    )
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_the_labels_are_learned_in_the_curriculum_alone(tmp_path):
    training = make_training(tmp_path)
    head = training.trained.get_layer(STEPS)
    before = keras.ops.convert_to_numpy(head.kernel).copy()
    losses = []
    for number in (0, 1):
        x, labels = training.data.epoch(number)[0]
        logs = training.trained.evaluate(x, labels, verbose=0, return_dict=True)
        losses.append(logs[f"{STEPS}_loss"])
    assert losses[0] > 0.5 and losses[1] == 0.0
    assert training.run()
    assert not np.array_equal(before, keras.ops.convert_to_numpy(head.kernel))
    # what is kept is the classifier alone
    assert len(training.best) == len(training.model.weights)
    make_model().set_weights(training.best)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="for JAX")
def test_compiled_loops_train_as_single_steps_do(tmp_path, monkeypatch):
    from recipes import compiled

    found = {}
    for name in ("single", "loop"):
        monkeypatch.setattr(compiled, "worthwhile", lambda data, name=name: name == "loop")
        training = make_training(tmp_path / name, resident=True)
        assert (training.compiled is None) == (name == "single")
        assert training.run()
        history = [(row["loss"], row["accuracy"]) for row in training.state.history]
        # not the weights: biases before a batch normalization have gradients of rounding errors
        found[name] = history, training.trained(X, training=True)
    np.testing.assert_allclose(found["single"][0], found["loop"][0], rtol=1e-5)
    for name, values in found["single"][1].items():
        np.testing.assert_allclose(values, found["loop"][1][name], atol=1e-4, err_msg=name)


def test_resident_labels_are_those_of_the_host():
    host, device = (Epochs(X, Y, 12, seed=1, resident=resident) for resident in (False, True))
    assert isinstance(device.y[STEPS], OnDevice)
    for (x, y), (x_on, y_on) in zip(host.epoch(2), device.epoch(2), strict=True):
        np.testing.assert_array_equal(x, keras.ops.convert_to_numpy(x_on))
        for name in (SEQUENCE, STEPS):
            assert y[name].dtype == np.int32
            np.testing.assert_array_equal(y[name], keras.ops.convert_to_numpy(y_on[name]))
