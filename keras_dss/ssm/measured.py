r"""The controllability Gramian measured on real inputs.

For states `s_k = a s_{k-1} + u_k` from rest, summed over all k >= 0 including the ring-out after
the last input,

    sum_k s_{i,k} conj(s_{j,k}) = [R(a_i) + conj(R(a_j)) - r(0)] / (1 - a_i conj(a_j)),
    R(a) = sum_{l>=0} r(l) a^l,     r(l) = sum_k u_k u_{k-l}.

The ring-out after a sequence that ends in state s is `a_i s_i conj(a_j s_j)/(1 - a_i conj(a_j))`,
and is taken off again. So a batch costs one autocorrelation (FFT) and one final state for each
sequence, and nothing of size N^2 is done for each step. The sums without a conjugate, `s s^T`,
follow with `a_j` in place of `conj(a_j)`.
"""

import numpy as np
from scipy import fft

from keras_dss.ssm.basis import one_minus_product
from keras_dss.ssm.gramians import closed_poles
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.polynomial import polynomial
from keras_dss.ssm.system import as_complex

FEATURES = 16  # features at a time
MARGINAL = 1e-9  # poles closer to the circle are summed step by step


def measured_gramian(poles, inputs, lengths=None):
    r"""The controllability Gramian that given input sequences drive.

        P = mean_k x_k x_k^H,     x_k = [s_k, conj(s_k)],     s_k = a s_{k-1} + u_k,

    the mean over all valid steps of all sequences, each from rest. For white inputs of unit
    variance it tends to `controllability_gramian`.

    Args:
        poles: `a`, complex, `(H, N)`; any modulus.
        inputs: `u`, real, `(B, L, H)`, padded on the right.
        lengths: valid steps of each sequence, int `(B,)`, or None when all are valid.

    Returns:
        complex128 Hermitian array `(H, 2N, 2N)`.

    Raises:
        ValueError: where shapes do not fit, an input is not finite or no step is valid.

    >>> import numpy as np
    >>> impulse = np.zeros((1, 50, 1))
    >>> impulse[0, 0] = np.sqrt(50)
    >>> measured_gramian([[0.5]], impulse).real.round(4)
    array([[[1.3333, 1.3333],
            [1.3333, 1.3333]]])
    """
    accumulator = GramianAccumulator(poles)
    accumulator.update(inputs, lengths)
    return accumulator.result()


class GramianAccumulator:
    """`measured_gramian` over batches that arrive one after the other.

    Args:
        poles: complex, `(H, N)`.

    >>> import numpy as np
    >>> u = np.random.default_rng(0).standard_normal((4, 30, 2))
    >>> poles = np.array([[0.5 + 0.5j, 0.9], [0.1j, 0.3]])
    >>> accumulator = GramianAccumulator(poles)
    >>> for batch in (u[:2], u[2:]):
    ...     accumulator.update(batch)
    >>> np.allclose(accumulator.result(), measured_gramian(poles, u))
    True
    """

    def __init__(self, poles):
        poles = as_complex("poles", poles)
        if poles.ndim != 2 or 0 in poles.shape:
            raise ValueError(f"`poles` must have shape (H, N). Received: shape {poles.shape}")
        self.poles = poles
        self.steps = 0
        features, modes = poles.shape
        direct = np.abs(poles).max(axis=-1) >= 1.0 - MARGINAL
        self._closed, self._direct = np.flatnonzero(~direct), np.flatnonzero(direct)
        self._correlation = np.zeros((features, 1))  # r(l), as long as the longest sequence
        # Sums of s s^H and s s^T: of the states after the end, or of all states where direct.
        self._hermitian = np.zeros((features, modes, modes), complex)
        self._symmetric = np.zeros((features, modes, modes), complex)

    def update(self, inputs, lengths=None):
        """Add a batch of sequences, `inputs (B, L, H)` real, `lengths (B,)` or None."""
        inputs, lengths = check_inputs(inputs, lengths, len(self.poles))
        length = inputs.shape[1]
        if length > self._correlation.shape[1]:
            grow = length - self._correlation.shape[1]
            self._correlation = np.pad(self._correlation, ((0, 0), (0, grow)))
        direct = [(h, _masked(inputs, lengths, [h])) for h in self._direct]

        def work(chunk):
            part = self._closed[chunk]
            u = _masked(inputs, lengths, part)  # (H', B, L)
            ends = self.poles[part, None, :] * _end_states(self.poles[part], u, lengths)
            return part, autocorrelation(u), _outer_products(ends)  # ends (H', B, N)

        # All of a batch is computed before any of it counts: a refused batch leaves no trace.
        closed = map_chunks(work, len(self._closed), FEATURES)
        for part, correlation, products in closed:
            self._correlation[part, :length] += correlation
            self._add(part, products)
        for h, u in direct:
            for states in _running_states(self.poles[h], u[0], lengths):
                self._add([h], _outer_products(states[None]))
            self._correlation[h, :length] += autocorrelation(u)[0]
        self.steps += int(lengths.sum())

    def _add(self, part, products):
        self._hermitian[part] += products[0]
        self._symmetric[part] += products[1]

    def result(self):
        """The measured Gramian so far, `(H, 2N, 2N)`; further batches may follow."""
        if self.steps == 0:
            raise ValueError("A measured Gramian needs at least one valid step. Received: none")
        features, n = self.poles.shape
        closed = np.zeros(features, bool)
        closed[self._closed] = True
        gramian = np.empty((features, 2 * n, 2 * n), complex)

        def work(part):
            hermitian, symmetric = self._hermitian[part].copy(), self._symmetric[part].copy()
            chosen = closed[part]
            poles, r = self.poles[part][chosen], self._correlation[part][chosen]
            plus = polynomial(poles, r[:, None, :])[:, 0, :] - 0.5 * r[:, :1]  # R(a) - r(0)/2
            gap = one_minus_product(closed_poles(poles))[:, :n, :]
            column, row = plus[:, :, None], plus[:, None, :]
            hermitian[chosen] = (column + row.conj() - hermitian[chosen]) / gap[:, :, :n]
            symmetric[chosen] = (column + row - symmetric[chosen]) / gap[:, :, n:]
            x = 0.5 * (hermitian + hermitian.mT.conj()) / self.steps
            y = 0.5 * (symmetric + symmetric.mT) / self.steps
            found = gramian[part]
            found[:, :n, :n], found[:, :n, n:] = x, y
            np.conj(x, out=found[:, n:, n:])
            np.conj(y, out=found[:, n:, :n])

        map_chunks(work, features, FEATURES)
        return gramian


def check_inputs(inputs, lengths, features):
    inputs = np.asarray(inputs)
    if inputs.dtype.kind not in "fiub":
        raise ValueError(f"`inputs` must be real. Received: dtype {inputs.dtype}")
    if inputs.ndim != 3 or inputs.shape[-1] != features or 0 in inputs.shape:
        raise ValueError(
            f"`inputs` must have shape (B, L, H) with H = {features}. "
            f"Received: shape {inputs.shape}"
        )
    if lengths is None:
        lengths = np.full(len(inputs), inputs.shape[1])
    lengths = np.asarray(lengths)
    if lengths.shape != inputs.shape[:1] or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"`lengths` must be integers of shape ({len(inputs)},). "
            f"Received: dtype {lengths.dtype}, shape {lengths.shape}"
        )
    if np.any(lengths < 0) or np.any(lengths > inputs.shape[1]):
        raise ValueError(
            f"`lengths` must lie between 0 and {inputs.shape[1]}. "
            f"Received: {lengths.min()} to {lengths.max()}"
        )
    return inputs, lengths.astype(np.int64)


def _masked(inputs, lengths, part):
    """The inputs of some features in float64, zero after the end: `(H', B, L)`."""
    valid = np.arange(inputs.shape[1]) < lengths[:, None]  # (B, L)
    u = np.moveaxis(inputs[:, :, part], -1, 0)
    u = np.where(valid, u, 0.0).astype(np.float64)
    if not np.all(np.isfinite(u)):
        raise ValueError("`inputs` must be finite where they are valid. Received: NaN or infinity")
    return u


def autocorrelation(u):
    """`sum_k u_k u_{k-l}` over all sequences of `(..., B, L)`: `(..., L)`."""
    n = fft.next_fast_len(2 * u.shape[-1], real=True)
    spectrum = fft.rfft(u, n=n, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=-2)
    return fft.irfft(power, n=n, axis=-1)[..., : u.shape[-1]]


def _outer_products(states):
    """`sum_m s s^H` and `sum_m s s^T` of states (H, M, N)."""
    return states.mT @ states.conj(), states.mT @ states


def _end_states(poles, u, lengths):
    """`sum_{k<length} a^{length-1-k} u_k`, the states at the end of each sequence, `(H, B, N)`."""
    if np.all(lengths == u.shape[-1]):
        return polynomial(poles, u[..., ::-1])
    lag = lengths[:, None] - 1 - np.arange(u.shape[-1])  # (B, L)
    reverse = np.take_along_axis(u, np.maximum(lag, 0)[None], axis=-1)
    return polynomial(poles, np.where(lag >= 0, reverse, 0.0))


def _running_states(poles, u, lengths, chunk=256):
    """Yield the valid states of one feature, `(M, N)`, some steps at a time."""
    state = np.zeros((len(u), len(poles)), complex)
    for start in range(0, int(lengths.max(initial=0)), chunk):
        steps = range(start, min(start + chunk, int(lengths.max())))
        states = np.empty((len(steps), *state.shape), complex)
        with np.errstate(over="ignore", invalid="ignore"):
            for i, k in enumerate(steps):
                state = poles * state + u[:, k : k + 1]
                states[i] = state
        valid = np.arange(steps.start, steps.stop)[:, None] < lengths  # (T, B)
        states = states[valid]
        if not np.all(np.isfinite(states)):
            raise OverflowError(
                "The states grow beyond the range of float64. "
                f"Received: |a| up to {np.abs(poles).max():.6g}, lengths up to {lengths.max()}"
            )
        yield states
