"""A task's splits as arrays and batches, and generated examples for `--smoke`."""

import hashlib

import numpy as np

from keras_dss.datasets.batches import Batches, choose_boundaries, sequence_lengths

SMOKE = {"train": 24, "validation": 12, "test": 12}
SMOKE_LENGTH = 40


class Epochs:
    """Training batches of equal size, in an order that follows from (seed, epoch) alone.

    The examples that do not fill a batch are left out of an epoch; they are others in each epoch.

    >>> epochs = Epochs(np.ones((10, 8, 1), "float32"), np.arange(10), batch_size=4, seed=0)
    >>> whole, rest = list(epochs.epoch(3)), list(epochs.epoch(3, start=1))
    >>> epochs.steps_per_epoch, len(whole), bool(np.all(whole[1][1] == rest[0][1]))
    (2, 2, True)
    """

    def __init__(self, x, y, batch_size, seed):
        if batch_size > len(x):
            raise ValueError(
                f"Expected a batch_size of at most the {len(x)} training examples. "
                f"Received: {batch_size}"
            )
        self.x, self.y = x, y
        self.options = {"batch_size": batch_size, "seed": seed, "drop_remainder": True}
        self.boundaries = length_boundaries(x)
        if self.boundaries:
            self.options |= {"lengths": sequence_lengths(x), "boundaries": self.boundaries}
        self.steps_per_epoch = len(x) // batch_size

    def epoch(self, number, start=0):
        """Return the `(x, labels)` batches of an epoch from batch `start` on."""
        return Batches(self.x, self.y, epoch=number, start=start, **self.options)

    def shapes(self):
        """Return one batch of every shape that epochs hold, always the same ones."""
        batch = self.options["batch_size"]
        x, y = Batches(self.x[:batch], self.y[:batch], batch, boundaries=[self.x.shape[1]])[0]
        return [(x[:, :length], y) for length in self.boundaries or [x.shape[1]]]


class Splits:
    """The splits of one task, loaded when first needed.

    Args:
        task: a module of `keras_dss.datasets`.
        data_dir: where the data is; handed to the task.
        smoke: give a handful of random examples with the shapes and types of the task.
    """

    def __init__(self, task, data_dir=None, smoke=False):
        self.task, self.data_dir, self.smoke, self.loaded = task, data_dir, smoke, {}

    def get(self, split, examples=None):
        """Return `(x, labels)` of a split, or of its first `examples`."""
        if split not in self.loaded:
            if self.smoke:
                self.loaded[split] = random_examples(self.task, split)
            else:
                self.loaded[split] = self.task.load(split, self.data_dir)
        x, y = self.loaded[split]
        return x[:examples], y[:examples]

    def training(self, batch_size, seed):
        """Return the training split's `Epochs`."""
        return Epochs(*self.get("train"), batch_size, seed)

    def evaluation(self, split, batch_size=100):
        """Return a split in batches, every example once, with the lengths that training has."""
        boundaries = length_boundaries(self.get("train")[0])
        options = {"boundaries": boundaries} if boundaries else {}
        return Batches(*self.get(split), batch_size, shuffle=False, **options)

    def digest(self):
        """Return the SHA-256 of the training split's arrays."""
        digest = hashlib.sha256()
        for array in self.get("train"):
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def length_boundaries(x):
    """Return the lengths to which batches of tokens (n, L) are cut, up to L; None for numbers."""
    if not np.issubdtype(x.dtype, np.integer) or x.ndim != 2:
        return None
    boundaries = choose_boundaries(sequence_lengths(x))
    return sorted({*(b for b in boundaries[:-1] if b < x.shape[1]), x.shape[1]})


def random_examples(task, split):
    """Return a few random examples `(x, labels)` with the shapes and types of a task."""
    count = SMOKE[split]
    rng = np.random.default_rng([count, *split.encode()])
    labels = rng.integers(0, task.NUM_CLASSES, count)
    if getattr(task, "VOCABULARY_SIZE", None) is None:
        return rng.normal(size=(count, SMOKE_LENGTH, 1)).astype(np.float32), labels
    x = rng.integers(1, task.VOCABULARY_SIZE, (count, SMOKE_LENGTH)).astype(np.uint8)
    x[np.arange(SMOKE_LENGTH) >= rng.integers(10, SMOKE_LENGTH, (count, 1))] = 0
    return x, labels
