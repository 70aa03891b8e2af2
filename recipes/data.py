"""A task's splits as arrays and batches; with `--smoke` those of its fixture files."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from keras_dss import datasets
from keras_dss.datasets import OnDevice
from keras_dss.datasets.batches import Batches, choose_boundaries, sequence_lengths
from keras_dss.datasets.labels import UNKNOWN
from recipes.augmentation import SEQUENCE, STEPS, augmented, check

DIGEST_ROWS = 4096  # of an array at a time


def map_labels(function, *labels):
    """Return `function` of each array of labels, which are one array or a dict of them."""
    if not isinstance(labels[0], dict):
        return function(*labels)
    return {name: function(*(each[name] for each in labels)) for name in labels[0]}


class Epochs:
    """Training batches of equal size, in an order that follows from (seed, epoch) alone.

    The examples that do not fill a batch are left out of an epoch; they are others in each epoch.

    Args:
        x, y: arrays of a split; y may be a dict of them. batch_size, seed: ints.
        mask_zeros: whether real-valued sequences end in zeros that are no data.
        resident: whether the split is held in the memory of the backend's device.
        num_lengths: how many lengths batches are cut to, at most.
        augmentation: name of one of `recipes.augmentation`, for data that is not resident.

    Raises:
        ValueError: fewer examples than a batch has, or an augmentation of other data.

    >>> epochs = Epochs(np.ones((10, 8, 1), "float32"), np.arange(10), batch_size=4, seed=0)
    >>> whole, rest = list(epochs.epoch(3)), list(epochs.epoch(3, start=1))
    >>> epochs.steps_per_epoch, len(whole), bool(np.all(whole[1][1] == rest[0][1]))
    (2, 2, True)
    """

    def __init__(
        self, x, y, batch_size, seed, mask_zeros=False, resident=False, num_lengths=8,
        augmentation=None,
    ):  # fmt: skip
        if batch_size > len(x):
            raise ValueError(
                f"Expected a batch_size of at most the {len(x)} training examples. "
                f"Received: {batch_size}"
            )
        if augmentation:
            check(augmentation, x, resident)
        self.resident, self.augmentation = resident, augmentation
        self.x, self.y = (OnDevice(x), map_labels(OnDevice, y)) if resident else (x, y)
        self.options = {"batch_size": batch_size, "seed": seed, "drop_remainder": True}
        self.boundaries, lengths = length_boundaries(x, mask_zeros, num_lengths)
        self.options |= lengths
        self.steps_per_epoch = len(x) // batch_size
        self.cutting = Batches(self.x, self.y, stop=0, **self.options)

    def of(self, number):
        """Return the `Epochs` that an epoch's batches are from: these."""
        return self

    def gather(self, examples, length, values):
        """The `(x, labels)` of some examples in a compiled function, whose arguments `values` are.

        Args:
            examples: integers (B,). length: what they are cut to. values: `self.values`.
        """
        x = self.x.standing_for(values[0])
        y = map_labels(lambda array, value: array.standing_for(value), self.y, values[1])
        return self.cutting.gather(examples, length, x, y)

    @property
    def values(self):
        """The values of x and y on the device, as arguments of a compiled function."""
        return self.x.values, map_labels(lambda array: array.values, self.y)

    def epoch(self, number, start=0, stop=None):
        """Return the `(x, labels)` batches of an epoch from batch `start` on."""
        batches = Batches(self.x, self.y, epoch=number, start=start, stop=stop, **self.options)
        if self.augmentation is None:
            return batches
        return augmented(batches, self.augmentation, self.options["seed"], number, start)

    def shapes(self):
        """Return one batch of every shape that epochs hold, always the same ones."""
        size, count = self.options["batch_size"], len(self.x)
        if not self.boundaries:
            return [Batches(self.x, self.y, size, shuffle=False)[0]]
        return [
            Batches(
                self.x, self.y, size, lengths=[length] * count, boundaries=[length], shuffle=False
            )[0]
            for length in self.boundaries
        ]


class Curriculum:
    """Training batches whose first epochs are of easier examples.

    Args:
        grades: of the first epochs, one each. easier: a function that returns the `Epochs` of a
            grade, all of one size, when an epoch needs them. own: those of the task itself.
    """

    def __init__(self, grades, easier, own):
        self.grades, self.easier, self.own = grades, easier, own
        self.steps_per_epoch, self.resident = own.steps_per_epoch, own.resident
        self.x, self.gather = own.x, own.gather

    def of(self, number):
        """Return the `Epochs` that an epoch's batches are from."""
        return self.easier(self.grades[number]) if number < len(self.grades) else self.own

    def epoch(self, number, start=0, stop=None):
        """Return the `(x, labels)` batches of an epoch from batch `start` on."""
        return self.of(number).epoch(number, start, stop)

    def shapes(self):
        """Return one batch of every shape that epochs hold, always the same ones."""
        kinds = [*map(self.easier, dict.fromkeys(self.grades)), self.own]
        batches = [batch for epochs in kinds for batch in epochs.shapes()]
        return list({x.shape: (x, labels) for x, labels in batches}.values())


class Splits:
    """The splits of one task, loaded when first needed.

    Args:
        task: a module of `keras_dss.datasets`.
        data_dir: where the data is; handed to the task.
        resident: whether the training split is held in the memory of the backend's device.
        smoke: read the task's fixture files, a few examples in the layout of the real ones.
        mask_zeros, num_lengths: as in `Epochs`.
        examples: the training split is only its first so many; None: all. Fixtures are whole.
    """

    def __init__(
        self, task, data_dir=None, smoke=False, mask_zeros=False, resident=False, num_lengths=8,
        examples=None,
    ):  # fmt: skip
        self.task, self.resident, self.loaded = task, resident, {}
        self.examples = None if smoke else examples
        self.mask_zeros, self.num_lengths = mask_zeros, num_lengths
        self.data_dir = fixture_folder(task) if smoke else data_dir

    def get(self, split, examples=None):
        """Return `(x, labels)` of a split, or of its first `examples`."""
        if split not in self.loaded:
            self.loaded[split] = self._load(split)
        x, y = self.loaded[split]
        return x[:examples], y[:examples]

    def _load(self, split, **given):
        count = self.examples if split == "train" else None
        if count and hasattr(self.task, "GRADES"):  # made, and then only as many as are asked for
            return self.task.load(split, self.data_dir, examples=count, **given)
        return tuple(array[:count] for array in self.task.load(split, self.data_dir, **given))

    def training(self, batch_size, seed, augmentation=None, curriculum=None, step_labels=False):
        """Return the training split's `Epochs`, or a `Curriculum` that ends with them.

        With `step_labels` the labels are dicts, of the `SEQUENCE` and its `STEPS`. Where only the
        examples of a curriculum have them, they are unknown in the epochs after it.

        Raises:
            ValueError: a curriculum, or labels of steps, that the task does not have.
        """
        name = self.task.__name__.rpartition(".")[2]
        known = getattr(self.task, "GRADES", None)
        drawn_labels = step_labels and known and known.drawn_labels
        if step_labels and not hasattr(self.task, "STEP_WEIGHTS"):
            raise ValueError(f"Expected no step_labels: {name} has none. Received: {step_labels}")
        if drawn_labels and not curriculum:
            raise ValueError(
                f"Expected a curriculum: only drawn images of {name} have labels of steps. "
                f"Received: step_labels, and curriculum={curriculum}"
            )
        options = self.mask_zeros, self.resident, self.num_lengths, augmentation

        def epochs(x, y, steps=None):
            labels = {SEQUENCE: y, STEPS: steps} if step_labels else y
            return Epochs(x, labels, batch_size, seed, *options)

        given = {"step_labels": True} if step_labels else {}
        if step_labels and not drawn_labels:
            x, y, steps = self._load("train", **given)
            self.loaded["train"] = x, y
        else:
            if drawn_labels and self.examples and None in curriculum:
                # what is drawn with labels serves without them too, and is not drawn twice
                self.task.load("train", examples=self.examples, **given)
            x, y = self.get("train")
            steps = np.broadcast_to(np.uint8(UNKNOWN), x.shape[:2])
        own = epochs(x, y, steps)
        if not curriculum:
            return own
        if not known or not set(curriculum) <= {*known.values, None}:
            expected = "None"
            if known:
                expected = f"of {known.argument} {known.values[0]} to {known.values[-1]}"
            raise ValueError(f"Expected a curriculum {expected} for {name}. Received: {curriculum}")

        @functools.cache
        def easier(grade):
            if grade is None and not drawn_labels:
                return own
            wanted = {"examples": len(x), known.argument: grade}
            return epochs(*self.task.load("train", **wanted, **given))

        return Curriculum(curriculum, easier, own)

    def evaluation(self, split, batch_size=100, examples=None):
        """Return a split in batches, every example once, with the lengths that training has.

        Args:
            examples: only the first so many; None: all.
        """
        boundaries, _ = length_boundaries(self.get("train")[0], self.mask_zeros, self.num_lengths)
        x, y = self.get(split, examples)
        options = {}
        if boundaries:
            options = {"boundaries": boundaries, "lengths": sequence_lengths(x)}
        return Batches(x, y, batch_size, shuffle=False, **options)

    def provenance(self):
        """Return the `Provenance` of the data."""
        return self.task.provenance(self.data_dir)

    def digest(self):
        """Return the SHA-256 of the training split's arrays."""
        digest = hashlib.sha256()
        for array in self.get("train"):
            raw = getattr(array, "raw", array)
            digest.update(f"{raw.shape} {raw.dtype}".encode())
            for start in range(0, len(raw), DIGEST_ROWS):
                digest.update(np.ascontiguousarray(raw[start : start + DIGEST_ROWS]))
        return digest.hexdigest()


def fixture_folder(task):
    """Return the folder of a task's fixture files."""
    name = task.__name__.rpartition(".")[2]
    return Path(datasets.__file__).parent / "tfds_builders" / name / "dummy_data"


def length_boundaries(x, mask_zeros=False, count=8):
    """Return the lengths to which batches are cut, up to L, and the options of `Batches` for it.

    They are None and empty for real-valued sequences that all have L steps.
    """
    if not np.issubdtype(x.dtype, np.integer) and not mask_zeros:
        return None, {}
    lengths = sequence_lengths(x)
    longest = x.shape[1] if mask_zeros else x.shape[-1]
    boundaries = choose_boundaries(lengths, count)
    boundaries = sorted({*(b for b in boundaries[:-1] if b < longest), longest})
    return boundaries, {"lengths": lengths, "boundaries": boundaries}
