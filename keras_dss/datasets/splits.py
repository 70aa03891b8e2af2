"""Validation examples held out from a training split."""

import numpy as np


def hold_out(count, held_out, full=None):
    """Returns which of `count` training examples to train on, and which to validate on.

    The choice follows from the numbers alone: the first entries of a fixed permutation validate.

    Args:
        count: how many training examples there are.
        held_out: how many to validate on when the data set is complete.
        full: how many training examples a complete data set has; a smaller one is divided in the
            same proportion, with at least one example on either side. Defaults to `count`.

    Returns:
        int64 arrays `(train, validation)`, each ascending.

    Raises:
        ValueError: for fewer than two examples.

    Example:

    >>> hold_out(6, 2)
    (array([1, 2, 3, 5]), array([0, 4]))
    >>> [len(part) for part in hold_out(20, 5_000, full=50_000)]
    [18, 2]
    """
    if count < 2:
        raise ValueError(f"Expected at least 2 training examples to divide. Received: {count}")
    if full is not None and count != full:
        held_out = min(max(round(count * held_out / full), 1), count - 1)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(0)))
    permutation = rng.permutation(count)
    return np.sort(permutation[held_out:]), np.sort(permutation[:held_out])
