"""A DSS block with its parts taken away one after another, run inside a worker.

The difference of two neighbours is the time of the part between them, so that all parts add up to
the whole step.
"""

import contextlib
from unittest import mock

import keras

import keras_dss
from benchmarks.performance.keras_side import BACKEND, arrays, training_step
from benchmarks.performance.machine import PARTS
from benchmarks.performance.sizes import Size


class FreeTaps(keras_dss.layers.DSS):
    """A DSS layer whose taps are weights themselves."""

    def build(self, input_shape):
        super().build(input_shape)
        shape = (input_shape[-1], input_shape[1])
        self.taps = self.add_weight(shape=shape, initializer="random_normal", name="taps")

    def kernel(self, length):
        return self.taps


class Through(keras_dss.layers.DSS):
    """No convolution, D alone."""

    def call(self, inputs, mask=None):
        return inputs * self.D


class Peeled(keras_dss.layers.DSSBlock):
    """A block without some of its parts."""

    def __init__(self, ssm, without=(), **options):
        super().__init__(ssm, **options)
        self.without = without

    def build(self, input_shape):
        super().build(input_shape)
        if "GELU, dense, GLU" in self.without:
            self.mix = keras.layers.Identity()

    def call(self, inputs, mask=None, training=False):
        identity = mock.patch("keras.activations.gelu", lambda x, approximate=False: x)
        with identity if "GELU, dense, GLU" in self.without else contextlib.nullcontext():
            return super().call(inputs, mask=mask, training=training)


def peeled(size, without):
    """The model of a block without the parts named in `without`."""
    layer = keras_dss.layers.DSS
    if "kernel" in without:
        layer = FreeTaps
    if "convolution" in without:
        layer = Through
    block = Peeled(
        layer(size.states),
        without,
        glu="GELU, dense, GLU" not in without,
        normalization=None if "normalization" in without else "layer",
    )
    inputs = keras.Input((size.length, size.features))
    return keras.Model(inputs, block(inputs))


def steps(size):
    """Training steps of the whole block (`""`), and without the first, the first two, ... parts."""
    size = Size(**size)
    x, y = arrays(size)
    functions = {}
    for count in range(len(PARTS)):
        without = PARTS[:count]
        model = peeled(size, without)
        make = keras.optimizers.SGD if "optimizer" in without else keras_dss.optimizers.DSSAdamW
        name = without[-1] if without else ""
        functions[name] = training_step(model, x, y, make(1e-3), BACKEND == "jax")
    return functions
