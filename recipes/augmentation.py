"""Changes of training inputs that leave their labels, drawn anew in every epoch."""

import numpy as np

from keras_dss.datasets import sequence_lengths

SPEEDS = 0.9, 1.1
GAINS = 0.5, 2.0
PARTS = 0.5, 1.0


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


def crops(x, rng):
    """Leave out the beginning and the end of token sequences: one part of each stays.

    Args:
        x: ints (B, L), zeros after the end of each sequence. rng: a NumPy generator.

    Returns:
        Ints (B, L), zeros after the end: half of a sequence at least, moved to the left.

    >>> crops(np.array([[1, 2, 3, 4, 5, 6, 0]]), np.random.default_rng(0))
    array([[2, 3, 4, 5, 6, 0, 0]])
    """
    result = np.zeros_like(x)
    for row, tokens, length in zip(result, x, sequence_lengths(x), strict=True):
        stays = int(np.ceil(rng.uniform(*PARTS) * length))
        start = rng.integers(length - stays + 1)
        row[:stays] = tokens[start : start + stays]
    return result


AUGMENTATIONS = {
    "waveforms": (waveforms, "f", 3, "real-valued sequences (n, L, C)"),
    "crops": (crops, "iu", 2, "tokens (n, L)"),
}


def check(name, x, resident=False):
    """Raise a ValueError where an augmentation does not fit the data, an array or a view of one."""
    _, kinds, dimensions, expected = AUGMENTATIONS[name]
    if resident or x.dtype.kind not in kinds or x.ndim != dimensions:
        raise ValueError(
            f"Expected {expected}, not --resident, for the augmentation {name!r}. "
            f"Received: {x.dtype} {x.shape}, resident: {resident}"
        )


def augmented(batches, name, seed, epoch, start=0):
    """Yield the batches of an epoch, from batch `start` on, with inputs changed.

    Args:
        batches: an iterable of `(x, labels)`.
        name: a key of `AUGMENTATIONS`.
        seed, epoch: non-negative ints; what is drawn follows from them and the number of the batch
            alone.
    """
    change, *_ = AUGMENTATIONS[name]
    for number, (x, labels) in enumerate(batches, start):
        yield change(x, np.random.default_rng([seed, epoch, number])), labels
