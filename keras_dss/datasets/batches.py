"""Batches of sequences of similar length, in an order that can be resumed anywhere."""

from collections import deque

import keras
import numpy as np

_CHUNK = 4096  # examples looked at together, so that a large memory map is never read whole


def sequence_lengths(x):
    """Returns the lengths of sequences that are padded with 0 on the right.

    Args:
        x: tokens (n, L); pairs of token sequences, ints (n, 2, L), of which the longer one counts;
            or floats (n, L, C), where a padded step is 0 in every channel.

    Returns:
        int64 (n,); 0 for an empty sequence.

    Example:

    >>> sequence_lengths(np.array([[3, 0, 5, 0], [0, 0, 0, 0]]))
    array([3, 0])
    >>> sequence_lengths(np.array([[[3, 0, 5, 0], [1, 0, 0, 0]]]))
    array([3])
    >>> sequence_lengths(np.array([[[0.5], [0.0]]]))
    array([1])
    """
    parts = [_lengths(np.asarray(x[i : i + _CHUNK])) for i in range(0, len(x), _CHUNK)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _lengths(x):
    used = x != 0
    if used.ndim == 3:
        used = used.any(axis=1 if _is_pairs(x) else 2)  # (n, L)
    return np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1), 0)


def _is_pairs(x):
    return np.issubdtype(x.dtype, np.integer) and x.ndim == 3 and x.shape[1] == 2


def _take(array, chosen, length, axis=1):
    """The chosen examples, of which only `length` steps are read."""
    if length is None:
        return array[chosen]
    return array[(chosen, *[slice(None)] * (axis - 1), slice(length))]


def _cast(values, dtype):
    """An array or a tensor of the device in another type."""
    if isinstance(values, np.ndarray):
        return values.astype(dtype, copy=False)
    return keras.ops.cast(values, dtype)


def choose_boundaries(lengths, count=8):
    """Returns at most `count` multiples of 64 that split the lengths into parts of like size.

    Args:
        lengths: ints (n,).
        count: how many boundaries at most.

    Example:

    >>> choose_boundaries([10, 70, 100, 1000], count=2)
    [128, 1024]
    """
    if not len(lengths):
        return []
    quantiles = np.quantile(lengths, np.arange(1, count + 1) / count, method="higher")
    return np.unique(np.maximum(64 * np.ceil(quantiles / 64), 64)).astype(int).tolist()


class Batches(keras.utils.PyDataset):
    """Batches of sequences of similar length for `fit`, `evaluate` and `predict`.

    Sequences are shuffled, sorted into buckets by length and cut into batches, whose order is
    shuffled. A batch is truncated to the smallest boundary that holds all its sequences, so there
    are only a few lengths and a compiled model is traced only a few times. Sequences left over in
    one bucket move on to the next longer one: an epoch holds every example exactly once, in full
    batches except one.

    The batches of an epoch depend on `seed` and `epoch` alone; with `start`, training resumes in
    the middle of an epoch. Keras reorders batches by itself unless told otherwise: call
    `fit(..., shuffle=False)`.

    Args:
        x: array (n, L, ...), or ints (n, 2, L), pairs of sequences truncated to the same length.
            Integers (tokens) are given out as int32, all else as float32. A memory map, a view and
            a `Standardised` are read batch by batch.
        y: labels (n, ...), given out as int32, or float32 if they are floats; None for inputs only.
            Ints of the shape of tokens `x`, a label for each step, are truncated with them. Or a
            dict of such labels, for models with several outputs.
        batch_size: examples in a batch.
        lengths: ints (n,). Defaults to `sequence_lengths(x)` for integers (n, L) and (n, 2, L).
            Without lengths, as for floats, nothing is truncated.
        boundaries: increasing lengths to truncate to, or how many of them to choose. One beyond L
            counts as L.
        shuffle: whether to shuffle examples and batches.
        seed: non-negative int.
        epoch: non-negative int. The end of an epoch in `fit` goes on to the next.
        start, stop: give out only batches `start` to `stop` (exclusive) of this epoch; the
            following ones are whole, and Keras wants them in another call of `fit`.
        drop_remainder: whether to drop an incomplete batch.

    Attributes:
        boundaries: list of ints, None without lengths. Pass those of the training data to the
            validation data, so that both have the same lengths.
        epoch: the current epoch.
        order: int64 array, the examples of the current epoch, batch after batch.
        plan: the same batch by batch, with the length that each is cut to.

    Raises:
        ValueError: if sizes do not match or a boundary is missing for the longest sequence.

    Example:

    >>> x = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 0]], "uint8")
    >>> y = np.array([0, 1, 0])
    >>> batches = Batches(x, y, batch_size=2, boundaries=[2, 4], shuffle=False)
    >>> [inputs.shape for inputs, labels in batches]
    [(2, 2), (1, 4)]
    """

    def __init__(
        self,
        x,
        y=None,
        batch_size=32,
        *,
        lengths=None,
        boundaries=8,
        shuffle=True,
        seed=0,
        epoch=0,
        start=0,
        stop=None,
        drop_remainder=False,
    ):
        super().__init__()
        labels = {f"y[{key!r}]": y[key] for key in y} if isinstance(y, dict) else {"y": y}
        for name, array in (*labels.items(), ("lengths", lengths)):
            if array is not None and len(array) != len(x):
                raise ValueError(
                    f"`{name}` must have as many entries as `x`, {len(x)}. Received: {len(array)}"
                )
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")
        integers = np.issubdtype(x.dtype, np.integer)
        pairs = _is_pairs(x)
        if lengths is None and integers and (x.ndim == 2 or pairs):
            lengths = sequence_lengths(x)

        self.x, self.y = x, y
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_remainder = drop_remainder
        self.time_axis = 2 if pairs else 1
        self.tokens = integers and (x.ndim == 2 or pairs)
        self.input_dtype = "int32" if integers else "float32"
        self.lengths = lengths if lengths is None else np.asarray(lengths)
        self.boundaries = None if lengths is None else self._check_boundaries(boundaries)
        self._running, self._announced = False, None
        self.set_epoch(epoch, start, stop)

    def _check_boundaries(self, boundaries):
        if np.ndim(boundaries) == 0:
            boundaries = choose_boundaries(self.lengths, boundaries)
        boundaries = np.minimum(boundaries, self.x.shape[self.time_axis]).astype(int)
        longest = self.lengths.max(initial=0)
        if (np.diff(boundaries) < 0).any() or boundaries.max(initial=0) < longest:
            raise ValueError(
                f"`boundaries` must increase up to the longest sequence, {longest}. "
                f"Received: {boundaries.tolist()}"
            )
        return np.unique(boundaries).tolist()

    def set_epoch(self, epoch, start=0, stop=None):
        """Goes to batches `start` to `stop` (exclusive) of an epoch, for loops other than `fit`."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, epoch])))
        examples = np.arange(len(self.x))
        if self.shuffle:
            examples = rng.permutation(examples)
        batches = self._cut(examples)
        if self.shuffle:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        self.epoch = epoch
        self._batches = self._alternate(batches)[start:stop]
        self._taken = (
            set()
        )  # indices of the batches given out between on_epoch_begin and on_epoch_end

    def _cut(self, examples):
        """List of index arrays, one for each batch."""
        size = self.batch_size
        buckets = [examples]
        if self.lengths is not None:
            bucket = np.searchsorted(self.boundaries, self.lengths[examples])
            buckets = [examples[bucket == i] for i in range(len(self.boundaries))]
        batches, left = [], examples[:0]
        for bucket in buckets:
            bucket = np.concatenate([left, bucket])
            whole = len(bucket) - len(bucket) % size
            batches += np.split(bucket[:whole], whole // size) if whole else []
            left = bucket[whole:]
        return batches + [left] if len(left) and not self.drop_remainder else batches

    def _alternate(self, batches):
        """The batches in an order in which neighbours differ in length until only one is left.

        On TensorFlow Keras takes the shape of all batches from the first two, wherever they start:
        only dimensions that differ between them become variable.
        """
        if self.lengths is None:
            return batches
        queues = {}
        for rank, batch in enumerate(batches):
            queues.setdefault(self._length(batch), deque()).append((rank, batch))
        result, previous = [], None
        for _ in batches:
            candidates = [length for length in queues if length != previous] or [previous]
            previous = min(candidates, key=lambda length: queues[length][0][0])
            result.append(queues[previous].popleft()[1])
            if not queues[previous]:
                del queues[previous]
        return result

    def _length(self, batch):
        return self.boundaries[np.searchsorted(self.boundaries, self.lengths[batch].max())]

    @property
    def plan(self):
        """List of pairs: the examples of a batch, int64 (B,), and the length it is cut to."""
        lengths = self.lengths is not None
        return [(batch, self._length(batch) if lengths else None) for batch in self._batches]

    @property
    def order(self):
        return np.concatenate(self._batches) if self._batches else np.zeros(0, np.int64)

    @property
    def num_batches(self):
        return len(self._batches)

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        chosen = self._batches[index]
        if self._running:
            self._taken.add(index)
        return self.gather(chosen, None if self.lengths is None else self._length(chosen))

    def gather(self, chosen, length, x=None, y=None):
        """The batch of some examples, cut to a length, of arrays in the place of `x` and `y`."""
        x, y = (self.x, self.y) if x is None else (x, y)
        inputs = _cast(_take(x, chosen, length, self.time_axis), self.input_dtype)
        if y is None:
            return (inputs,)

        def labels_of(y):
            floats = y.dtype.kind == "f"
            each_step = self.tokens and not floats and y.shape == x.shape
            labels = _take(y, chosen, length if each_step else None, self.time_axis)
            return _cast(labels, "float32" if floats else "int32")

        if isinstance(y, dict):
            return inputs, {name: labels_of(array) for name, array in y.items()}
        return inputs, labels_of(y)

    def on_epoch_begin(self):
        if self._announced not in (None, len(self)):
            raise RuntimeError(
                "A part of an epoch must be fitted by a call of its own, `fit(..., epochs=1)`, "
                "because Keras counts batches once in a call. "
                f"Received: {self._announced} batches in the first epoch, {len(self)} in the next"
            )
        self._running = True

    def on_epoch_end(self):
        # Keras also calls this at the start of `fit`, after a look at the first batch.
        if len(self._taken) == len(self):
            self.set_epoch(self.epoch + 1)
        else:
            self._announced = len(self)
        self._running = False
