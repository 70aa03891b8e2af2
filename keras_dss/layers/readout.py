"""From a sequence of features to one vector."""

import keras
from keras import ops

from keras_dss.layers.parameters import one_of

READOUTS = ("mean", "first", "last")


@keras.saving.register_keras_serializable(package="keras_dss")
class Readout(keras.layers.Layer):
    """Mean over the valid steps, or the first or last of them: (B, L, H) -> (B, H).

    Where no step is valid, the output is zero.
    The first step sees the whole sequence in a bidirectional model only.

    Args:
        kind: `"mean"`, `"first"` or `"last"`.

    Call arguments:
        inputs: (batch, length, H). mask: bool (batch, length); all steps are valid without one.

    Example:

    >>> x = keras.ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
    >>> mask = keras.ops.convert_to_tensor([[True, True, False]])
    >>> [float(Readout(kind)(x, mask=mask)[0, 0]) for kind in ("mean", "first", "last")]
    [2.0, 1.0, 3.0]
    """

    def __init__(self, kind="mean", **kwargs):
        super().__init__(**kwargs)
        self.kind = one_of("kind", kind, READOUTS)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        given = keras.backend.standardize_dtype(inputs.dtype)
        dtype = "float64" if given == "float64" else "float32"  # for exact sums
        if 0 in inputs.shape[:2]:
            return ops.sum(inputs, axis=1)
        if mask is None:
            if self.kind != "mean":
                return inputs[:, 0 if self.kind == "first" else -1]
            if dtype == "float32":
                return ops.mean(inputs, axis=1)
            return ops.sum(inputs, axis=1) / ops.cast(ops.shape(inputs)[1], dtype)
        chosen = mask  # (B, L)
        if self.kind != "mean":
            steps = ops.arange(ops.shape(inputs)[1], dtype="int32")  # (L,)
            order = steps if self.kind == "last" else -steps
            lowest = -ops.shape(inputs)[1]
            highest = ops.max(ops.where(mask, order, lowest), axis=1, keepdims=True)  # (B, 1)
            chosen = order == highest  # (B, L), none if none is valid
        count = ops.sum(ops.cast(chosen, "int32"), axis=1, keepdims=True)  # (B, 1)
        total = ops.sum(ops.where(chosen[..., None], ops.cast(inputs, dtype), 0.0), axis=1)
        return ops.cast(total / ops.cast(ops.maximum(count, 1), dtype), given)  # (B, H)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def get_config(self):
        return super().get_config() | {"kind": self.kind}
