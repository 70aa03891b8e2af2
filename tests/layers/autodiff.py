"""Gradients of the running backend."""

import contextlib

import keras
import numpy as np
from keras import ops

from tests.layers import oracles


def gradients(variables, function):
    """Gradients of the scalar `function()` for a list of Keras variables, as NumPy arrays."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = function()
        found = tape.gradient(loss, [v.value for v in variables])
        return [np.asarray(tf.convert_to_tensor(g)) for g in found]
    if backend == "jax":
        import jax

        def loss(values):
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function()

        return [np.asarray(g) for g in jax.jit(jax.grad(loss))([v.value for v in variables])]
    import torch

    found = torch.autograd.grad(function(), [v.value for v in variables])
    return [ops.convert_to_numpy(g) for g in found]


def double_precision():
    """A context in which every backend has float64."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def evaluation(layer, function):
    """`function()` of a layer as a function of its present weights, in float64.

    JAX compiles it once as a whole, rather than one operation at a time.
    """
    if keras.backend.backend() != "jax":
        return lambda: oracles.numpy(function())
    import jax

    @jax.jit
    def compute(values):
        with keras.StatelessScope(state_mapping=list(zip(layer.weights, values, strict=True))):
            return function()

    return lambda: oracles.numpy(compute([w.value for w in layer.weights]))


def evaluate(layer, function):
    """The value of `evaluation`."""
    return evaluation(layer, function)()


def compiled(function):
    """The function under the backend's compiler (XLA), or as it is on torch."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function
