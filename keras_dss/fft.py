"""Circular convolution over time by real FFTs, with a gradient of real FFTs too.

With û, k̂ the real FFTs of `size` points of inputs and taps, and v̂ that of the upstream gradient,

    y = irfft(û k̂),   du = irfft(v̂ conj k̂),   dk = irfft(sum_b v̂ conj û)

Left to themselves, backends differentiate real FFTs by complex ones of twice the work, and hold
every spectrum until then.
"""

import functools

import keras
from keras import ops

from keras_dss import tiles
from keras_dss.gradients import differentiable_gradients, with_gradient

LARGEST = 2**24  # numbers of one sequence that TensorFlow transforms at a time
BLOCK = 2**19  # numbers of several sequences that torch does, in the cache
WIDE = 2**21  # numbers of some features of one sequence, at least four


def circular_convolution(inputs, taps, size):
    """The first L steps of y_k = sum_l K_l u_{k-l mod size}, for each feature.

    Args:
        inputs: (B, L, H) float32 or float64, zero from L on.
        taps: (H, L') of the same dtype, L' <= size, zero from L' on.
        size: points of the FFTs, an even int or an integer scalar tensor.

    Returns:
        (B, L, H).
    """
    inputs, taps = ops.convert_to_tensor(inputs), ops.convert_to_tensor(taps)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(inputs, taps, size)
    if backend == "jax":
        return _jax()(inputs, taps, size)
    return _torch()(inputs, taps, size)


def _tensorflow(inputs, taps, size):
    """Some features after another where their spectra of one sequence are large."""
    import tensorflow as tf

    features = inputs.shape[2]
    wide = max(1, LARGEST // size) if isinstance(size, int) else features
    rows = tf.transpose(inputs, (0, 2, 1))  # (B, H, L)
    parts = []
    for h in range(0, features, wide):
        with tf.control_dependencies(parts[-1:]):  # one after another
            part = tf.identity(rows[:, h : h + wide])
        parts.append(_tensorflow_rows(part, taps[h : h + wide], size))
    rows = tf.concat(parts, axis=1) if len(parts) > 1 else parts[0]
    return tf.transpose(rows, (0, 2, 1))


def _tensorflow_rows(rows, taps, size):
    """The convolution of (B, H, L)."""
    import tensorflow as tf

    if not isinstance(size, int):
        size = tf.maximum(size, 2)  # for sequences without a step
    size = tf.convert_to_tensor([size], "int32")
    length, lags = tf.shape(rows)[2], tf.shape(taps)[-1]

    def convolve(rows, taps):
        u = tf.signal.rfft(rows, size)  # (B, H, size/2 + 1)
        k = tf.signal.rfft(taps, size)  # (H, size/2 + 1)

        def gradient(upstream):
            v = tf.signal.rfft(upstream, size)
            du = tf.signal.irfft(v * tf.math.conj(k), size)[..., :length]
            dk = tf.signal.irfft(tf.reduce_sum(v * tf.math.conj(u), axis=0), size)[..., :lags]
            return du, dk

        return tf.signal.irfft(u * k, size)[..., :length], gradient

    return with_gradient(convolve, None, [rows, taps])


@functools.cache
def _jax():
    import jax
    import jax.numpy as jnp

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
    def convolve(inputs, taps, size):
        return forward(inputs, taps, size)[0]

    def forward(inputs, taps, size):
        u = jnp.fft.rfft(jnp.swapaxes(inputs, 1, 2), size)  # (B, H, size/2 + 1)
        k = jnp.fft.rfft(taps, size)  # (H, size/2 + 1)
        y = jnp.fft.irfft(u * k, size)[..., : inputs.shape[1]]  # (B, H, L)
        return jnp.swapaxes(y, 1, 2), (u, k, taps)

    def backward(size, saved, upstream):
        u, k, taps = saved
        v = jnp.fft.rfft(jnp.swapaxes(upstream, 1, 2), size)
        du = jnp.fft.irfft(v * jnp.conj(k), size)[..., : upstream.shape[1]]
        dk = jnp.fft.irfft(jnp.sum(v * jnp.conj(u), axis=0), size)[..., : taps.shape[-1]]
        return jnp.swapaxes(du, 1, 2), dk

    convolve.defvjp(forward, backward)
    return convolve


@functools.cache
def _torch():
    """Block by block on a CPU, so that no spectrum leaves the cache; û is computed twice."""
    import torch

    def differentiable(inputs, taps, size):
        u = torch.fft.rfft(inputs.transpose(1, 2), size)  # (B, H, size/2 + 1)
        y = torch.fft.irfft(u * torch.fft.rfft(taps, size), size)  # (B, H, size)
        return y[..., : inputs.shape[1]].transpose(1, 2)

    def parts(inputs, size):
        """Slices of the features, and of the sequences: every pair of them is a block."""
        batch, _, features = inputs.shape
        on_cpu = inputs.device.type == "cpu"
        wide = max(4, WIDE // size) if on_cpu else features
        deep = max(1, BLOCK // (features * size)) if on_cpu else batch
        return slices(features, wide), slices(batch, deep)

    def slices(count, step):
        return [slice(start, start + step) for start in range(0, count, max(1, step))]

    class Workspace:
        """Rows of `size` numbers that end in zeros, for the blocks one after another."""

        def __init__(self, inputs, size):
            self.inputs, self.size, self.rows = inputs, size, None

        def spectrum(self, block):
            """(b, L, h) -> (b, h, size/2 + 1)."""
            shape = block.shape[0], block.shape[2], self.size
            if self.rows is None or self.rows.shape != shape:
                self.rows = self.inputs.new_empty(shape)
                self.rows[..., block.shape[1] :] = 0.0
            tiles.to_rows(block, self.rows)
            return torch.fft.rfft(self.rows)

    def inverse(spectrum, size, target):
        """The first L steps of the inverse of (b, h, size/2 + 1), to (b, L, h)."""
        tiles.to_sequences(torch.fft.irfft(spectrum, size), target)

    class Convolution(torch.autograd.Function):
        @staticmethod
        def forward(context, inputs, taps, size):
            workspace, outputs = Workspace(inputs, size), torch.empty_like(inputs)
            features, sequences = parts(inputs, size)
            for h in features:
                k = torch.fft.rfft(taps[h], size)  # (h, size/2 + 1)
                for b in sequences:
                    spectrum = workspace.spectrum(inputs[b, :, h]).mul_(k)
                    inverse(spectrum, size, outputs[b, :, h])
            context.save_for_backward(inputs, taps)
            context.size = size
            return outputs

        @staticmethod
        def backward(context, upstream):
            inputs, taps = context.saved_tensors
            size = context.size
            if torch.is_grad_enabled():
                plain = functools.partial(differentiable, size=size)
                return *differentiable_gradients(plain, (inputs, taps), upstream), None
            workspace = Workspace(inputs, size)
            du, dk = torch.empty_like(inputs), torch.empty_like(taps)
            features, sequences = parts(inputs, size)
            for h in features:
                k = torch.fft.rfft(taps[h], size).conj_physical_()
                total = torch.zeros_like(k)
                for b in sequences:
                    u = workspace.spectrum(inputs[b, :, h]).conj_physical_()
                    v = workspace.spectrum(upstream[b, :, h])
                    for row, other in zip(u, v, strict=True):
                        total.addcmul_(row, other)
                    inverse(v.mul_(k), size, du[b, :, h])
                dk[h] = torch.fft.irfft(total, size)[..., : taps.shape[-1]]
            return du, dk, None

    return Convolution.apply
