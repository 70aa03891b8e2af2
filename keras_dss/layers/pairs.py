"""From pairs of sequences to single ones, and back."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_dss")
class SplitPairs(keras.layers.Layer):
    """The sequences of all pairs along the batch axis: (B, 2, L) -> (2B, L).

    >>> tuple(SplitPairs()(keras.ops.zeros((3, 2, 7))).shape)
    (6, 7)
    """

    def call(self, inputs):
        return ops.reshape(inputs, (-1, ops.shape(inputs)[2]))  # (2B, L)

    def compute_output_shape(self, input_shape):
        batch = input_shape[0]
        return (None if batch is None else 2 * batch, input_shape[2])

    def get_config(self):
        return super().get_config()  # Keras guesses none where a dtype policy was given


@keras.saving.register_keras_serializable(package="keras_dss")
class JoinPairs(keras.layers.Layer):
    """What a classifier of pairs looks at, [a, b, a - b, a * b]: (2B, H) -> (B, 4H).

    >>> x = keras.ops.convert_to_tensor([[1.0], [3.0]])
    >>> [float(value) for value in JoinPairs()(x)[0]]
    [1.0, 3.0, -2.0, 3.0]

    Source: Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
    """

    def call(self, inputs):
        pairs = ops.reshape(inputs, (-1, 2, inputs.shape[-1]))  # (B, 2, H)
        a, b = pairs[:, 0], pairs[:, 1]
        return ops.concatenate([a, b, a - b, a * b], axis=-1)

    def compute_output_shape(self, input_shape):
        batch = input_shape[0]
        return (None if batch is None else batch // 2, 4 * input_shape[1])

    def get_config(self):
        return super().get_config()  # Keras guesses none where a dtype policy was given
