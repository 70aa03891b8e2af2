"""Residual blocks around a DSS layer."""

import numbers

import keras
from keras import ops

from keras_dss.devices import on_cpu
from keras_dss.layers.composed import Composed, source_policy
from keras_dss.layers.dss import DSS
from keras_dss.layers.parameters import one_of
from keras_dss.normalization import batch_normalize, layer_normalize
from keras_dss.residual import add_mix

NORMALIZATIONS = ("layer", "batch", None)


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSBlock(Composed):
    """DSS, GELU, dropout and a mix of the features, with normalization around a residual.

    Pre-norm computes `x + mix(dropout(gelu(ssm(norm(x)))))`, post-norm
    `norm(x + mix(dropout(gelu(ssm(x)))))`. The mix is Dense(H), or with `glu=True` a gated linear
    unit `a * sigmoid(b)` of Dense(2H) = [a, b]. Dropout takes whole features over time. Batch
    normalization counts valid steps only.

    Args:
        ssm: a `DSS` layer of this block alone, which computes under its own dtype policy. A shared
            one cannot be loaded from a file.
        normalization: `"layer"`, `"batch"` or None.
        prenorm: True for pre-norm, False for post-norm.
        glu: whether the mix is gated.
        dropout: rate, 0 <= dropout < 1.

    Call arguments:
        inputs: (batch, length, H). mask: bool (batch, length); optional.

    Returns:
        (batch, length, H).

    Raises:
        ValueError: for an `ssm` that is no `DSS`, and for options that are not listed.

    Example:

    >>> from keras_dss.layers import DSS
    >>> block = DSSBlock(DSS(16), glu=True)
    >>> tuple(block(keras.ops.ones((2, 100, 8))).shape)
    (2, 100, 8)
    """

    parts = ("norm", "mix")

    def __init__(
        self, ssm, *, normalization="layer", prenorm=True, glu=False, dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(ssm, DSS):
            raise ValueError(f"`ssm` must be a keras_dss.layers.DSS. Received: ssm={ssm!r}")
        if not (isinstance(dropout, numbers.Real) and 0.0 <= dropout < 1.0):
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout!r}")
        self.ssm = ssm
        if not self.trainable:
            ssm.trainable = False
        self.normalization = one_of("normalization", normalization, NORMALIZATIONS)
        self.prenorm = one_of("prenorm", prenorm, (True, False))
        self.glu = one_of("glu", glu, (False, True))
        self.dropout = dropout
        self.supports_masking = True

    def build(self, input_shape):
        features = input_shape[-1]
        dtype = source_policy(self.dtype_policy)
        self.norm = make_normalization(self.normalization, dtype)
        if self.norm is not None:
            self.norm.build(input_shape)
        if not self.ssm.built:
            self.ssm.build(input_shape)
        self.drop = keras.layers.Dropout(self.dropout, noise_shape=(None, 1, None), dtype=dtype)
        width = 2 * features if self.glu else features
        self.mix = keras.layers.Dense(width, dtype=self.dtype_policy)
        self.mix.build(input_shape)
        self._restore()

    def call(self, inputs, mask=None, training=False):
        x = self._normalize(inputs, mask, training) if self.prenorm else inputs
        x = self.ssm(x, mask=mask)
        if self._in_parts(inputs, x, training):
            x = add_mix(inputs, x, self.mix.kernel, self.mix.bias, self.glu)
            return x if self.prenorm else self._normalize(x, mask, training)
        x = self.drop(keras.activations.gelu(x, approximate=False), training=training)
        x = self.mix(x)
        if self.glu:
            x = keras.activations.glu(x, axis=-1)
        x = inputs + x
        return x if self.prenorm else self._normalize(x, mask, training)

    def _in_parts(self, inputs, x, training):
        """Whether torch on a processor does what follows the DSS layer some rows after others.

        So it does for float32 and float64 where no dropout, quantisation, adapter, hook or tracing
        comes between.
        """
        if keras.backend.backend() != "torch" or not on_cpu(x) or (training and self.dropout):
            return False
        import torch

        mix = self.mix
        if type(mix) is not keras.layers.Dense or mix.quantization_mode or mix.lora_enabled:
            return False
        if "call" in vars(mix) or mix._forward_hooks or mix._forward_pre_hooks:
            return False
        dtypes = {*map(keras.backend.standardize_dtype, (inputs.dtype, x.dtype)), mix.compute_dtype}
        same = dtypes == {mix.variable_dtype} and mix.variable_dtype in ("float32", "float64")
        return same and not torch.compiler.is_compiling()

    def _normalize(self, x, mask, training):
        return normalize(self.norm, x, mask, training)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return super().get_config() | {
            "ssm": keras.saving.serialize_keras_object(self.ssm),
            "normalization": self.normalization,
            "prenorm": self.prenorm,
            "glu": self.glu,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config):
        ssm = keras.saving.deserialize_keras_object(config["ssm"])
        trainable = ssm.trainable
        block = super().from_config(config | {"ssm": ssm})
        ssm.trainable = trainable  # in a frozen block too
        return block


def make_normalization(kind, dtype=None):
    """A normalization layer by its short name: `"layer"`, `"batch"` or None."""
    if kind == "layer":
        return keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype)
    if kind == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
    return None


def normalize(norm, x, mask, training):
    """Applies a layer made by `make_normalization`; batch statistics are those of valid steps."""
    if norm is None:
        return x
    if isinstance(norm, keras.layers.BatchNormalization):
        if training and norm.trainable and _by_rows(norm, x, ("tensorflow",)):
            return _batch_normalize(norm, x, mask)
        return norm(x, training=training, mask=mask)
    if _by_rows(norm, x, ("tensorflow", "jax")):
        gamma, beta = (ops.convert_to_tensor(v) for v in (norm.gamma, norm.beta))
        return layer_normalize(x, gamma, beta, norm.epsilon)
    return norm(x)


def _by_rows(norm, x, backends):
    """Whether `keras_dss.normalization` is faster than Keras' layer, and computes the same."""
    if keras.backend.backend() not in backends or not on_cpu(x) or "call" in vars(norm):
        return False
    dtypes = {keras.backend.standardize_dtype(x.dtype), norm.compute_dtype, norm.variable_dtype}
    return dtypes <= {"float32"} or dtypes <= {"float64"}


def _batch_normalize(norm, x, mask):
    gamma, beta = (ops.convert_to_tensor(v) for v in (norm.gamma, norm.beta))
    x, *found = batch_normalize(x, mask, gamma, beta, norm.epsilon)
    for moving, value in zip((norm.moving_mean, norm.moving_variance), found, strict=True):
        moving.assign(norm.momentum * moving + (1.0 - norm.momentum) * value)
    return x
