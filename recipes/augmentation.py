"""Changes of training examples that leave their labels, drawn anew in every epoch."""

import numpy as np

from keras_dss.datasets import sequence_lengths

SPEEDS = 0.9, 1.1
GAINS = 0.5, 2.0


# y(t) = g x(s t), s uniform, log g uniform, within the length of the batch
def waveforms(x, rng):
    """Play recordings faster or slower, and louder or softer.

    Args:
        x: float (B, L, C), zeros after the end of each recording. rng: a NumPy generator.

    Returns:
        float32 (B, L, C), zeros after the end. None loses its end: what fills L is not slowed.

    >>> x = np.ones((1, 8, 1), "float32")
    >>> waveforms(x, np.random.default_rng(0)).shape
    (1, 8, 1)
    """
    count, steps, channels = x.shape
    speeds = np.maximum(rng.uniform(*SPEEDS, count), sequence_lengths(x) / steps)  # (B,)
    gains = np.exp(rng.uniform(*np.log(GAINS), count))
    time = np.arange(steps)
    result = np.empty(x.shape, np.float32)
    for row, recording, speed, gain in zip(result, x, speeds, gains, strict=True):
        for channel in range(channels):
            row[:, channel] = gain * np.interp(time * speed, time, recording[:, channel], right=0.0)
    return result


def augmented(batches, name, seed, epoch, start=0):
    """Yield the batches of an epoch, from batch `start` on, with inputs changed.

    Args:
        batches: an iterable of `(x, labels)`.
        name: one of `recipes.settings.AUGMENTATIONS`.
        seed, epoch: non-negative ints; what is drawn follows from them and the number of the batch
            alone.
    """
    change = {"waveforms": waveforms}[name]
    for number, (x, labels) in enumerate(batches, start):
        yield change(x, np.random.default_rng([seed, epoch, number])), labels
