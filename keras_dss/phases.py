"""Phases of powers in float32 and int32 alone, exact beyond both.

The phase of exp(i l omega dt) is wanted modulo one turn for thousands of steps l, while omega dt
in float32 is wrong by 6e-8 of itself: by a degree after a few hundred thousand radians. Here an
angle is `count` 2^-32 turns (int32, which wraps around as angles do) and `rest` 2^-32 turns
(float32). Factors are cut into pieces of 12 bits, so that every product that matters is exact in
float32; a fused multiply-add, which compilers put where they like, then changes nothing.
"""

import math

import numpy as np
from keras import ops

TURN = 2.0**32
LN2_HIGH = round(math.log(2.0) * 2**19) / 2**19  # k LN2_HIGH is exact in float32 for |k| <= 32
LN2_LOW = math.log(2.0) - LN2_HIGH
NODES = 90  # |v - k ln 2| < NODES / 256
EXPONENTS = 100


def _pieces(values):
    """Float64 values as float32 pieces of 12, 12 and 24 bits that add up to them, (..., 3)."""
    rest, pieces = np.array(values, "float64"), []
    for bits in (12, 12, 24):
        mantissa, exponent = np.frexp(rest)
        pieces.append(np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits))
        rest = rest - pieces[-1]
    return np.stack(pieces, axis=-1).astype("float32")


POWERS_OF_TWO = np.ldexp(1.0, np.arange(-EXPONENTS, EXPONENTS + 1)).astype("float32")
INVERSE_TURN = tuple(float(piece) for piece in _pieces(1.0 / (2.0 * math.pi)))


def _leading(x):
    """The leading 12 bits of float32 values."""
    return ops.view(ops.bitwise_and(ops.view(x, "int32"), -4096), "float32")


def _exponential(v, factor):
    """factor * exp(v) to 2^-40 as pieces: a list of three of 12 bits, and a small float32 tail.

    With v = k ln 2 + i/256 + b1 + b2 and the tabulated A = factor * exp(i/256) = A1 + A2 + A3,

        factor exp(v) = 2^k A (1 + b1 + e),   e = b2 + b^2/2 + b^3/6 + b^4/24,   b = b1 + b2
    """
    table = _pieces(factor * np.exp(np.arange(-NODES, NODES + 1) / 256.0))  # (181, 3)
    k = ops.clip(ops.round(v / math.log(2.0)), -EXPONENTS, EXPONENTS)
    r = v - k * LN2_HIGH
    i = ops.round(256.0 * r)
    b = r - i / 256.0
    b1 = ops.round(b * 2.0**20) / 2.0**20
    w = b - k * LN2_LOW
    e = ((b - b1) - k * LN2_LOW) + w * w * (0.5 + w * (1.0 / 6.0 + w / 24.0))
    nodes = ops.take(table, _index(i, NODES), axis=0)
    first, second, third = nodes[..., 0], nodes[..., 1], nodes[..., 2]
    product = first * b1
    leading = _leading(product)
    tail = (product - leading) + third + (second + third) * b1 + (first + second) * e
    scale = ops.take(POWERS_OF_TWO, _index(k, EXPONENTS))
    return [scale * first, scale * second, scale * leading], scale * tail


def _index(values, limit):
    return ops.clip(ops.cast(values, "int32") + limit, 0, 2 * limit)


def _turns(x, pieces, tail):
    """`(count, rest)` of x * (sum of pieces + tail), for pieces of 12 bits and a small tail."""
    high = _leading(x)
    products = [part * piece for part in (high, x - high) for piece in pieces] + [x * tail]
    products = ops.stack(products, axis=0)
    units = (products - ops.round(products)) * TURN  # at most half a turn
    halves = ops.round(0.5 * units)
    count = 2 * ops.cast(ops.sum(ops.cast(halves, "int32"), axis=0), "int32")
    return count, ops.sum(units - 2.0 * halves, axis=0)


def turns(frequency, log_step, rate=1.0):
    """The angle frequency * rate * exp(log_step), in turns of 2 pi.

    Args:
        frequency: float32 tensor, radians. log_step: float32 tensor broadcast against it.
        rate: float.

    Returns:
        `(count, rest)`, int32 and float32: the angle is (count + rest) / 2^32 turns modulo one,
        right to about 2^-40 of the angle.
    """
    frequency, log_step = ops.stop_gradient(frequency), ops.stop_gradient(log_step)
    return _turns(frequency, *_exponential(log_step, rate / (2.0 * math.pi)))


def turns_of(angle):
    """The same of a float32 angle in radians."""
    first, second, third = INVERSE_TURN
    return _turns(ops.stop_gradient(angle), [first, second], third)


def multiples(angle, count, rest, steps):
    """The phase `steps * (count + rest)` in radians, about [-pi, pi], with the gradient of `angle`.

    Args:
        angle: what the turns stand for, up to rounding. count, rest: of `turns`.
        steps: int32 tensor or int, broadcast against them.
    """
    units = ops.cast(count * steps, angle.dtype) + rest * ops.cast(steps, angle.dtype)
    linear = angle * ops.cast(steps, angle.dtype)
    return units * (2.0 * math.pi / TURN) + (linear - ops.stop_gradient(linear))
