"""Kernels, convolutions and recurrences of diagonal state space models, in `keras.ops` alone.

Every complex number is a pair `(re, im)` of real tensors, and every function runs in the precision
of its arguments (float32 or float64), on TensorFlow, JAX and torch alike.

One feature is a system with N modes, poles `a = exp(x)` and residues `c`:

    s_k = a s_{k-1} + u_k,   y_k = Re sum_n c_n s_{n,k},   K_l = Re sum_n c_n a_n^l

Log poles x are `(re, im)`, or `(re, im, count, rest)` where the angle of one step is known beyond
float32, in 2^-32 turns: see `keras_dss.phases`.
"""

import math

import keras
import scipy.fft
from keras import ops

from keras_dss import phases
from keras_dss.chunks import chunk_products, matmul
from keras_dss.devices import on_cpu
from keras_dss.fft import circular_convolution
from keras_dss.gradients import with_gradient

RECIPROCAL_GUARD = 1e-18
SMALLEST_EXPONENT = -60.0
FINE = 8  # powers of which the next ones are products


def complex_multiply(a, b):
    """(a_re + i a_im)(b_re + i b_im) of two pairs."""
    if keras.backend.backend() == "torch":
        import torch

        re = torch.addcmul(a[0] * b[0], a[1], b[1], value=-1.0)
        return re, torch.addcmul(a[0] * b[1], a[1], b[0])
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def complex_divide(a, b):
    """a / b = a conj(b) / |b|^2 of two pairs, finite at b = 0."""
    scale = 1.0 / (b[0] * b[0] + b[1] * b[1] + RECIPROCAL_GUARD)
    re, im = complex_multiply(a, (b[0], -b[1]))
    return re * scale, im * scale


def complex_expm1(x):
    """exp(x) - 1 of a pair, without cancellation near x = 0."""
    half = _cos_sin(0.5 * x[1])[1]
    cos, sin = _cos_sin(x[1])
    return ops.expm1(x[0]) * cos - 2.0 * half * half, ops.exp(x[0]) * sin


def _cos_sin(angle):
    """Both in float64 where the angle is: those of `keras.ops` are float32 on JAX."""
    if keras.backend.backend() == "jax":
        import jax.numpy as jnp

        return jnp.cos(angle), jnp.sin(angle)
    return ops.cos(angle), ops.sin(angle)


def _with_turns(x):
    """Log poles with the turns of one step, which float64 does without."""
    if len(x) > 2 or keras.backend.standardize_dtype(x[1].dtype) == "float64":
        return x
    return (*x, *phases.turns_of(x[1]))


def _phase(x, steps):
    """Im(x) * steps modulo one turn: int32 products wrap around as angles do."""
    x = _with_turns(x)
    if len(x) > 2:
        return phases.multiples(*x[1:], steps)
    turns = x[1] * ops.cast(steps, x[1].dtype) / (2.0 * math.pi)
    return 2.0 * math.pi * (turns - ops.round(turns))


def powers(x, steps):
    """exp(x * steps) as a pair, for log poles x (..., 1) and int32 steps broadcast against them.

    Zero below exp(-60), before products of them are subnormal, which processors take long for.
    """
    exponent = x[0] * ops.cast(steps, x[0].dtype)
    magnitude = ops.where(exponent > SMALLEST_EXPONENT, ops.exp(exponent), 0.0)
    cos, sin = _cos_sin(_phase(x, steps))
    return magnitude * cos, magnitude * sin


def geometric_powers(x, step, count, factors=powers):
    """exp(x * step * k) for 0 <= k < count as a pair (..., count, N), for log poles x (..., 1, N).

    With k = 8 i + j only exp(8 i step x) and exp(j step x) need exponentials and angles; the rest
    are products.

    Args:
        x: log poles. step: int. count: an int or an integer scalar tensor.
        factors: `powers`, or another way to compute them.
    """
    coarse = ops.arange((count + FINE - 1) // FINE, dtype="int32")[:, None]  # (count / 8, 1)
    fine = ops.arange(FINE, dtype="int32")[:, None]  # (8, 1)
    coarse = tuple(part[..., :, None, :] for part in factors(x, FINE * step * coarse))
    fine = tuple(part[..., None, :, :] for part in factors(x, step * fine))
    product = complex_multiply(coarse, fine)  # (..., count / 8, 8, N)
    rows = ops.shape(product[0])[-3] * FINE
    shape = tuple(product[0].shape[:-3]) + (rows, product[0].shape[-1])
    product = tuple(ops.reshape(part, shape) for part in product)
    if isinstance(count, int) and count % FINE == 0:
        return product
    return tuple(part[..., :count, :] for part in product)


def _stored_powers(x, steps):
    """`powers` of steps (count, 1) by a loop on JAX, into which XLA does not look.

    On a processor it would compute exponentials and angles anew for each of their products. Not for
    what is differentiated through: the gradient of a loop costs more than it saves.
    """
    if keras.backend.backend() != "jax" or not on_cpu(x[0]):
        return powers(x, steps)
    import jax
    import jax.numpy as jnp

    found = jax.lax.map(lambda step: powers(x, step), steps)  # (count, ..., 1, N)
    return tuple(jnp.moveaxis(part[..., 0, :], 0, -2) for part in found)


def _block_length(length):
    """A power of two near 2 sqrt(length): the rows of a kernel cost more work than its columns."""
    if not isinstance(length, int):
        return 64
    return max(8, 2 ** round(math.log2(2.0 * math.sqrt(max(1, length)))))


def kernel(log_poles, residues, length):
    """Impulse response K_l = Re sum_n c_n exp(l x_n), 0 <= l < length.

    With the block length b ~ sqrt(length) and l = b q + p this is one batched real product,

        K_{bq+p} = [Re(c a^{bq}), -Im(c a^{bq})] [Re(a^p), Im(a^p)]^T

    so that memory grows with N sqrt(length), never with N length. So is the gradient: with the
    upstream gradient g, S_q = sum_p g_{bq+p} a^p and T_q = sum_p g_{bq+p} p a^p,

        dc = conj sum_q a^{bq} S_q,   dx = conj(c sum_q a^{bq} (T_q + b q S_q))

    Args:
        log_poles: tensors (..., N), x = dt * lambda with Re x <= 0.
        residues: pair of tensors (..., N).
        length: number of taps, an int or an integer scalar tensor.

    Returns:
        Real tensor (..., length).
    """
    tensors = [ops.convert_to_tensor(part) for part in (*residues, *_with_turns(log_poles))]
    block = _block_length(length)
    num_blocks = (length + block - 1) // block

    def tables(x):
        x = tuple(part[..., None, :] for part in x)  # (..., 1, N)
        outer = geometric_powers(x, block, num_blocks, _stored_powers)
        return outer, geometric_powers(x, 1, block, _stored_powers)

    def product(c, outer, inner):
        c = tuple(part[..., None, :] for part in c)  # (..., 1, N)
        re, im = complex_multiply(c, outer)  # (..., L/b, N)
        inner = [ops.swapaxes(part, -1, -2) for part in inner]  # (..., N, b)
        taps = matmul(re, inner[0]) - matmul(im, inner[1])  # (..., L/b, b)
        taps = ops.reshape(taps, tuple(taps.shape[:-2]) + (num_blocks * block,))  # (..., L/b * b)
        return taps[..., :length]

    def plain(re, im, *x):
        return product((re, im), *tables(x))

    def with_tables(re, im, *x):
        outer, inner = tables(x)

        def gradient(upstream):
            c = (re, im)
            g = _blocks(upstream, block, num_blocks, length)  # (..., L/b, b)
            p = ops.cast(ops.arange(block, dtype="int32"), re.dtype)  # (b,)
            q = block * ops.cast(ops.arange(num_blocks, dtype="int32"), re.dtype)[:, None]
            s = tuple(matmul(g, part) for part in inner)  # (..., L/b, N)
            t = tuple(matmul(g * p, part) for part in inner)
            t = tuple(a + q * b for a, b in zip(t, s, strict=True))
            dc = tuple(ops.sum(part, axis=-2) for part in complex_multiply(outer, s))  # (..., N)
            dx = tuple(ops.sum(part, axis=-2) for part in complex_multiply(outer, t))
            dx = complex_multiply(c, dx)
            found = (dc[0], -dc[1], dx[0], -dx[1])
            found = [_sum_to(part, like) for part, like in zip(found, (re, im, *x), strict=False)]
            return found + [None] * len(x[2:])

        return product((re, im), outer, inner), gradient

    return with_gradient(with_tables, plain, tensors)


def _blocks(taps, block, num_blocks, length):
    """(..., length) -> (..., num_blocks, block), zeros at the end."""
    if not isinstance(length, int) or length % block:
        taps = ops.pad(taps, [(0, 0)] * (len(taps.shape) - 1) + [(0, block - 1)])
        taps = taps[..., : num_blocks * block]
    return ops.reshape(taps, tuple(taps.shape[:-1]) + (num_blocks, block))


def _sum_to(x, like):
    """The gradient of what was broadcast: x summed over the leading axes that `like` lacks."""
    extra = len(x.shape) - len(like.shape)
    return ops.sum(x, axis=tuple(range(extra))) if extra else x


def exponential_ratio(x):
    """phi(x) = (exp(x) - 1) / x of log poles as a pair.

    Near zero 1 + x/2 (1 + x/3 (1 + x/4)), in float64 with two more terms.
    """
    small = x[0] * x[0] + x[1] * x[1] < 1e-4
    last = 6 if keras.backend.standardize_dtype(x[0].dtype) == "float64" else 4
    series = 1.0 + x[0] / last, x[1] / last
    for k in range(last - 1, 1, -1):
        re, im = complex_multiply(x, series)
        series = 1.0 + re / k, im / k
    safe = ops.where(small, ops.ones_like(x[0]), x[0])
    exact = complex_divide(complex_expm1((safe, _phase(x, 1))), (safe, x[1]))
    return tuple(ops.where(small, s, e) for s, e in zip(series, exact, strict=True))


def zero_order_hold(log_poles, step, weights):
    """Residues of DSS-exp, c = W (exp(x) - 1) / lambda = W step phi(x) with x = step * lambda.

    Args:
        log_poles: tensors (..., N). step: (..., 1). weights: pair (..., N).

    Returns:
        Pair (..., N).
    """
    re, im = complex_multiply(weights, exponential_ratio(log_poles))
    return re * step, im * step


def softmax_modes(log_poles, step, weights, kernel_length):
    """Modes of DSS-softmax turned so that none grows: `y = +-x` with Re y <= 0.

    A decaying mode contributes `c exp(l y)` to tap l, a growing one `c exp((L - 1 - l) y)`, where

        c = W / lambda (exp(y) - 1) / (exp(L y) - 1) = +-W step phi(y) / (exp(L y) - 1)
    """
    growing = ops.cast(log_poles[0] > 0, log_poles[0].dtype)  # (..., N)
    sign = 1.0 - 2.0 * growing
    y = tuple(ops.cast(sign, part.dtype) * part for part in _with_turns(log_poles))  # (..., N)
    total = complex_expm1((kernel_length * y[0], _phase(y, kernel_length)))  # (..., N)
    c = complex_divide(complex_multiply(weights, exponential_ratio(y)), total)
    return y, (c[0] * sign * step, c[1] * sign * step), growing


def softmax_kernel(log_poles, step, weights, kernel_length, length):
    """Impulse response of DSS-softmax, K_l = Re sum_n W_n / lambda_n * exp(l x_n) / S_n.

    S_n is the sum of exp(m x_n) over 0 <= m < kernel_length. Growing modes (Re x > 0) are computed
    backwards from the last tap, so that nothing overflows and the gradient is that of the whole
    expression.

    Args:
        log_poles: tensors (..., N), Re x of any sign. step: (..., 1). weights: pair (..., N).
        kernel_length: the L that the softmax runs over. length: taps wanted, at most L.

    Returns:
        Real tensor (..., length).
    """
    y, c, growing = softmax_modes(log_poles, step, weights, kernel_length)
    forward = kernel(y, (c[0] * (1.0 - growing), c[1] * (1.0 - growing)), length)
    backward = kernel(y, (c[0] * growing, c[1] * growing), kernel_length)
    return forward + ops.flip(backward, axis=-1)[..., :length]


def softmax_residues(log_poles, step, weights, kernel_length):
    """Residues c of DSS-softmax in K_l = Re sum_n c_n exp(l x_n), pair (..., N)."""
    y, c, growing = softmax_modes(log_poles, step, weights, kernel_length)
    last = powers(y, kernel_length - 1)
    turned = complex_multiply(c, last)
    return tuple(growing * t + (1.0 - growing) * d for t, d in zip(turned, c, strict=True))


def fft_length(length):
    """A fast real FFT length of at least 2 * length - 1 (2 * length for a traced length)."""
    if isinstance(length, int):
        size = scipy.fft.next_fast_len(max(2 * length - 1, 2), real=True)
        while size % 2:
            size = scipy.fft.next_fast_len(size + 1, real=True)
        return size
    return 2 * length


def fft_convolution(inputs, taps, backward_taps=None):
    """Causal convolution y_k = sum_l K_l u_{k-l}, plus sum_l K'_l u_{k+1+l} if given, by real FFTs.

    Args:
        inputs: (B, L, H) float32 or float64.
        taps: (H, L) causal taps, lags 0, 1, ...
        backward_taps: (H, L) anti-causal taps, lags -1, -2, ...; optional.

    Returns:
        (B, L, H).
    """
    length = inputs.shape[1] if inputs.shape[1] is not None else ops.shape(inputs)[1]
    size = fft_length(length)
    if backward_taps is not None:
        padding = ops.zeros((taps.shape[0], size - 2 * length + 1), dtype=taps.dtype)
        reversed_taps = ops.flip(backward_taps[..., : length - 1], axis=-1)
        taps = ops.concatenate([taps, padding, reversed_taps], axis=-1)  # (H, size)
    return circular_convolution(inputs, taps, size)


def matmul_convolution(
    inputs, log_poles, residues, backward_residues=None, feedthrough=None, chunk=64
):
    """The convolution with the kernel of a system, by products of matrices: see `keras_dss.chunks`.

    It takes O(L (chunk + N)) time, without a kernel of L taps or a spectrum.

    Args:
        inputs: (B, L, H) float32 or float64; L must be known when the graph is built.
        log_poles: tensors (H, N), or (2, H, N) for each direction, Re x <= 0.
        residues: pair (H, N), of lags 0, 1, ...
        backward_residues: pair (H, N), of lags -1, -2, ...; optional.
        feedthrough: D (H,); optional. chunk: T.

    Returns:
        (B, L, H).

    Raises:
        ValueError: for a length that is not known.
    """
    if inputs.shape[1] is None:
        raise ValueError(
            "matmul_convolution needs a length known when the graph is built. "
            f"Received: inputs of shape {tuple(inputs.shape)}"
        )
    log_poles = _with_turns(log_poles)
    each = len(log_poles[0].shape) == 3
    forward = _chunk_maps(tuple(p[0] for p in log_poles) if each else log_poles, residues, chunk)
    taps, write, read, decay = forward
    if feedthrough is not None:
        taps = ops.concatenate([taps[:, :1] + feedthrough[:, None], taps[:, 1:]], axis=-1)
    if backward_residues is None:
        matrix = _toeplitz(taps)
    else:
        x = tuple(p[1] for p in log_poles) if each else log_poles
        back, *maps = _chunk_maps(x, backward_residues, chunk, backward=True)
        matrix = _toeplitz(taps, back)
        write, read, decay = (
            tuple(ops.concatenate([a, b], axis=-1) for a, b in zip(first, second, strict=True))
            for first, second in zip((write, read, decay), maps, strict=True)
        )
    directions = 1 if backward_residues is None else 2
    modes = write[0].shape[-1]  # D N
    write = ops.reshape(ops.stack(write, axis=-1), (*matrix.shape[:2], 2 * modes))
    read = ops.reshape(ops.stack([read[0], -read[1]], axis=-1), (*matrix.shape[:2], 2 * modes))
    decay = tuple(ops.reshape(p, (-1, directions, modes // directions)) for p in decay)
    return chunk_products(inputs, matrix, write, ops.swapaxes(read, 1, 2), decay)


def _chunk_maps(log_poles, residues, size, backward=False):
    """Taps, and what a chunk of `size` steps writes to the states and reads from them.

    Forward the last step of a chunk writes 1 and the first one reads c a; backward the first step
    writes 1 and the last one reads c.

    Args:
        log_poles: tensors (H, N). residues: pair (H, N).

    Returns:
        `(taps, write, read, decay)`: (H, T), pairs (H, T, N), (H, T, N) and (H, 1, N).
    """
    x = tuple(part[:, None, :] for part in log_poles)  # (H, 1, N)
    c = tuple(part[:, None, :] for part in residues)  # (H, 1, N)
    rising = geometric_powers(x, 1, size)  # (H, T, N)
    terms = complex_multiply(c, rising)  # (H, T, N)
    taps = ops.sum(terms[0], axis=-1)  # (H, T)
    decay = powers(x, size * ops.ones((1, 1), dtype="int32"))  # (H, 1, N)
    if backward:
        return taps, rising, tuple(ops.flip(part, axis=1) for part in terms), decay
    once = powers(x, ops.ones((1, 1), dtype="int32"))
    write = tuple(ops.flip(part, axis=1) for part in rising)
    return taps, write, complex_multiply(once, terms), decay


def _toeplitz(taps, backward_taps=None):
    """K_{p-j} of input j and output p in a chunk, K'_{j-p-1} where j > p: (H, T) -> (H, T, T).

    Rows of 2T numbers read as rows of 2T - 1 are shifted by one number from each to the next.
    """
    features, size = taps.shape
    if backward_taps is None:
        others = ops.zeros_like(taps)
    else:
        last = ops.flip(backward_taps[:, : size - 1], axis=-1)
        others = ops.concatenate([ops.zeros_like(taps[:, :1]), last], axis=-1)
    row = ops.concatenate([taps, others], axis=-1)  # (H, 2T)
    rows = ops.broadcast_to(row[:, None, :], (features, size, 2 * size))
    rows = ops.reshape(rows, (features, 2 * size * size))[:, : size * (2 * size - 1)]
    return ops.reshape(rows, (features, size, 2 * size - 1))[:, :, :size]


def initial_state(batch_size, num_features, num_modes, dtype="float32"):
    """The state at rest, a pair of (B, H, N)."""
    shape = (batch_size, num_features, num_modes)
    return ops.zeros(shape, dtype=dtype), ops.zeros(shape, dtype=dtype)


def recurrence_step(inputs, state, poles, residues):
    """s <- a s + u, y = Re sum_n c_n s_n for one step.

    Args:
        inputs: (B, H). state: pair (B, H, N). poles, residues: pairs (H, N).

    Returns:
        `(outputs, state)`: (B, H) and the new pair (B, H, N).
    """
    re, im = complex_multiply(poles, state)
    state = (re + inputs[..., None], im)  # (B, H, N)
    outputs = ops.sum(residues[0] * state[0] - residues[1] * state[1], axis=-1)  # (B, H)
    return outputs, state


def chunked_convolution(inputs, log_poles, residues, chunk=128, state=None):
    """The convolution in chunks: a Toeplitz product within each, the state carried between them.

    With s the state before a chunk of length b and T the lower triangular Toeplitz matrix of K,

        y_p = sum_{j<=p} K_{p-j} u_j + Re sum_n c_n a_n^{p+1} s_n,
        s'  = a^b s + sum_j a^{b-1-j} u_j

    Memory is that of one chunk's states, so sequences longer than memory run piece by piece.

    Args:
        inputs: (B, L, H); L must be known when the graph is built.
        log_poles: tensors (H, N). residues: pair (H, N). chunk: b.
        state: pair (B, H, N), at rest by default.

    Returns:
        `(outputs, state)`: (B, L, H), and the pair (B, H, N) after the last step.
    """
    length, features = inputs.shape[1], inputs.shape[2]
    if length is None:
        raise ValueError(
            "chunked_convolution needs a length known when the graph is built. "
            f"Received: inputs of shape {tuple(inputs.shape)}"
        )
    batch, modes = ops.shape(inputs)[0], log_poles[0].shape[-1]
    if state is None:
        state = initial_state(batch, features, modes, inputs.dtype)
    u = ops.transpose(inputs, (2, 0, 1))  # (H, B, L)
    s = ops.concatenate([ops.transpose(part, (1, 0, 2)) for part in state], axis=-1)  # (H, B, 2N)
    log_poles = _with_turns(log_poles)
    outputs = []
    tail = length % chunk
    pieces = [chunk] * (length // chunk) + ([tail] if tail else [])
    maps = {size: _step_maps(log_poles, residues, size) for size in set(pieces)}
    start = 0
    for size in pieces:
        toeplitz, read, write, decay = maps[size]
        piece = u[..., start : start + size]  # (H, B, b)
        outputs.append(matmul(piece, toeplitz) + matmul(s, read))  # (H, B, b)
        re, im = complex_multiply(decay, (s[..., :modes], s[..., modes:]))
        s = ops.concatenate([re, im], axis=-1) + matmul(piece, write)  # (H, B, 2N)
        start += size
    outputs = ops.transpose(ops.concatenate(outputs, axis=-1), (1, 2, 0))  # (B, L, H)
    s = ops.transpose(s, (1, 0, 2))  # (B, H, 2N)
    return outputs, (s[..., :modes], s[..., modes:])


def _step_maps(log_poles, residues, size):
    taps, write, read, decay = _chunk_maps(log_poles, residues, size)
    read = ops.concatenate([read[0], -read[1]], axis=-1)  # (H, b, 2N)
    write = ops.concatenate(write, axis=-1)  # (H, b, 2N)
    return _toeplitz(taps), ops.swapaxes(read, -1, -2), write, decay
