import keras
import numpy as np
import pytest

import keras_dss
from keras_dss import zoo
from keras_dss.zoo.counting import state_sizes
from tests.zoo.support import make_card


class Diagonal(keras.layers.Layer):
    """The weights of a state space layer and nothing else."""

    def __init__(self, features, state_size, directions=()):
        super().__init__()
        self.state_size = state_size
        per_feature = (*directions, features, state_size)
        self.log_neg_re = self.add_weight(shape=(state_size,), name="lambda_log_neg_re")
        self.im = self.add_weight(shape=(state_size,), name="lambda_im")
        self.log_dt = self.add_weight(shape=(features,), name="log_dt")
        self.W = self.add_weight(shape=(*per_feature, 2), name="W")
        self.D = self.add_weight(shape=(features,), name="D")

    def call(self, inputs):
        return inputs * self.D


class Holder(keras.layers.Layer):
    """Reaches its layer by two ways, and has a weight W that is no state space layer's."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.also = inner, [inner]
        self.extra = self.add_weight(shape=(3, 3), name="W")
        self.state_size = 1

    def call(self, inputs):
        return self.inner(inputs)


def make(*layers):
    return keras.Sequential([keras.Input((None, 6)), *layers, keras.layers.Dense(2)])


def test_one_and_two_directions():
    model = make(Diagonal(6, 4), Diagonal(6, 3, directions=(2,)))
    assert zoo.count_states(model) == 6 * 4 + 2 * 6 * 3
    assert zoo.count_ssm_parameters(model) == (4 + 4 + 6 + 48 + 6) + (3 + 3 + 6 + 72 + 6)
    assert state_sizes(model) == [3, 4]


def test_softmax_layers_count():
    options = {"parameterization": "softmax", "kernel_length": 9, "bidirectional": True}
    model = make(keras_dss.layers.DSS(4, **options))
    assert zoo.count_states(model) == 2 * 6 * 4
    assert zoo.count_ssm_parameters(model) == model.layers[0].count_params()
    assert state_sizes(model) == [4]


def test_nested_layers_count_once():
    shared = Diagonal(6, 4)
    model = make(Holder(shared), shared, keras.Sequential([Holder(Diagonal(6, 2))]))
    assert zoo.count_states(model) == 6 * 4 + 6 * 2


def test_models_without_such_layers():
    model = make(keras.layers.LSTM(3, return_sequences=True))
    assert zoo.count_states(model) == zoo.count_ssm_parameters(model) == 0
    assert state_sizes(model) == []


@pytest.mark.parametrize("name", ["toy_n2", "toy_n5"])
def test_the_name_tells_the_state_size(tmp_path, name):
    model = make(Diagonal(6, 4), Diagonal(6, 3))
    with pytest.raises(zoo.PublishError, match=f"\\[3, 4\\]. Received: '{name}'"):
        zoo.publish(model, name, make_card(), np.ones((2, 5, 6)), root=tmp_path)
