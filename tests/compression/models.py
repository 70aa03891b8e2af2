"""Models of every kind that a user may build around DSS layers."""

import keras
import numpy as np

from keras_dss.layers import DSS
from keras_dss.models import DSSClassifier


@keras.saving.register_keras_serializable(package="tests")
class NestedConfig(keras.Model):
    """Its configuration nests its layers."""

    def __init__(self, ssm, dense, **kwargs):
        super().__init__(**kwargs)
        self.ssm = ssm
        self.dense = dense

    def build(self, input_shape):
        self.ssm.build(input_shape)
        self.dense.build(input_shape)

    def call(self, inputs, mask=None):
        return self.dense(self.ssm(inputs, mask=mask))

    def get_config(self):
        return super().get_config() | {
            "ssm": keras.saving.serialize_keras_object(self.ssm),
            "dense": keras.saving.serialize_keras_object(self.dense),
        }

    @classmethod
    def from_config(cls, config):
        layers = {k: keras.saving.deserialize_keras_object(config.pop(k)) for k in ("ssm", "dense")}
        return cls(**layers, **config)


@keras.saving.register_keras_serializable(package="tests")
class PlainConfig(keras.Model):
    """Makes its layers itself from a few numbers."""

    ssm = DSS

    def __init__(self, state_size=8, bidirectional=False, **kwargs):
        super().__init__(**kwargs)
        self.sizes = {"state_size": state_size, "bidirectional": bidirectional}
        self.first = self.ssm(**self.sizes)
        self.rest = [self.ssm(**self.sizes), keras.layers.Dense(4), self.ssm(**self.sizes)]
        self.dense = keras.layers.Dense(2)

    def build(self, input_shape):
        self.first.build(input_shape)
        for layer in self.rest:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.dense.build(input_shape)

    def call(self, inputs):
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return self.dense(x)

    def get_config(self):
        return super().get_config() | self.sizes


class NoConfig(keras.Model):
    def __init__(self, layers):
        super().__init__()
        self.stack = layers

    def build(self, input_shape):
        self.stack[0].build(input_shape)

    def call(self, inputs):
        return self.stack[0](inputs)


def functional():
    inputs = keras.Input((None, 3))
    x = DSS(8, name="a")(inputs)
    y = DSS(8, bidirectional=True, eigenvalues="per_feature", name="b")(x)
    x = keras.layers.LayerNormalization()(x + y)
    x = DSS(8, parameterization="softmax", kernel_length=30, name="c")(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x), name="functional")


def sequential():
    return keras.Sequential([keras.Input((20, 3)), DSS(8, name="a"), keras.layers.Dense(2)])


def classifier():
    return DSSClassifier(3, features=4, num_blocks=2, state_size=8, channels=3, bidirectional=True)


def nested_config():
    model = NestedConfig(DSS(8, name="a"), keras.layers.Dense(2))
    model.build((None, 20, 3))
    return model


def plain_config():
    model = PlainConfig(bidirectional=True)
    model.build((None, 20, 3))
    return model


def submodels():
    inner = keras.Sequential([keras.Input((None, 3)), DSS(8, name="a"), keras.layers.Dense(3)])
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, DSS(8, name="b")(inner(inputs)))


def shared_layer():
    layer, inputs = DSS(8, name="a"), keras.Input((None, 3))
    return keras.Model(inputs, layer(keras.layers.Dense(3)(layer(inputs))))


def duplicate_names():
    """Two layers of one name in two submodels of one name."""
    parts = [
        keras.Sequential([keras.Input((None, 3)), DSS(8, name="a")], name="part") for _ in range(2)
    ]
    wrapped = keras.Sequential([keras.Input((None, 3)), parts[1]], name="other")
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, wrapped(parts[0](inputs)))


MODELS = {
    function.__name__: function
    for function in (
        functional,
        sequential,
        classifier,
        nested_config,
        plain_config,
        submodels,
        shared_layer,
        duplicate_names,
    )
}


def make_inputs(batch=2, length=20, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, length, 3)).astype("float32")
