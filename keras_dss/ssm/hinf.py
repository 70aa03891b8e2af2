"""The H-infinity norm, bracketed by branch and bound over frequency.

On an arc of the unit circle around v0, with `v = v0 (1 + i t)/(1 - i t)`, every mode is a
first-order rational function of the real variable t,

    c v/(v - a) = const + beta/(t - tau),    tau = i (v0 - a)/(v0 + a),
                                             beta = -2i a c v0/(v0 + a)^2.

The polynomial q that interpolates G at p Chebyshev points of the arc `|t| <= T` has a known error:
that of `1/(t - tau)` is at most `1/(|T_p(tau/T)| dist(tau, arc))`. And a polynomial of degree d
< M sampled at M Chebyshev points of an interval exceeds its largest sample by no more than the
factor `1/cos(pi d/(2M))` (Ehlich & Zeller 1964), which is used on `|q|^2` less the middle of its
range. An arc whose upper bound does not exceed the largest |G| seen is done; others are halved.
"""

import numbers

import numpy as np

from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.system import check_stable, check_system

NODES = 14
SAMPLES = 4 * (2 * NODES - 2)
SYSTEMS = 128  # systems handled by one thread
WORK = 1 << 17  # (arc, pole) pairs handled at once


def hinf_norm(system, rtol=1e-6):
    r"""The H-infinity norm `max |G(exp(i omega))|`, certified to a relative tolerance.

    The value returned is attained at some frequency; the norm lies between it and `1 + rtol`
    times it (`hinf_bounds` returns both bounds), up to the rounding of G itself, which is
    `1e-15 sum_n |c_n|/|v - a_n|`. Cost grows with the logarithm of the distance of the poles
    to the circle.

    Args:
        system: a stable `DiagonalSystem`.
        rtol: relative tolerance, `1e-12 <= rtol < 1`.

    Returns:
        float64 array `(...,)`.

    Raises:
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> round(float(DiagonalSystem(poles=[0.5], residues=[1.0]).hinf_norm()), 6)
    2.0
    """
    return hinf_bounds(system, rtol=rtol)[0]


def hinf_bounds(system, rtol=1e-6):
    """`(lower, upper)` of the H-infinity norm, each `(...,)`; see `hinf_norm`."""
    check_stable(check_system(system), "The H-infinity norm")
    number = isinstance(rtol, numbers.Real) and not isinstance(rtol, bool)
    if not number or not 1e-12 <= rtol < 1.0:
        raise ValueError(f"`rtol` must lie in [1e-12, 1). Received: rtol={rtol!r}")
    n = system.num_modes
    poles, residues = system.poles.reshape(-1, n), system.residues.reshape(-1, n)
    poles = np.concatenate([poles, poles.conj()], axis=-1)
    residues = 0.5 * np.concatenate([residues, residues.conj()], axis=-1)
    feedthrough = system.feedthrough.reshape(-1)

    largest = np.maximum(np.abs(residues).max(axis=-1, initial=0.0), np.abs(feedthrough))
    scale = np.maximum(largest, np.finfo(float).tiny)  # squares stay within float64
    residues, feedthrough = residues / scale[:, None], feedthrough / scale

    def work(part):
        return _branch_and_bound(poles[part], residues[part], feedthrough[part], rtol)

    found = map_chunks(work, len(poles), SYSTEMS)
    lower, upper = (scale * np.concatenate(x) for x in zip(*found, strict=True))
    return lower.reshape(system.shape), upper.reshape(system.shape)


def _branch_and_bound(poles, residues, feedthrough, rtol):
    count, n = poles.shape
    # Angles of the poles are where peaks are: a first lower bound.
    angles = np.concatenate(
        [np.broadcast_to([0.0, np.pi], (count, 2)), np.abs(np.angle(poles[:, : n // 2]))], axis=-1
    )
    lower = np.zeros(count)
    step = max(1, WORK // (n * angles.shape[-1]))
    for start in range(0, count, step):
        part = slice(start, start + step)
        v = np.exp(1j * angles[part])[:, :, None]
        terms = residues[part, None, :] * v / (v - poles[part, None, :])
        lower[part] = np.abs(terms.sum(axis=-1) + feedthrough[part, None]).max(axis=-1)
    upper = lower * (1.0 + rtol)

    arcs = 16
    edges = np.linspace(0.0, np.pi, arcs + 1)
    owner = np.repeat(np.arange(count), arcs)
    middle = np.tile(0.5 * (edges[1:] + edges[:-1]), count)
    half = np.full(owner.size, 0.5 * np.pi / arcs)
    size = max(1, WORK // n)
    while owner.size:
        here, rest = slice(0, size), slice(size, None)
        results = _bound(
            owner[here], middle[here], half[here], poles, residues, feedthrough, lower, rtol
        )
        largest, above, noise = results
        own = owner[here]
        np.maximum.at(lower, own, largest)
        limit = lower[own] * (1.0 + rtol)
        # An arc narrower than the rounding of its angle, or where rounding of G decides, is done.
        hopeless = (half[here] < 1e-15) | (above <= limit + noise)
        open_ = (above > limit) & ~hopeless
        np.maximum.at(upper, own[~open_], np.minimum(above, np.inf)[~open_])
        own, mid, quarter = own[open_], middle[here][open_], 0.5 * half[here][open_]
        owner = np.concatenate([owner[rest], own, own])
        middle = np.concatenate([middle[rest], mid - quarter, mid + quarter])
        half = np.concatenate([half[rest], quarter, quarter])
    return lower, np.maximum(upper, lower)


def _chebyshev():
    """Nodes, and the matrix from values at the nodes to values at the samples."""
    nodes = np.cos((2 * np.arange(NODES) + 1) * np.pi / (2 * NODES))
    samples = np.cos((2 * np.arange(SAMPLES) + 1) * np.pi / (2 * SAMPLES))
    degrees = np.arange(NODES)
    to_coefficients = np.cos(np.outer(degrees, np.arccos(nodes))) * (2.0 / NODES)
    to_coefficients[0] *= 0.5
    return nodes, np.cos(np.outer(np.arccos(samples), degrees)) @ to_coefficients


_NODES, _TO_SAMPLES = _chebyshev()
_EXCESS = 0.5 / np.cos(np.pi * (2 * NODES - 2) / (2 * SAMPLES))


def _bound(owner, middle, half, poles, residues, feedthrough, lower, rtol):
    """Largest |G| seen and an upper bound of |G| on each arc, inf where the arc is too long."""
    a, c = poles[owner], residues[owner]  # (K, n)
    v0 = np.exp(1j * middle)[:, None]
    tangent = np.tan(0.5 * half)
    total = v0 + a
    tau = 1j * (v0 - a) / total / tangent[:, None]  # in units of the arc
    beta = np.abs(a * c) * 2.0 / np.abs(total) ** 2 / tangent[:, None]
    x, y = np.abs(tau.real), np.abs(tau.imag)
    ellipse = 0.5 * (np.hypot(x - 1.0, y) + np.hypot(x + 1.0, y))
    rho = ellipse + np.sqrt(np.maximum(ellipse**2 - 1.0, 0.0))
    chebyshev = 0.5 * (rho**NODES - rho**-NODES)
    distance = np.hypot(np.maximum(x - 1.0, 0.0), y)
    with np.errstate(divide="ignore", over="ignore"):
        remainder = (beta / (chebyshev * distance)).sum(axis=-1)
        noise = 4e-16 * (np.abs(c) / (distance * tangent[:, None])).sum(axis=-1)
    ready = remainder <= np.maximum(0.1 * lower[owner], noise)
    largest, above = np.zeros(owner.size), np.full(owner.size, np.inf)
    if ready.any():
        a, c, v0 = a[ready], c[ready], v0[ready]
        t = 1j * tangent[ready, None] * _NODES
        v = v0 * (1.0 + t) / (1.0 - t)  # (K, p)
        response = np.zeros(v.shape, complex)
        for j in range(NODES):
            point = v[:, j : j + 1]
            response[:, j] = (c / (point - a)).sum(axis=-1)
        response = v * response + feedthrough[owner[ready], None]
        largest[ready] = np.abs(response).max(axis=-1)
        fine = response @ _TO_SAMPLES.T
        square = fine.real**2 + fine.imag**2
        top, bottom = square.max(axis=-1), square.min(axis=-1)
        square = 0.5 * (top + bottom) + _EXCESS * (top - bottom)
        above[ready] = np.sqrt(square) + remainder[ready]
    return largest, above, noise
