"""Scores of models on their tasks, by the kind of task: loss, metrics, and which of two is better.

Kinds are those of `keras_dss.datasets.<task>.KIND`: `"classification"` and `"pairs"` have integer
labels (B,), `"language"` has the next token of each (B, L), 0 where there is none, `"regression"`
has numbers (B, ...), without the last axis if that is one. Metrics are dicts, as the cards of
published models hold them.
"""

import keras
import numpy as np

KINDS = ("classification", "pairs", "language", "regression")
METRIC = {"classification": "accuracy", "pairs": "accuracy", "language": "accuracy"}


def metric_name(kind):
    """Returns the metric that stands beside the loss: `"accuracy"`, or `"mae"` for regression.

    >>> metric_name("pairs"), metric_name("regression")
    ('accuracy', 'mae')
    """
    _check(kind)
    return METRIC.get(kind, "mae")


def make_loss(kind, label_smoothing=0.0, logits=True):
    """Returns the Keras loss of a kind of task.

    Args:
        kind: one of `KINDS`.
        label_smoothing: share of the target that is spread over all classes.
        logits: whether models give logits rather than probabilities.

    Raises:
        ValueError: for label smoothing of a task without classes.
    """
    if _check(kind) == "regression":
        if label_smoothing:
            raise ValueError(
                f"Regression has no labels to smooth. Received: label_smoothing={label_smoothing}"
            )
        return keras.losses.MeanSquaredError()
    ignored = 0 if kind == "language" else None
    if not label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits, ignore_class=ignored)
    if kind == "language":
        raise ValueError(
            f"Language models are trained without. Received: label_smoothing={label_smoothing}"
        )
    return SmoothedCrossentropy(from_logits=logits, label_smoothing=label_smoothing)


@keras.saving.register_keras_serializable(package="keras_dss")
class SmoothedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy of integer labels (B,) or (B, 1), of which a share is spread over all classes.

    >>> from keras import ops
    >>> loss = SmoothedCrossentropy(from_logits=True, label_smoothing=0.1)
    >>> round(float(loss(ops.array([1]), ops.array([[0.0, 2.0]]))), 4)
    0.2269
    """

    def call(self, y_true, y_pred):
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        return super().call(keras.ops.one_hot(labels, y_pred.shape[-1]), y_pred)


@keras.saving.register_keras_serializable(package="keras_dss")
class TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Share of the next tokens (B, L) that are foretold; labels 0 stand for no token."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        there = keras.ops.cast(keras.ops.not_equal(y_true, 0), self.dtype)
        if sample_weight is not None:
            weight = keras.ops.cast(sample_weight, self.dtype)
            there = there * keras.ops.reshape(weight, (*weight.shape, *[1] * (2 - weight.ndim)))
        return super().update_state(y_true, y_pred, there)


def make_metric(kind):
    """Returns the Keras metric `metric_name(kind)` of a batch."""
    if kind == "language":
        return TokenAccuracy(name="accuracy")
    if metric_name(kind) == "accuracy":
        return keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return keras.metrics.MeanAbsoluteError(name="mae")


def score(model, batches, kind="classification", advance=lambda count: None):
    """Returns the metrics of a model over `(x, labels)` batches.

    Args:
        model: gives logits or probabilities (B, classes), (B, L, tokens) for language, or numbers.
        batches: iterable of pairs of arrays.
        kind: one of `KINDS`.
        advance: called with the number of examples of each batch.

    Returns:
        dict: `accuracy`, `correct`, `total` and `loss` in nats, for language also
        `bits_per_character`; for regression `mse`, `mae` and `total`, the number of examples, both
        of them means over all numbers.

    Raises:
        ValueError: for an unknown kind, or no batches.
    """
    add = _add_errors if _check(kind) == "regression" else _add_answers
    sums = {"total": 0}
    for x, labels in batches:
        outputs = np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x)), np.float64)
        labels = np.asarray(labels)
        if kind in ("classification", "pairs"):
            labels = labels.reshape(-1)
        add(sums, outputs, labels, kind == "language")
        advance(len(labels))
    if not sums["total"]:
        raise ValueError("Expected examples to score. Received: none")
    if kind == "regression":
        numbers = sums["numbers"]
        found = {"mse": sums["square"] / numbers, "mae": sums["absolute"] / numbers}
        return found | {"total": sums["total"]}
    correct, total = sums["correct"], sums["total"]
    found = {"accuracy": correct / total, "correct": correct, "total": total}
    found["loss"] = sums["loss"] / total
    if kind == "language":
        found["bits_per_character"] = found["loss"] / np.log(2.0)
    return {key: value if isinstance(value, int) else float(value) for key, value in found.items()}


def rank(metrics):
    """Returns a tuple that is larger for better metrics of one kind.

    >>> good = {"accuracy": 0.5, "correct": 5, "total": 10, "loss": 1.0}
    >>> rank(good) > rank(good | {"loss": 2.0}) > rank(good | {"accuracy": 0.4})
    True
    """
    if "mse" in metrics:
        return (-metrics["mse"],)
    if "bits_per_character" in metrics:
        return (-metrics["loss"],)
    return (metrics["accuracy"], -metrics["loss"])


def loss_of(metrics):
    """Returns the loss among the metrics: cross-entropy in nats, or the mean squared error."""
    return metrics["mse"] if "mse" in metrics else metrics["loss"]


def say(metrics):
    """Returns metrics in words.

    >>> say({"accuracy": 0.5, "correct": 1000, "total": 2000, "loss": 1.0})
    '50.00% (1,000 of 2,000)'
    >>> say({"mse": 0.375, "mae": 0.4, "total": 2785})
    'MSE 0.3750, MAE 0.4000 (2,785 examples)'
    >>> say({"rmse": 0.5, "total": 1000})
    'rmse 0.5 (1,000 examples)'
    """
    if "accuracy" not in metrics:
        return f"{brief(metrics)} ({metrics['total']:,} examples)"
    text = f"{metrics['accuracy']:.2%} ({metrics['correct']:,} of {metrics['total']:,})"
    if "bits_per_character" in metrics:
        text = f"{metrics['bits_per_character']:.3f} bits per character, {text}"
    return text


def brief(metrics):
    """Returns metrics in a few words, for tables.

    >>> brief({"mse": 0.375, "mae": 0.4, "total": 2785})
    'MSE 0.3750, MAE 0.4000'
    """
    if "mse" in metrics:
        return f"MSE {metrics['mse']:.4f}, MAE {metrics['mae']:.4f}"
    if "bits_per_character" in metrics:
        return f"{metrics['bits_per_character']:.3f} bits/character, {metrics['accuracy']:.2%}"
    if "accuracy" in metrics:
        return say(metrics)
    return ", ".join(f"{key} {metrics[key]:.4g}" for key in sorted(metrics) if key != "total")


def baselines(kind, train, test, num_classes=None):
    """Returns what takes no model, for a card: metrics on `test` of trivial answers.

    Args:
        kind: one of `KINDS`. train, test: arrays `(x, y)`. num_classes: for all but regression.

    Returns:
        dict: `chance` and `majority` (always the commonest class, or token, of training), as
        accuracies; for regression `repeat_last_mse` and `mean_mse`.
    """
    labels, answers = np.asarray(train[1]), np.asarray(test[1])
    if _check(kind) == "regression":
        labels, answers = (x[:, None] if x.ndim == 1 else x for x in (labels, answers))
        last = np.asarray(test[0])[:, -1:, : answers.shape[-1]]
        last = last if answers.ndim == 3 else last[:, 0]
        mean = labels.mean(axis=0, keepdims=True, dtype=np.float64)
        return {
            "repeat_last_mse": float(np.mean((answers - last) ** 2, dtype=np.float64)),
            "mean_mse": float(np.mean((answers - mean) ** 2, dtype=np.float64)),
        }
    if kind == "language":
        labels, answers = labels[labels != 0], answers[answers != 0]
    commonest = np.bincount(labels.reshape(-1)).argmax()
    return {"chance": 1.0 / num_classes, "majority": float(np.mean(answers == commonest))}


def log_probabilities(outputs):
    """Returns the logarithms of probabilities from these or from logits, (..., classes)."""
    if are_probabilities(outputs):
        return np.log(np.maximum(outputs, 1e-12))
    outputs = outputs - outputs.max(axis=-1, keepdims=True)
    return outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))


def are_probabilities(outputs):
    """Whether every row of outputs (..., classes) is a distribution.

    >>> are_probabilities(np.array([[0.25, 0.75]])), are_probabilities(np.array([[-1.0, 2.0]]))
    (True, False)
    """
    return bool(np.all(outputs >= 0.0) and np.allclose(outputs.sum(axis=-1), 1.0, atol=1e-3))


def _check(kind):
    if kind not in KINDS:
        raise ValueError(f"Expected a kind of task, one of {', '.join(KINDS)}. Received: {kind!r}")
    return kind


def _add_answers(sums, outputs, labels, masked):
    counted = labels != 0 if masked else np.ones(labels.shape, bool)
    logs = np.take_along_axis(log_probabilities(outputs), labels[..., None].astype(int), -1)[..., 0]
    right = outputs.argmax(axis=-1) == labels
    sums["loss"] = sums.get("loss", 0.0) - float(logs[counted].sum())
    sums["correct"] = sums.get("correct", 0) + int(right[counted].sum())
    sums["total"] += int(counted.sum())


def _add_errors(sums, outputs, labels, masked):
    if outputs.shape == (*labels.shape, 1):
        labels = labels[..., None]
    if labels.shape != outputs.shape:
        raise ValueError(
            f"Expected labels of the shape of the outputs, {outputs.shape}. "
            f"Received: {labels.shape}"
        )
    errors = outputs - labels
    sums["square"] = sums.get("square", 0.0) + float(np.sum(errors**2))
    sums["absolute"] = sums.get("absolute", 0.0) + float(np.sum(np.abs(errors)))
    sums["numbers"] = sums.get("numbers", 0) + errors.size
    sums["total"] += len(labels)
