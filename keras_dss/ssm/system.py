"""Discrete-time diagonal state space systems with a real output."""

import numbers

import numpy as np


class UnstableSystemError(ValueError):
    """A quantity was asked for that exists for stable systems alone (every |a| < 1)."""


class DiagonalSystem:
    r"""A batch of diagonal single-input single-output systems with a real output.

    Each feature has `N` complex modes,

        s_k = a s_{k-1} + u_k,     y_k = Re(sum_n c_n s_{n,k}) + D u_k,

    so the impulse response is `K_l = Re sum_n c_n a_n^l`, plus `D` at lag 0: the newest input
    counts at lag 0. The modes stand for the conjugate-closed set of poles `{a, conj(a)}` with
    residues `{c/2, conj(c)/2}`, a real system of order `2N`. Instances are immutable.

    Args:
        poles: `a`, complex, shape `(..., N)`; any leading dimensions are a batch of systems.
        residues: `c`, complex, broadcastable to the shape of `poles` (or the other way round).
        feedthrough: `D`, real, broadcastable to the leading dimensions.

    Raises:
        ValueError: where a shape does not fit, or an entry is not finite.

    >>> system = DiagonalSystem(poles=[0.5 + 0.5j, 0.9], residues=[1.0, 2.0], feedthrough=0.25)
    >>> system.impulse_response(4)
    array([3.25 , 2.3  , 1.62 , 1.208])
    >>> system.num_modes, system.shape, system.is_stable
    (2, (), True)
    """

    __slots__ = ("feedthrough", "poles", "residues")
    __array_ufunc__ = None

    def __init__(self, poles, residues, feedthrough=0.0):
        poles, residues = as_complex("poles", poles), as_complex("residues", residues)
        if poles.ndim == 0 or residues.ndim == 0 or poles.shape[-1] != residues.shape[-1]:
            raise ValueError(
                "`poles` and `residues` must have shape (..., N) with the same number of modes N. "
                f"Received: poles of shape {poles.shape}, residues of shape {residues.shape}"
            )
        try:
            shape = np.broadcast_shapes(poles.shape, residues.shape)
        except ValueError:
            raise ValueError(
                "The leading dimensions of `poles` and `residues` must broadcast. "
                f"Received: poles of shape {poles.shape}, residues of shape {residues.shape}"
            ) from None
        if shape[-1] == 0:
            raise ValueError(f"A system needs at least one mode. Received: shape {shape}")
        feedthrough = np.asarray(feedthrough)
        if feedthrough.dtype.kind not in "fiub":
            raise ValueError(f"`feedthrough` must be real. Received: dtype {feedthrough.dtype}")
        feedthrough = feedthrough.astype(np.float64)
        if not np.all(np.isfinite(feedthrough)):
            raise ValueError("`feedthrough` must be finite. Received: NaN or infinity")
        try:
            feedthrough = np.broadcast_to(feedthrough, shape[:-1])
        except ValueError:
            raise ValueError(
                f"`feedthrough` must broadcast to the leading dimensions {shape[:-1]}. "
                f"Received: shape {feedthrough.shape}"
            ) from None
        for name, value in (
            ("poles", np.broadcast_to(poles, shape)),
            ("residues", np.broadcast_to(residues, shape)),
            ("feedthrough", feedthrough),
        ):
            value = np.array(value)
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"A DiagonalSystem is immutable: `{name}` cannot be set")

    __delattr__ = __setattr__

    def __reduce__(self):
        return DiagonalSystem, (self.poles, self.residues, self.feedthrough)

    def __repr__(self):
        return f"DiagonalSystem(shape={self.shape}, num_modes={self.num_modes})"

    @property
    def num_modes(self):
        """`N`, the number of complex modes of each feature."""
        return self.poles.shape[-1]

    @property
    def shape(self):
        """The leading dimensions: one system for each index."""
        return self.poles.shape[:-1]

    @property
    def is_stable(self):
        """Whether every pole of every feature lies inside the unit circle."""
        return bool(np.all(np.abs(self.poles) < 1.0))

    def __len__(self):
        if not self.shape:
            raise TypeError("A single DiagonalSystem has no length")
        return self.shape[0]

    def __getitem__(self, index):
        """The systems at an index of the leading dimensions; the modes stay together."""
        if not isinstance(index, tuple):
            index = (index,)
        if not any(i is Ellipsis for i in index):
            index = (*index, Ellipsis)
        modes = (*index, slice(None))
        feedthrough = self.feedthrough[index]
        return DiagonalSystem(self.poles[modes], self.residues[modes], feedthrough)

    def __neg__(self):
        return DiagonalSystem(self.poles, -self.residues, -self.feedthrough)

    def __add__(self, other):
        """The parallel connection: `N_1 + N_2` modes, impulse responses added."""
        if not isinstance(other, DiagonalSystem):
            return NotImplemented
        try:
            shape = np.broadcast_shapes(self.shape, other.shape)
        except ValueError:
            raise ValueError(
                "Systems can be combined when their leading dimensions broadcast. "
                f"Received: shapes {self.shape} and {other.shape}"
            ) from None
        joined = [
            np.concatenate([np.broadcast_to(x, (*shape, x.shape[-1])) for x in pair], axis=-1)
            for pair in ((self.poles, other.poles), (self.residues, other.residues))
        ]
        return DiagonalSystem(*joined, self.feedthrough + other.feedthrough)

    def __sub__(self, other):
        """The error system: the modes of both, residues of `other` negated."""
        return self + (-other) if isinstance(other, DiagonalSystem) else NotImplemented

    def impulse_response(self, length):
        """The kernel `K_l = Re sum_n c_n a_n^l` for `l < length`, `D` included at lag 0.

        Computed in blocks, `K_{bq+p} = Re sum_n (c a^{bq})_n (a^p)_n`, one real matrix product.

        Args:
            length: number of lags, at least 1.

        Returns:
            float64 array of shape `(..., length)`.
        """
        length = check_positive_integer("length", length)
        block = int(np.ceil(np.sqrt(length)))
        fine = powers(self.poles, np.arange(block))  # (..., N, b)
        coarse = powers(self.poles, block * np.arange(-(-length // block)))  # (..., N, q)
        coarse = np.swapaxes(self.residues[..., None] * coarse, -1, -2)  # (..., q, N)
        kernel = real_matmul(coarse, fine)  # (..., q, b)
        kernel = kernel.reshape(*self.shape, kernel.shape[-2] * block)[..., :length].copy()
        kernel[..., 0] += self.feedthrough
        return kernel

    def frequency_response(self, omega):
        r"""The transfer function of the real system at `exp(i omega)`.

            G(v) = D + 1/2 sum_n [ c_n v/(v - a_n) + conj(c_n) v/(v - conj(a_n)) ]

        Args:
            omega: real angles in radians per step, any shape.

        Returns:
            complex128 array of shape `(..., *omega.shape)`.
        """
        omega = np.asarray(omega, dtype=np.float64)
        if not np.all(np.isfinite(omega)):
            raise ValueError("`omega` must be finite. Received: NaN or infinity")
        v = np.exp(1j * omega.ravel())  # (M,)
        poles, half = self.poles[..., None], 0.5 * self.residues[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            response = (half / (v - poles) + half.conj() / (v - poles.conj())).sum(axis=-2)
        response = v * response + self.feedthrough[..., None]  # (..., M)
        return response.reshape((*self.shape, *omega.shape))

    def h2_norm(self):
        """The H2 norm, `sqrt(sum_l K_l^2)`: see `keras_dss.ssm.h2_norm`."""
        from keras_dss.ssm.norms import h2_norm

        return h2_norm(self)

    def hinf_norm(self, rtol=1e-6):
        """The H-infinity norm, certified to `rtol`: see `keras_dss.ssm.hinf_norm`."""
        from keras_dss.ssm.hinf import hinf_norm

        return hinf_norm(self, rtol=rtol)


def as_complex(name, value):
    value = np.asarray(value)
    if value.dtype.kind not in "cfiub":
        raise ValueError(f"`{name}` must be numeric. Received: dtype {value.dtype}")
    value = value.astype(np.complex128)
    if not np.all(np.isfinite(value)):
        bad = int(np.sum(~np.isfinite(value)))
        raise ValueError(f"`{name}` must be finite. Received: {bad} NaN or infinite entries")
    return value


def check_positive_integer(name, value):
    """`value` as an int of at least 1; a bool is not a number here."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
    return int(value)


def check_rank(rank, num_modes):
    """`rank` as an int with `1 <= rank <= num_modes`."""
    rank = check_positive_integer("rank", rank)
    if rank > num_modes:
        raise ValueError(
            f"`rank` must be at most the number of modes, {num_modes}. Received: rank={rank}"
        )
    return rank


def check_system(system):
    """`system`, when it is a `DiagonalSystem`."""
    if not isinstance(system, DiagonalSystem):
        raise TypeError(f"Expected a DiagonalSystem. Received: {type(system).__name__}")
    return system


def check_stable(system, what):
    """Refuse an unstable system, naming its features and the largest |a|."""
    largest = np.abs(system.poles).max(axis=-1)
    if np.all(largest < 1.0):
        return
    features = np.argwhere(largest >= 1.0)
    names = ", ".join(
        str(tuple(map(int, f))) if f.size > 1 else str(int(f[0])) if f.size else "0"
        for f in features[:8]
    )
    more = f" and {len(features) - 8} more" if len(features) > 8 else ""
    raise UnstableSystemError(
        f"{what} needs every pole inside the unit circle. Received: |a| up to "
        f"{largest.max():.12g}, unstable features: {names}{more}"
    )


def powers(base, exponents):
    """`base ** exponents`, shape `(..., N, M)`, with `0 ** 0 = 1`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return base[..., None] ** np.asarray(exponents)


def real_matmul(left, right):
    """`Re(left @ right)` of complex matrices, as one real product of twice the inner length."""
    left, right = np.ascontiguousarray(left.conj()), np.ascontiguousarray(right.mT)
    return left.view(np.float64) @ right.view(np.float64).mT


def real_times(real, matrix):
    """`real @ matrix` of a complex matrix, as one real product."""
    return (real @ np.ascontiguousarray(matrix).view(np.float64)).view(np.complex128)
