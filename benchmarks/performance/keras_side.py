"""Blocks of Keras layers, run inside a worker on the backend of its environment."""

import keras
import numpy as np

import keras_dss
from benchmarks.performance.sizes import Size

BACKEND = keras.backend.backend()
HEADS = 4


def mixer(kind, size):
    """The layer in the place of the state space: (B, L, H) -> (B, L, H)."""
    if kind == "lstm":
        return keras.layers.LSTM(size.features, return_sequences=True)
    if kind == "gru":
        return keras.layers.GRU(size.features, return_sequences=True)
    if kind == "attention":
        attention = keras.layers.MultiHeadAttention(HEADS, size.features // HEADS)
        return lambda x: attention(x, x, use_causal_mask=True)
    raise ValueError(f"`kind` must be dss, lstm, gru or attention. Received: {kind!r}")


def residual_block(kind, size, **options):
    """x + dense(gelu(mixer(norm(x)))) as a model; `dss` is `DSSBlock` itself."""
    inputs = keras.Input((size.length, size.features))
    if kind == "dss":
        block = keras_dss.layers.DSSBlock(keras_dss.layers.DSS(size.states), **options)
        return keras.Model(inputs, block(inputs))
    x = keras.layers.LayerNormalization(epsilon=1e-5)(inputs)
    x = keras.activations.gelu(mixer(kind, size)(x), approximate=False)
    return keras.Model(inputs, inputs + keras.layers.Dense(size.features)(x))


def arrays(size):
    generator = np.random.default_rng(0)
    shape = (size.batch, size.length, size.features)
    return [keras.ops.convert_to_tensor(a) for a in generator.normal(size=(2, *shape)).astype("f4")]


def forward(model, x, jit_compile=False):
    """A function without arguments that computes `model(x)` and returns when it is there."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        call = tf.function(lambda x: model(x, training=False), jit_compile=jit_compile)
        return lambda: tf.reshape(call(x), (-1,))[0].numpy()
    if BACKEND == "jax":
        import jax

        def values(variables):
            return [variable.value for variable in variables]

        @jax.jit
        def call(trainable, others, x):
            return model.stateless_call(trainable, others, x, training=False)[0]

        def run():
            weights = values(model.trainable_variables), values(model.non_trainable_variables)
            return jax.block_until_ready(call(*weights, x))

        return run
    import torch

    call = torch.compile(model) if jit_compile else model

    def run():
        with torch.no_grad():
            return call(x, training=False).flatten()[0].item()

    return run


def training_step(model, x, y, optimizer, jit_compile=False):
    """One `train_on_batch`: forward, mean square error, backward, update."""
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    return lambda: float(model.train_on_batch(x, y))


def settle(compiled=False):
    """Trains a dense layer, so that all that is imported or started late is there."""
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(1)])
    x = keras.ops.ones((256, 7))
    compiled = compiled or BACKEND == "jax"
    forward(model, x, compiled)()
    training_step(model, x, x[:, :1], keras.optimizers.AdamW(), compiled)()


def block(kind, size, compiled=False, **options):
    """Functions `forward` and `step` of one block at one size."""
    size = Size(**size)
    x, y = arrays(size)
    model = residual_block(kind, size, **options)
    make = keras_dss.optimizers.DSSAdamW if kind == "dss" else keras.optimizers.AdamW
    compiled = compiled or BACKEND == "jax"
    return {
        "forward": forward(model, x, compiled),
        "step": training_step(model, x, y, make(1e-3), compiled),
    }
