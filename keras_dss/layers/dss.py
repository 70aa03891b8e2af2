"""The diagonal state space layer, as a convolution."""

import keras
import numpy as np
from keras import ops

from keras_dss import ops as dss_ops
from keras_dss.devices import on_cpu
from keras_dss.initializers import ReducedRank
from keras_dss.layers.parameters import DSSParameters, one_of, parameters_from_system
from keras_dss.ssm import DiagonalSystem

CONVOLUTIONS = ("auto", "fft", "matmul")
# Most modes of all directions with which products of matrices are faster, by least length.
FEW_MODES = {
    "tensorflow": {256: 8, 8192: 16},
    "jax": {256: 8, 8192: 16},
    "torch": {4096: 8, 16384: 16},  # whose FFTs stay in the cache
}


@keras.saving.register_keras_serializable(package="keras_dss")
class DSS(DSSParameters):
    """Diagonal state space layer: each feature is filtered by its own linear system.

    Feature h of the input u is convolved with the real impulse response of N complex modes,

        y_k = sum_{l<=k} K_l u_{k-l} + D u_k,   K_l = Re sum_n c_n exp(l x_n),   x = rate dt lambda

    with `lambda = -exp(lambda_log_neg_re) + i lambda_im`. `parameterization="exp"` is the
    zero-order hold, `c = W (exp(x) - 1) / lambda`; `"softmax"` divides the powers of each mode by
    their sum over `kernel_length` steps, `c = W / (lambda sum_l exp(l x))`, and lets Re lambda have
    either sign.

    The convolution goes through FFTs, in O(L log L) time, the kernel in O(N L) products and
    O(N sqrt L) memory; or through products of matrices within chunks of steps and states carried
    between them, in O(N L) time, without a kernel: see `convolution`.

    The parameters and the convolution are float32 (float64 under a float64 policy) whatever the
    dtype policy; inputs and outputs follow the policy, a quantised one being that of its source.
    Padded steps of a mask neither feed the system, whatever they hold, nor see anything of it:
    their outputs are zero.

    Args:
        state_size: N, the number of complex modes of each feature.
        parameterization: `"exp"` or `"softmax"`.
        kernel_length: for `"softmax"`: the L that the softmax runs over, at least the length of any
            input; it never depends on the batch.
        bidirectional: adds an anti-causal kernel with its own W, lags -1, -2, ...
        eigenvalues: `"shared"` (one lambda for all features) or `"per_feature"` (and direction).
        rate: sampling interval of the inputs in units of the one that dt was learned for.
        convolution: `"fft"`, `"matmul"` (not for softmax, nor for an unknown length), or `"auto"`:
            products of matrices where they were measured to be faster, on processors with few
            modes in both directions together and a known length: 8 from 256 steps on (4,096 with
            torch), 16 from 8,192 (16,384 with torch).
        dt_min, dt_max: bounds of the initial steps, log-uniform.
        lambda_re_initializer, lambda_im_initializer, log_dt_initializer, w_initializer,
            d_initializer: initial parameters; Skew-HiPPO, log-uniform and N(0, 1) by default.
        lambda_regularizer, log_dt_regularizer, w_regularizer, d_regularizer: regularizers.
        lambda_constraint, log_dt_constraint, w_constraint, d_constraint: constraints.
        system_regularizer: regularizer of the whole system, called with one real tensor
            (..., 4, N), [Re a, Im a, Re c, Im c] of its poles and residues; see
            `keras_dss.regularizers`.

    Call arguments:
        inputs: (batch, length, features), any float dtype; the length may be unknown.
        mask: bool (batch, length), True where a step is valid; optional.

    Returns:
        (batch, length, features) in the policy's compute dtype.

    Raises:
        ValueError: for options that are not listed, inputs that are not of rank 3, inputs longer
            than the kernel of a softmax layer, and an export from JAX for any length.

    Example:

    >>> layer = DSS(state_size=16)
    >>> tuple(layer(keras.ops.ones((2, 100, 8))).shape)
    (2, 100, 8)

    Source: Gupta, Gu and Berant, arXiv 2203.14343; Gu et al., arXiv 2206.11893.
    """

    def __init__(self, state_size, *, convolution="auto", **kwargs):
        super().__init__(state_size, **kwargs)
        self.convolution = one_of("convolution", convolution, CONVOLUTIONS)
        if convolution == "matmul" and self.parameterization == "softmax":
            raise ValueError(
                "convolution='matmul' carries states from chunk to chunk, which modes of a softmax "
                "layer may let grow: expected 'auto' or 'fft'. Received: convolution='matmul' with "
                "parameterization='softmax'"
            )

    @property
    def state_size(self):
        """N, the number of complex modes of each feature."""
        return self.num_modes

    def build(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(
                f"Layer {self.name!r} takes inputs of shape (batch, length, features). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self._build_parameters(input_shape[-1])
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, mask=None):
        length = self._length(inputs)
        u = ops.cast(inputs, self.ssm_dtype)  # (B, L, H)
        if 0 in inputs.shape[:2]:
            return ops.cast(u * ops.convert_to_tensor(self.D), self.compute_dtype)
        if mask is not None:
            mask = ops.expand_dims(mask, -1)  # (B, L, 1)
            u = ops.where(mask, u, 0.0)
        convolve = self._by_products if self._few_modes(inputs) else self._by_ffts
        outputs = convolve(u, length)  # (B, L, H)
        if mask is not None:
            outputs = outputs * ops.cast(mask, self.ssm_dtype)
        return ops.cast(outputs, self.compute_dtype)

    def _few_modes(self, inputs):
        length = inputs.shape[1]
        if self.convolution != "auto" or self.parameterization == "softmax" or length is None:
            return self.convolution == "matmul"
        modes = (1 + self.bidirectional) * self.num_modes
        limits = FEW_MODES[keras.backend.backend()]
        most = max((few for least, few in limits.items() if length >= least), default=0)
        return modes <= most and on_cpu(inputs)

    def _by_ffts(self, u, length):
        taps = self.kernel(length)  # (H, L) or (2, H, L)
        forward, *backward = (taps[0], taps[1]) if self.bidirectional else (taps,)
        first = forward[:, :1] + ops.convert_to_tensor(self.D)[:, None]  # (H, 1)
        forward = ops.concatenate([first, forward[:, 1:]], axis=-1)  # (H, L)
        return dss_ops.fft_convolution(u, forward, *backward)

    def _by_products(self, u, length):
        x = self.log_poles()
        residues = self.residues(x)
        each = [residues]
        if self.bidirectional:
            each = [tuple(part[d] for part in residues) for d in range(2)]
        return dss_ops.matmul_convolution(u, x, *each, feedthrough=ops.convert_to_tensor(self.D))

    def kernel(self, length):
        """Impulse response without D: (H, length), or (2, H, length) when bidirectional."""
        x = self.log_poles()
        if self.parameterization == "softmax":
            weights = self.W[..., 0], self.W[..., 1]
            return dss_ops.softmax_kernel(x, self.step(), weights, self.kernel_length, length)
        return dss_ops.kernel(x, self.residues(x), length)

    def _length(self, inputs):
        length = inputs.shape[1]
        known = length is None or isinstance(length, int)
        if keras.backend.backend() == "jax" and not known:
            raise ValueError(
                "JAX exports models of a known length only: expected one in `input_signature`. "
                "TensorFlow exports models of any length. "
                f"Received: inputs of shape {tuple(inputs.shape)}"
            )
        message = (
            f"Layer {self.name!r} has a softmax kernel of kernel_length={self.kernel_length} "
            f"steps and takes no longer input. Received: inputs of shape {tuple(inputs.shape)}"
        )
        if length is None:
            length = ops.shape(inputs)[1]
            if self.kernel_length is not None and keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                check = tf.debugging.assert_less_equal(length, self.kernel_length, message)
                with tf.control_dependencies([check]):
                    length = tf.identity(length)
        elif self.kernel_length is not None and length > self.kernel_length:
            raise ValueError(message)
        return length

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def compute_mask(self, inputs, mask=None):
        return mask

    def get_config(self):
        return super().get_config() | {"convolution": self.convolution}

    @classmethod
    def from_system(cls, system, dt=None, **kwargs):
        """A built layer with per-feature eigenvalues that computes the given systems.

        Args:
            system: `DiagonalSystem` (H, N), or (2, H, N) for a bidirectional layer.
            dt: steps (H,) in which the poles are expressed; 1 by default.
            **kwargs: other arguments of the layer, `parameterization` among them.

        Raises:
            ValueError: for a system of another rank, unstable with `parameterization="exp"`, or
                with a feedthrough backwards, and for `eigenvalues="shared"`.

        Example:

        >>> layer = DSS(4)
        >>> layer.build((None, 10, 3))
        >>> system = layer.to_system()
        >>> same = DSS.from_system(system).to_system()
        >>> np.allclose(same.impulse_response(10), system.impulse_response(10), atol=1e-5)
        True
        """
        if not isinstance(system, DiagonalSystem):
            raise ValueError(f"Expected a keras_dss.ssm.DiagonalSystem. Received: {system!r}")
        ndim = system.poles.ndim
        if ndim not in (2, 3) or (ndim == 3 and system.poles.shape[0] != 2):
            raise ValueError(
                "A layer is made from a system of shape (H, N), or (2, H, N) for both directions. "
                f"Received: a system of shape {system.poles.shape}"
            )
        if kwargs.get("eigenvalues", "per_feature") != "per_feature":
            raise ValueError(
                "A layer made from a system has eigenvalues='per_feature'. "
                f"Received: eigenvalues={kwargs['eigenvalues']!r}"
            )
        features, modes = system.poles.shape[-2:]
        log_dt = np.zeros(features) if dt is None else np.log(np.asarray(dt, "float64"))
        template = cls(modes, bidirectional=ndim == 3, **kwargs)
        layer = cls.from_config(reduced_config(template, system, log_dt))
        layer.build((None, None, features))
        return layer


def reduced_config(layer, system, log_dt):
    """Configuration of a layer like `layer` whose initial parameters compute `system`.

    Args:
        layer: a `DSS`, whose options are kept. system: (H, N) or (2, H, N). log_dt: (H,).

    Returns:
        dict for `DSS.from_config`, with per-feature eigenvalues and `ReducedRank` initializers.

    Raises:
        ValueError: for poles on or outside the unit circle with `parameterization="exp"`, and for
            a feedthrough backwards.
    """
    features, modes = system.poles.shape[-2:]
    log_dt = np.broadcast_to(np.asarray(log_dt, "float64"), (features,))
    step = layer.rate * np.exp(log_dt)
    values = parameters_from_system(system, step, layer.parameterization, layer.kernel_length)
    feedthrough = np.broadcast_to(system.feedthrough, system.poles.shape[:-1])
    if layer.bidirectional:
        feedthrough, backward = feedthrough
        if backward.any():
            raise ValueError(
                "The backward system begins at lag -1: expected no feedthrough of it. "
                f"Received: a feedthrough of up to {np.abs(backward).max():.6g}"
            )
    values |= {"log_dt": log_dt, "D": feedthrough}
    config = layer.get_config() | {"state_size": modes, "eigenvalues": "per_feature"}
    for name, value in values.items():
        initializer = ReducedRank(value, layer.ssm_dtype)
        config[f"{name.lower()}_initializer"] = keras.initializers.serialize(initializer)
    return config
