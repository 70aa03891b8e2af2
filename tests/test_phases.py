"""Angles in 2^-32 turns against mpmath."""

import math

import mpmath
import numpy as np
import pytest
from keras import ops

from keras_dss import phases
from tests.layers.autodiff import compiled


def error_in_turns(count, rest, expected):
    """Largest distance on the circle, in turns; `expected` are mpmath turns."""
    count, rest = (np.asarray(ops.convert_to_numpy(part)) for part in (count, rest))
    assert count.dtype == np.int32 and rest.dtype == np.float32
    errors = []
    for whole, part, turns in zip(count, rest, expected, strict=True):
        difference = (mpmath.mpf(int(whole)) + mpmath.mpf(float(part))) / 2**32 - turns
        errors.append(abs(float(difference - mpmath.nint(difference))))
    return max(errors)


@pytest.fixture
def values():
    """Frequencies of both signs up to 6,000 and steps from 1e-5 to 1, float32."""
    generator = np.random.default_rng(0)
    frequency = 6000.0 * generator.uniform(-1.0, 1.0, 200) ** 3
    log_step = generator.uniform(math.log(1e-5), 0.0, 200)
    log_step[:3] = 0.0, -math.log(2.0), -1e-6
    return frequency.astype("float32"), log_step.astype("float32")


def exact_turns(frequency, log_step, rate):
    with mpmath.workprec(200):
        return [
            mpmath.mpf(float(f)) * mpmath.exp(mpmath.mpf(float(v))) * rate / (2 * mpmath.pi)
            for f, v in zip(frequency, log_step, strict=True)
        ]


@pytest.mark.parametrize("wrap", [lambda function: function, compiled], ids=["eager", "compiled"])
def test_turns(values, wrap):
    frequency, log_step = values
    found = wrap(lambda f, v: phases.turns(f, v, 1.5))(
        ops.convert_to_tensor(frequency), ops.convert_to_tensor(log_step)
    )
    expected = exact_turns(frequency, log_step, 1.5)
    assert max(abs(turns) for turns in expected) > 1000
    assert error_in_turns(*found, expected) < 2e-9
    small = [abs(turns) < 100 for turns in expected]
    found = [ops.convert_to_numpy(part)[small] for part in found]
    expected = [turns for turns, is_small in zip(expected, small, strict=True) if is_small]
    assert error_in_turns(*found, expected) < 1e-10


@pytest.mark.parametrize("wrap", [lambda function: function, compiled], ids=["eager", "compiled"])
def test_turns_of(values, wrap):
    angle = values[0]
    found = wrap(phases.turns_of)(ops.convert_to_tensor(angle))
    with mpmath.workprec(200):
        expected = [mpmath.mpf(float(a)) / (2 * mpmath.pi) for a in angle]
    assert error_in_turns(*found, expected) < 1e-10


def test_multiples(values):
    frequency, log_step = values
    steps = np.array([[1], [17], [16383]], "int32")
    angle = ops.convert_to_tensor(frequency * np.exp(log_step))
    turns = phases.turns(ops.convert_to_tensor(frequency), ops.convert_to_tensor(log_step))
    phase = np.asarray(
        ops.convert_to_numpy(phases.multiples(angle, *turns, ops.convert_to_tensor(steps)))
    )
    assert np.abs(phase).max() < 3.2
    exact = exact_turns(frequency, log_step, 1.0)
    for row, step in zip(phase, steps[:, 0], strict=True):
        with mpmath.workprec(200):
            expected = [float(2 * mpmath.pi * mpmath.frac(t * int(step))) for t in exact]
        difference = np.exp(1j * row) - np.exp(1j * np.array(expected))
        assert np.abs(difference).max() < (3e-7 if step < 100 else 1e-5)


def test_not_finite_stays_in_range():
    count, rest = phases.turns(
        ops.convert_to_tensor(np.ones(3, "float32")),
        ops.convert_to_tensor(np.array([np.nan, np.inf, -np.inf], "float32")),
    )
    assert tuple(count.shape) == tuple(rest.shape) == (3,)
