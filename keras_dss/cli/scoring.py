"""Accuracy and speed of classifiers."""

import time

import keras
import numpy as np

from keras_dss.datasets import Batches, sequence_lengths

BATCH_SIZE = 64
TIMED_SEQUENCES = 32
TIMED_CALLS = 21


def length_boundaries():
    """How many lengths batches are cut to: JAX compiles every one anew."""
    return 3 if keras.backend.backend() == "jax" else 8


def evaluation_batches(x, y):
    return Batches(x, y, BATCH_SIZE, shuffle=False, boundaries=length_boundaries())


def score(model, batches, advance=lambda count: None):
    """Returns `(correct, total, loss)` of a classifier that gives logits or probabilities."""
    correct, total, loss = 0, 0, 0.0
    for x, labels in batches:
        outputs = np.asarray(model.predict_on_batch(x), np.float64)  # (B, classes)
        labels = labels.reshape(-1)
        loss -= float(log_probabilities(outputs)[np.arange(len(labels)), labels].sum())
        correct += int(np.sum(outputs.argmax(axis=-1) == labels))
        total += len(labels)
        advance(len(labels))
    return correct, total, loss / total


def log_probabilities(outputs):
    """Returns the logarithms of probabilities from these or from logits, (B, classes)."""
    if are_probabilities(outputs):
        return np.log(np.maximum(outputs, 1e-12))
    outputs = outputs - outputs.max(axis=-1, keepdims=True)
    return outputs - np.log(np.exp(outputs).sum(axis=-1, keepdims=True))


def are_probabilities(outputs):
    """Whether every row of outputs (B, classes) is a distribution.

    >>> are_probabilities(np.array([[0.25, 0.75]])), are_probabilities(np.array([[-1.0, 2.0]]))
    (True, False)
    """
    return bool(np.all(outputs >= 0.0) and np.allclose(outputs.sum(axis=-1), 1.0, atol=1e-3))


def metrics(found):
    """Returns a score as a dict for people and JSON."""
    correct, total, loss = found
    return {"accuracy": correct / total, "correct": correct, "total": total, "loss": loss}


def timing_batch(x):
    """Returns inputs to time: sequences of about the median length of `x`, cut to one length."""
    if not np.issubdtype(x.dtype, np.integer):
        return x[:TIMED_SEQUENCES].astype("float32")
    lengths = sequence_lengths(x)
    median = int(np.median(lengths))
    chosen = np.argsort(np.abs(lengths - median), kind="stable")[:TIMED_SEQUENCES]
    return x[chosen, :median].astype("int32")


def milliseconds(models, batch, advance=lambda count: None):
    """Returns the quartiles of each model's time per sequence of `batch`, in milliseconds.

    The models take turns in changing order, so that what else the machine does falls on all alike.
    """
    seconds = {name: [] for name in models}
    for model in models.values():
        model.predict_on_batch(batch)  # compiles
    rng = np.random.default_rng(0)
    for _ in range(TIMED_CALLS):
        for name in rng.permutation(list(models)):
            started = time.perf_counter()
            models[name].predict_on_batch(batch)
            seconds[name].append(time.perf_counter() - started)
            advance(1)
    return {
        name: [float(1e3 * t / len(batch)) for t in np.quantile(times, (0.25, 0.5, 0.75))]
        for name, times in seconds.items()
    }
