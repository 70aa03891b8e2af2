"""Scores against plain loops."""

import keras
import numpy as np
import pytest

from keras_dss import scoring


class Fixed:
    """A model that gives its inputs."""

    def predict_on_batch(self, x):
        return x


def batches(x, y, size=3):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


@pytest.mark.parametrize("probabilities", [False, True])
def test_classification(probabilities):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(10, 4)), rng.integers(0, 4, 10)
    likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    outputs = likely if probabilities else logits
    found = scoring.score(Fixed(), batches(outputs, labels))
    correct = sum(int(row.argmax() == label) for row, label in zip(logits, labels, strict=True))
    assert (found["correct"], found["total"], found["accuracy"]) == (correct, 10, correct / 10)
    expected = -np.mean([np.log(row[label]) for row, label in zip(likely, labels, strict=True)])
    assert found["loss"] == pytest.approx(expected)


def test_language_counts_characters_that_are_there():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 6, 5)), rng.integers(1, 5, (4, 6))
    labels[2, 3:] = 0
    found = scoring.score(Fixed(), batches(logits, labels), "language")
    assert found["total"] == 21
    losses = [
        np.log(np.exp(row).sum()) - row[label]
        for row, label in zip(logits.reshape(-1, 5), labels.reshape(-1), strict=True)
        if label
    ]
    assert found["bits_per_character"] == pytest.approx(np.mean(losses) / np.log(2))
    other = logits.copy()
    other[2, 3:] = 7.0
    assert scoring.score(Fixed(), batches(other, labels), "language") == found


def test_regression():
    rng = np.random.default_rng(0)
    outputs, y = rng.normal(size=(7, 3, 2)), rng.normal(size=(7, 3, 2))
    found = scoring.score(Fixed(), batches(outputs, y), "regression")
    assert found["mse"] == pytest.approx(np.mean((outputs - y) ** 2))
    assert found["mae"] == pytest.approx(np.mean(np.abs(outputs - y)))
    assert found["total"] == 7
    assert scoring.rank(found) > scoring.rank(found | {"mse": 100.0})


def test_regression_of_one_number():
    outputs, y = np.random.default_rng(0).normal(size=(2, 6, 1))
    found = scoring.score(Fixed(), batches(outputs, y[:, 0]), "regression")
    assert found == scoring.score(Fixed(), batches(outputs, y), "regression")
    x = np.random.default_rng(1).normal(size=(6, 5, 1))
    expected = scoring.baselines("regression", (x, y), (x, y))
    assert scoring.baselines("regression", (x, y[:, 0]), (x, y[:, 0])) == expected
    with pytest.raises(ValueError, match=r"shape of the outputs, \(6, 1\). Received: \(6, 3\)"):
        scoring.score(Fixed(), [(outputs, np.ones((6, 3)))], "regression")


@pytest.mark.parametrize("kind", ["classification", "language"])
def test_losses_agree_with_scores(kind):
    rng = np.random.default_rng(0)
    shape = (6,) if kind == "classification" else (6, 5)
    logits = rng.normal(size=(*shape, 4)).astype("float32")
    labels = rng.integers(1, 4, shape)
    if kind == "language":
        labels[:, 4] = 0
    loss = scoring.make_loss(kind)(labels.astype("int32"), logits)
    found = scoring.score(Fixed(), [(logits, labels)], kind)["loss"]
    assert float(loss) == pytest.approx(found, rel=1e-5)


def test_label_smoothing():
    logits = np.array([[2.0, 0.0], [0.0, 1.0]], "float32")
    labels = np.array([0, 0], "int32")
    value = float(keras.ops.mean(scoring.make_loss("classification", 0.1)(labels, logits)))
    logs = scoring.log_probabilities(logits)
    assert value == pytest.approx(-np.mean(0.95 * logs[:, 0] + 0.05 * logs[:, 1]), rel=1e-5)
    for kind in ("regression", "language"):
        with pytest.raises(ValueError, match="label_smoothing=0.1"):
            scoring.make_loss(kind, 0.1)


def test_label_smoothing_of_weighted_examples(tmp_path):
    """As of the one-hot labels, also after loading."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    labels, weights = np.array([[0], [1], [2], [1]]), np.array([1.0, 0.0, 0.0, 2.0])
    model.compile("sgd", scoring.make_loss("classification", 0.1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    dense = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(dense(np.eye(3)[labels[:, 0]], model(x), sample_weight=weights))
    for each in (model, loaded):
        found = each.evaluate(x, labels, sample_weight=weights, verbose=0)
        assert found == pytest.approx(expected, rel=1e-5)


def test_accuracy_of_tokens_that_are_there():
    """As `score` has it: 0 is no token."""
    logits = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")
    labels = np.random.default_rng(1).integers(0, 4, (6, 5))
    metric = scoring.make_metric("language")
    metric.update_state(labels, logits)
    found = scoring.score(Fixed(), [(logits, labels)], "language")["accuracy"]
    assert float(metric.result()) == pytest.approx(found, rel=1e-6)
    metric.reset_state()
    metric.update_state(labels, logits, sample_weight=np.array([1.0, 0, 0, 0, 0, 0]))
    found = scoring.score(Fixed(), [(logits[:1], labels[:1])], "language")["accuracy"]
    assert float(metric.result()) == pytest.approx(found, rel=1e-6)


def test_baselines():
    train = (None, np.array([0, 1, 1, 2]))
    test = (None, np.array([1, 1, 0, 2]))
    expected = {"chance": 0.25, "majority": 0.5}
    assert scoring.baselines("classification", train, test, 4) == expected
    characters = np.array([[1, 2, 0], [1, 0, 0]])
    found = scoring.baselines("language", (None, characters), (None, characters), 5)
    assert found == {"chance": 0.2, "majority": pytest.approx(2 / 3)}
    x, y = np.zeros((2, 4, 3)), np.ones((2, 5, 2))
    found = scoring.baselines("regression", (x, y), (x, y))
    assert found == {"repeat_last_mse": 1.0, "mean_mse": 0.0}


def test_errors():
    with pytest.raises(ValueError, match="one of classification.*Received: 'ranking'"):
        scoring.score(Fixed(), [], "ranking")
    with pytest.raises(ValueError, match="Expected examples to score. Received: none"):
        scoring.score(Fixed(), [])
