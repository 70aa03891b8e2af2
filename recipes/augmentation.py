"""Changes of training inputs that leave what their labels say, drawn anew in every epoch."""

import numpy as np

from keras_dss.datasets import sequence_lengths
from keras_dss.datasets.labels import UNKNOWN

SEQUENCE, STEPS = "logits", "steps"  # two kinds of labels, by the outputs they are for

SPEEDS = 0.9, 1.1
GAINS = 0.5, 2.0
PARTS = 0.5, 1.0


# y(t) = g x(s t), s uniform, log g uniform, within the length of the batch
def waveforms(x, labels, rng):
    """Play recordings faster or slower, and louder or softer.

    Args:
        x: float (B, L, C), zeros after the end of each recording.
        labels: of the recordings. rng: a NumPy generator.

    Returns:
        x: float32 (B, L, C), zeros after the end. None loses its end: what fills L is not slowed.
        labels: the same.

    >>> x, labels = waveforms(np.ones((1, 8, 1)), np.array([3]), np.random.default_rng(0))
    >>> x.shape, labels
    ((1, 8, 1), array([3]))
    """
    count, steps, channels = x.shape
    speeds = np.maximum(rng.uniform(*SPEEDS, count), sequence_lengths(x) / steps)  # (B,)
    gains = np.exp(rng.uniform(*np.log(GAINS), count))
    time = np.arange(steps)
    result = np.empty(x.shape, np.float32)
    for row, recording, speed, gain in zip(result, x, speeds, gains, strict=True):
        for channel in range(channels):
            row[:, channel] = gain * np.interp(time * speed, time, recording[:, channel], right=0.0)
    return result, labels


def crops(x, labels, rng):
    """Leave out the beginning and the end of token sequences: one part of each stays.

    Args:
        x: ints (B, L), or (B, 2, L) of pairs; zeros after the end of each sequence.
        labels: ints (B,), or a dict of them and of the steps' labels, of the shape of x.
        rng: a NumPy generator.

    Returns:
        x and labels: half of a sequence at least, moved to the left, and the labels of its steps.

    >>> crops(np.array([[1, 2, 3, 4, 5, 6, 0]]), np.array([1]), np.random.default_rng(0))
    (array([[2, 3, 4, 5, 6, 0, 0]]), array([1]))
    """
    arrays = [x, labels[STEPS]] if isinstance(labels, dict) else [x]
    rows = [array.reshape(-1, x.shape[-1]) for array in arrays]
    found = [np.full_like(array, fill) for array, fill in zip(rows, (0, UNKNOWN), strict=False)]
    lengths = sequence_lengths(rows[0])
    for row, length in enumerate(lengths):
        stays = int(np.ceil(rng.uniform(*PARTS) * length))
        start = rng.integers(length - stays + 1)
        for array, result in zip(rows, found, strict=True):
            result[row, :stays] = array[row, start : start + stays]
    x, *steps = (array.reshape(x.shape) for array in found)
    return x, labels | {STEPS: steps[0]} if steps else labels


def partners(x, labels, rng):
    """Put the pairs that do not belong together (label 0) together anew, and take `crops` of all.

    Args:
        x: ints (B, 2, L). labels, rng: as for `crops`.

    Returns:
        x and labels, of which the sequences' are the same.

    >>> pairs = np.array([[[1], [2]], [[3], [4]], [[5], [6]]])
    >>> partners(pairs, np.array([0, 1, 0]), np.random.default_rng(3))[0].tolist()
    [[[1], [6]], [[3], [4]], [[5], [2]]]
    """
    apart = np.flatnonzero((labels[SEQUENCE] if isinstance(labels, dict) else labels) == 0)
    order = np.arange(len(x))
    order[apart] = rng.permutation(apart)
    x = np.stack([x[:, 0], x[order, 1]], axis=1)
    if isinstance(labels, dict):
        steps = labels[STEPS]
        labels = labels | {STEPS: np.stack([steps[:, 0], steps[order, 1]], axis=1)}
    return crops(x, labels, rng)


AUGMENTATIONS = {
    "waveforms": (waveforms, "f", (3,), "real-valued sequences (n, L, C)"),
    "crops": (crops, "iu", (2, 3), "tokens (n, L), or pairs of them (n, 2, L)"),
    "partners": (partners, "iu", (3,), "pairs of tokens (n, 2, L)"),
}


def check(name, x, resident=False):
    """Raise a ValueError where an augmentation does not fit the data, an array or a view of one."""
    _, kinds, dimensions, expected = AUGMENTATIONS[name]
    if resident or x.dtype.kind not in kinds or x.ndim not in dimensions:
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
        yield change(x, labels, np.random.default_rng([seed, epoch, number]))
