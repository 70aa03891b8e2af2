"""Convolution by products of matrices: chunks of T steps, and states carried between them.

The chunks of a feature are the rows of U. With M the Toeplitz matrix of the taps, `write` what a
chunk adds to the states, `read` what states add to the outputs, and the decay a^T of T steps,

    S = U write,   x_{c+1} = a^T x_c + s_c,   Y = U M + X read

The states of a second direction run from the last chunk to the first. Everything is linear, so that
with V the upstream gradient, and G that of S (the same recurrence of V read^T, with conj a^T and
the other way around),

    dU = V M^T + G write^T,   dM = U^T V,   dwrite = U^T G,   dread = X^T V,
    d(a^T) = sum_c g_c conj x_c
"""

import keras
from keras import ops

from keras_dss import tiles
from keras_dss.gradients import with_gradient

GROUP = 8  # chunks of which TensorFlow unrolls the recurrence


def chunk_products(inputs, toeplitz, write, read, decay):
    """Y of the equations above, in the order of the inputs.

    Args:
        inputs: (B, L, H), of a length known when the graph is built.
        toeplitz: (H, T, T), input by output. write: (H, T, 2DN), read: (H, 2DN, T), for D = 1 or 2
            directions, N modes, real and imaginary part one after the other.
        decay: pair (H, D, N).

    Returns:
        (B, L, H).
    """
    length, (features, size, _) = inputs.shape[1], toeplitz.shape
    shape = (features, -1, -(-length // size), *decay[0].shape[1:], 2)  # (H, B, L/T, D, N, 2)

    def forward(inputs, toeplitz, write, read, *decay):
        rows = _rows(inputs, size)  # (H, B L/T, T)
        states = _states(_product(rows, write), decay, shape, reverse=False)  # (H, B L/T, 2DN)
        outputs = _product(states, read, add_to=_product(rows, toeplitz))
        return _sequences(outputs, length), states

    def plain(*tensors):
        return forward(*tensors)[0]

    def with_states(inputs, toeplitz, write, read, *decay):
        outputs, states = forward(inputs, toeplitz, write, read, *decay)

        def gradient(upstream):
            u, v = _rows(inputs, size), _rows(upstream, size)  # (H, B L/T, T)
            conjugate = decay[0], -decay[1]
            g = _states(_product(v, _transposed(read)), conjugate, shape, reverse=True)
            du = _product(g, _transposed(write), add_to=_product(v, _transposed(toeplitz)))
            dm, dwrite = _product(_transposed(u), v), _product(_transposed(u), g)
            dread = _product(_transposed(states), v)
            return [_sequences(du, length), dm, dwrite, dread, *_pairing(g, states, shape)]

        return outputs, gradient

    tensors = [inputs, toeplitz, write, read, *decay]
    return with_gradient(with_states, plain, [ops.convert_to_tensor(x) for x in tensors])


def matmul(a, b):
    """a b of stacks of matrices, in float64 where they are: `keras.ops` goes on in float32."""
    return a @ b if a.dtype == b.dtype else ops.matmul(a, b)


def _product(a, b, add_to=None):
    """a b of stacks of matrices, plus a matrix that may be overwritten."""
    if add_to is None:
        return matmul(a, b)
    if keras.backend.backend() == "torch" and not add_to.requires_grad:
        return add_to.baddbmm_(a, b)
    return add_to + matmul(a, b)


def _transposed(x):
    return ops.swapaxes(x, -1, -2)


def _rows(sequences, size):
    """(B, L, H) -> (H, B L/T, T), zeros at the end."""
    length, features = sequences.shape[1:]
    padding = -length % size
    if keras.backend.backend() == "torch":
        import torch

        batch = sequences.shape[0]
        rows = sequences.new_empty((features, batch, length + padding))
        rows[:, :, length:] = 0.0
        if torch.is_grad_enabled():
            rows = torch.cat([sequences.permute(2, 0, 1), rows[:, :, length:]], dim=2)
        else:
            tiles.to_rows(sequences, rows.transpose(0, 1))
        return rows.view(features, -1, size)
    rows = ops.transpose(sequences, (2, 0, 1))  # (H, B, L)
    if padding:
        rows = ops.pad(rows, [(0, 0), (0, 0), (0, padding)])
    return ops.reshape(rows, (features, -1, size))


def _sequences(rows, length):
    """(H, B L/T, T) -> (B, L, H)."""
    features, _, size = rows.shape
    rows = ops.reshape(rows, (features, -1, -(-length // size) * size))[:, :, :length]
    if keras.backend.backend() == "torch" and not rows.requires_grad:
        sequences = rows.new_empty((rows.shape[1], length, features))
        tiles.to_sequences(rows.transpose(0, 1), sequences)
        return sequences
    return ops.transpose(rows, (1, 2, 0))


def _states(driven, decay, shape, reverse):
    """The states before each chunk, x_{c+1} = a x_c + s_c from x = 0, each direction its own way.

    Args:
        driven: s, (H, B C, 2DN). decay: a, pair (H, D, N). shape: (H, -1, C, D, N, 2).
        reverse: whether the first direction runs backwards; the second one runs against it.

    Returns:
        (H, B C, 2DN).
    """
    driven_shape = tuple(driven.shape)
    driven = _complex(ops.reshape(driven, shape))  # (H, B, C, D, N)
    decay = _complex(ops.stack(decay, axis=-1))[:, None]  # (H, 1, D, N)
    scan = SCANS[keras.backend.backend()]
    if shape[3] == 1:
        states = scan(driven, decay, reverse)
    else:
        both = (
            scan(driven[..., d : d + 1, :], decay[..., d : d + 1, :], reverse != bool(d))
            for d in range(2)
        )
        states = _concatenate(list(both), axis=3)
    return ops.reshape(_real(states), (driven_shape[0], -1, driven_shape[2]))


def _pairing(gradient, states, shape):
    """sum_c g_c conj x_c over chunks and sequences, pair (H, D, N)."""
    g, x = (ops.reshape(part, shape) for part in (gradient, states))  # (H, B, C, D, N, 2)
    re = ops.sum(g * x, axis=(1, 2, 5))
    im = ops.sum(g[..., 1] * x[..., 0] - g[..., 0] * x[..., 1], axis=(1, 2))
    return re, im


def _complex(x):
    """(..., 2) real -> (...) complex."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.view_as_complex(x)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.complex(x[..., 0], x[..., 1])
    import jax

    return jax.lax.complex(x[..., 0], x[..., 1])


def _real(x):
    """(...) complex -> (..., 2) real."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.view_as_real(x)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.stack([tf.math.real(x), tf.math.imag(x)], axis=-1)
    import jax.numpy as jnp

    return jnp.stack([x.real, x.imag], axis=-1)


def _concatenate(parts, axis):
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.cat(parts, dim=axis)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.concat(parts, axis=axis)
    import jax.numpy as jnp

    return jnp.concatenate(parts, axis=axis)


def _torch_scan(driven, decay, reverse):
    import torch

    order = range(driven.shape[2])
    order = list(reversed(order)) if reverse else list(order)
    if torch.is_grad_enabled() and (driven.requires_grad or decay.requires_grad):
        states, found = torch.zeros_like(driven[:, :, 0]), {}
        for c in order:
            found[c] = states
            states = driven[:, :, c] + decay * states
        return torch.stack([found[c] for c in range(len(order))], dim=2)
    states = torch.empty_like(driven)
    states[:, :, order[0]] = 0.0
    for before, c in zip(order, order[1:], strict=False):
        torch.addcmul(driven[:, :, before], decay, states[:, :, before], out=states[:, :, c])
    return states


def _jax_scan(driven, decay, reverse):
    import jax
    import jax.numpy as jnp

    def step(states, driven):
        return driven + decay * states, states

    driven = jnp.moveaxis(driven, 2, 0)  # (C, H, B, D, N)
    states = jax.lax.scan(step, jnp.zeros_like(driven[0]), driven, reverse=reverse)[1]
    return jnp.moveaxis(states, 0, 2)


def _tensorflow_scan(driven, decay, reverse):
    import tensorflow as tf

    if reverse:
        flipped = _tensorflow_scan(tf.reverse(driven, [2]), decay, reverse=False)
        return tf.reverse(flipped, [2])
    chunks = driven.shape[2]
    if chunks <= GROUP:
        return tf.stack(_unrolled(tf.unstack(driven, axis=2), decay)[:-1], axis=2)
    groups = -(-chunks // GROUP)
    padding = [[0, 0], [0, 0], [0, groups * GROUP - chunks], [0, 0], [0, 0]]
    shape = tf.concat([tf.shape(driven)[:2], [groups, GROUP], tf.shape(driven)[3:]], axis=0)
    driven = tf.reshape(tf.pad(driven, padding), shape)  # (H, B, C/8, 8, D, N)
    powers = [tf.ones_like(decay)]  # a^j of (H, 1, D, N)
    for _ in range(GROUP):
        powers.append(powers[-1] * decay)
    *states, total = _unrolled(tf.unstack(driven, num=GROUP, axis=3), decay[:, :, None])
    total = tf.ensure_shape(total, [*total.shape[:2], groups, *total.shape[3:]])
    carried = _tensorflow_scan(total, powers[GROUP], reverse=False)  # (H, B, C/8, D, N)
    states = [
        state + power[:, :, None] * carried for state, power in zip(states, powers, strict=False)
    ]
    states = tf.stack(states, axis=3)  # (H, B, C/8, 8, D, N)
    shape = tf.concat([shape[:2], [groups * GROUP], shape[4:]], axis=0)
    return tf.reshape(states, shape)[:, :, :chunks]


def _unrolled(driven, decay):
    """The states before each of some chunks, and after the last."""
    states = [0.0 * driven[0]]
    for part in driven:
        states.append(part + decay * states[-1])
    return states


SCANS = {"tensorflow": _tensorflow_scan, "jax": _jax_scan, "torch": _torch_scan}
