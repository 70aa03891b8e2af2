"""Fewer steps: several become one."""

import keras
from keras import ops

from keras_dss.layers.composed import Composed
from keras_dss.layers.parameters import positive_integer


@keras.saving.register_keras_serializable(package="keras_dss")
class Downsample(Composed):
    """Joins every `factor` steps to one by a linear map: (B, L, H) -> (B, ceil(L / factor), H).

        y_k = W [u_{fk}; u_{fk+1}; ...; u_{fk+f-1}] + b

    Steps that the mask leaves out, and those that the last window lacks, count as zeros. A window
    is valid if one of its steps is, so that padding at the end changes no output.

    Args:
        factor: f, a positive int.

    Call arguments:
        inputs: (batch, length, H). mask: bool (batch, length); optional.

    Raises:
        ValueError: for a factor that is not a positive int.

    Example:

    >>> tuple(Downsample(4)(keras.ops.ones((2, 10, 3))).shape)
    (2, 3, 3)

    Source: the down-pooling of Goel et al., "It's Raw! Audio Generation with State-Space Models",
    2022, arXiv 2202.09729, at constant width.
    """

    parts = ("mix",)

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = positive_integer("factor", factor)
        self.supports_masking = True

    def build(self, input_shape):
        features = input_shape[-1]
        self.mix = keras.layers.Dense(features, dtype=self.dtype_policy)
        self.mix.build((None, self.factor * features))
        self._restore()

    def call(self, inputs, mask=None):
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, 0.0)
        return self.mix(self._windows(inputs))  # (B, ceil(L / f), H)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        if 0 in mask.shape:
            return mask[:, :: self.factor]
        steps = ops.cast(mask, "float32")[..., None]  # (B, L, 1)
        steps = ops.pad(steps, ((0, 0), (0, self.factor - 1), (0, 0)))
        return ops.max_pool(steps, self.factor, self.factor)[..., 0] > 0  # (B, ceil(L / f))

    def _windows(self, x):
        """(B, L, H) -> (B, ceil(L / f), f H)."""
        length = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        count = (length + self.factor - 1) // self.factor
        if not isinstance(length, int) or length % self.factor:
            x = ops.pad(x, ((0, 0), (0, self.factor - 1), (0, 0)))[:, : count * self.factor]
        return ops.reshape(x, (ops.shape(x)[0], count, self.factor * x.shape[-1]))

    def compute_output_shape(self, input_shape):
        batch, length, features = input_shape
        return (batch, None if length is None else -(-length // self.factor), features)

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
