"""From a sequence of features to one vector."""

import keras
from keras import ops

from keras_dss.layers.parameters import _one_of

READOUTS = ("mean", "last")


@keras.saving.register_keras_serializable(package="keras_dss")
class Readout(keras.layers.Layer):
    """Mean over the valid steps, or the last valid step: (B, L, H) -> (B, H).

    Args:
        kind: `"mean"` or `"last"`.

    Call arguments:
        inputs: (batch, length, H). mask: bool (batch, length); all steps are valid without one.

    Example:

    >>> x = keras.ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
    >>> mask = keras.ops.convert_to_tensor([[True, True, False]])
    >>> float(Readout("mean")(x, mask=mask)[0, 0]), float(Readout("last")(x, mask=mask)[0, 0])
    (2.0, 3.0)
    """

    def __init__(self, kind="mean", **kwargs):
        super().__init__(**kwargs)
        self.kind = _one_of("kind", kind, READOUTS)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return ops.mean(inputs, axis=1) if self.kind == "mean" else inputs[:, -1]
        valid = ops.cast(mask, inputs.dtype)  # (B, L)
        if self.kind == "last":
            steps = ops.cast(ops.arange(ops.shape(inputs)[1]), "int32")  # (L,)
            last = ops.max(ops.where(mask, steps, 0), axis=1)  # (B,)
            valid = ops.cast(steps[None, :] == last[:, None], inputs.dtype)  # (B, L)
        total = ops.maximum(ops.sum(valid, axis=1, keepdims=True), 1)  # (B, 1)
        return ops.einsum("blh,bl->bh", inputs, valid / total)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def get_config(self):
        return super().get_config() | {"kind": self.kind}
