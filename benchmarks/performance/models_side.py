"""Whole models and pairs of models of ours, run inside a worker on its backend."""

import keras
import numpy as np

import keras_dss
from benchmarks.performance.keras_side import (
    BACKEND,
    arrays,
    forward,
    residual_block,
    training_step,
)
from benchmarks.performance.sizes import Size

JIT = BACKEND == "jax"


def reduced_block(size, modes):
    """Functions of a block and of the same block reduced to `modes` by `compress_model`."""
    size = Size(**size)
    x, y = arrays(size)
    parent = residual_block("dss", size)
    child = keras_dss.compress_model(parent, rank=modes)
    functions = {}
    for name, model in (("parent", parent), ("child", child)):
        functions[f"{name} forward"] = forward(model, x, JIT)
        optimizer = keras_dss.optimizers.DSSAdamW(1e-3)
        functions[f"{name} step"] = training_step(model, x, y, optimizer, JIT)
    return functions


def sequences(model, batch, length):
    """Random tokens or numbers of the model's input shape."""
    generator = np.random.default_rng(0)
    taken = model.inputs[0]
    shape = (batch, length, *taken.shape[2:])
    if "int" in keras.backend.standardize_dtype(taken.dtype):
        return keras.ops.convert_to_tensor(generator.integers(1, 60, shape).astype("int32"))
    return keras.ops.convert_to_tensor(generator.normal(size=shape).astype("float32"))


def zoo_pair(parent, child, batch, length):
    """Forward functions of two published models on the same sequences."""
    functions = {}
    for name, published in (("parent", parent), ("child", child)):
        model = keras_dss.zoo.load(published)
        functions[f"{name} forward"] = forward(model, sequences(model, batch, length), JIT)
    return functions


def classifier(lengths, features, states, num_blocks):
    """Inference of one classifier on one sequence of each length."""
    model = keras_dss.models.DSSClassifier(
        10, features=features, num_blocks=num_blocks, state_size=states
    )
    return {str(length): forward(model, sequences(model, 1, length), JIT) for length in lengths}


def transforms(lengths, features):
    """The library's own real FFT of 2L points and back, of one sequence of each length."""
    generator = np.random.default_rng(0)
    there_and_back = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[BACKEND]()
    return {
        str(length): there_and_back(
            keras.ops.convert_to_tensor(generator.normal(size=(features, 2 * length)).astype("f4"))
        )
        for length in lengths
    }


def _tensorflow():
    import tensorflow as tf

    call = tf.function(lambda x: tf.signal.irfft(tf.signal.rfft(x)), reduce_retracing=True)
    return lambda x: lambda: call(x)[0, 0].numpy()


def _jax():
    import jax

    call = jax.jit(lambda x: jax.numpy.fft.irfft(jax.numpy.fft.rfft(x)))
    return lambda x: lambda: jax.block_until_ready(call(x))


def _torch():
    import torch

    return lambda x: lambda: torch.fft.irfft(torch.fft.rfft(x))[0, 0].item()
