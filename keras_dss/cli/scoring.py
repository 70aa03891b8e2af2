"""Batches to score models on, and their speed."""

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


def timing_batch(x):
    """Returns inputs to time: sequences of about the median length of `x`, cut to one length."""
    if not np.issubdtype(x.dtype, np.integer):
        return np.asarray(x[:TIMED_SEQUENCES], "float32")
    lengths = sequence_lengths(x)
    median = int(np.median(lengths))
    chosen = np.argsort(np.abs(lengths - median), kind="stable")[:TIMED_SEQUENCES]
    return x[chosen][..., :median].astype("int32")


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
