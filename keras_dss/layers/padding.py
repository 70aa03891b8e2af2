"""The mask of real-valued sequences that are padded with zeros."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_dss")
class TrailingZeros(keras.layers.Layer):
    """Passes sequences on unchanged, with a mask that leaves out the zeros at their ends.

    A step is padding if all channels of it and of every later step are exactly zero; zeros before
    other values are data. Steps that a mask leaves out already stay so.

    Call arguments:
        inputs: (batch, length, channels).

    Example:

    >>> x = keras.ops.convert_to_tensor([[[0.0], [2.0], [0.0], [1.0], [0.0]]])
    >>> [bool(valid) for valid in TrailingZeros().compute_mask(x)[0]]
    [True, True, True, True, False]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, mask=None):
        used = ops.cast(ops.any(ops.not_equal(inputs, 0), axis=-1), "int32")  # (B, L)
        later = ops.flip(ops.cumsum(ops.flip(used, axis=1), axis=1), axis=1)  # (B, L)
        return later > 0 if mask is None else ops.logical_and(later > 0, mask)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return super().get_config()  # Keras guesses none where a dtype policy was given
