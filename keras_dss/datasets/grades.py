"""Easier examples of a task, which a training may begin with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grades:
    """How the `load` of a task gives easier examples than its own: a module's `GRADES`.

    Args:
        argument: name of the argument of `load`.
        values: what it may be; the larger, the harder.
        meaning: the examples and the argument, in words.
        drawn_labels: whether labels of steps are only of what is drawn, not of an official copy.

    Example:

    >>> from keras_dss.datasets import lra_listops
    >>> lra_listops.GRADES.argument, lra_listops.GRADES.values
    ('max_length', range(16, 2001))
    """

    argument: str
    values: range
    meaning: str
    drawn_labels: bool = False
