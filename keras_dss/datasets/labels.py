"""Labels of sequences, read from files, and of their steps."""

import numpy as np

UNKNOWN = 255  # label of a step that has none


def check_labels(labels, num_classes, where):
    """Returns labels as uint8 (n,).

    Args:
        labels: array.
        num_classes: int, at most 256.
        where: what errors call the file.

    Raises:
        ValueError: unless they are integers (n,) from 0 to `num_classes - 1`.

    Example:

    >>> check_labels(np.array([7, 0]), 10, "mnist.npz")
    array([7, 0], dtype=uint8)
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"File {where}: expected integers (n,). Received: {labels.dtype} {labels.shape}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise ValueError(
            f"File {where}, record {wrong[0]}: expected a label 0 to {num_classes - 1}. "
            f"Received: {labels[wrong[0]]}"
        )
    return labels.astype(np.uint8)
