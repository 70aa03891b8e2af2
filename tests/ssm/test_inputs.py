"""Input sequences: what is kept of them, and what becomes of modes that cancel."""

import numpy as np
import pytest

from keras_dss.ssm import DiagonalSystem, h2_optimal, input_sequences
from keras_dss.ssm.inputs import InputSequences


def test_batches_are_joined_to_the_longest():
    rng = np.random.default_rng(0)
    short, long = rng.standard_normal((2, 5, 3)), rng.standard_normal((1, 8, 3))
    joined = InputSequences.joined([input_sequences(short, [5, 2]), input_sequences(long)])
    padded = np.concatenate([np.pad(short, ((0, 0), (0, 3), (0, 0))), long])
    together = input_sequences(padded, [5, 2, 8])
    np.testing.assert_array_equal(joined.reverse, together.reverse)
    assert joined.steps == together.steps == 15


def test_correlation_is_that_of_the_valid_steps():
    u = np.random.default_rng(1).standard_normal((2, 6, 1))
    found = input_sequences(u, [6, 4]).correlation()
    valid = u[0, :, 0], np.append(u[1, :4, 0], [0.0, 0.0])
    wanted = sum(np.correlate(x, x, "full")[5:] for x in valid) / 10
    np.testing.assert_allclose(found, [wanted], atol=1e-12)


def test_modes_that_cancel_are_not_what_is_found():
    """A kernel of three taps: the sum of modes at zero comes as close as one likes."""
    poles = np.array([[0.01, 0.02, 0.03, 0.9]])
    residues = np.array([[5e3, -1e4, 5e3, 1.0]])
    system = DiagonalSystem(poles, residues)
    start = DiagonalSystem([[0.011, 0.02, 0.9]], [[1.0, -1.0, 1.0]])
    u = input_sequences(np.random.default_rng(2).standard_normal((4, 50, 1)))
    found = h2_optimal(system, start, inputs=u, feedthrough=True)
    largest = np.abs(system.impulse_response(50)).max()
    assert np.abs(found.residues).max() < 100 * largest
    assert np.abs(found.feedthrough).max() < 100 * largest


@pytest.mark.parametrize(
    "inputs, lengths, message",
    [
        (np.zeros((2, 3)), None, "shape"),
        (np.full((1, 3, 1), np.nan), None, "finite"),
        (np.zeros((1, 3, 1)), [4], "between 0 and 3"),
        (np.zeros((1, 3, 1)), [0], "at least one valid step"),
    ],
)
def test_bad_inputs(inputs, lengths, message):
    with pytest.raises(ValueError, match=message):
        input_sequences(inputs, lengths)
