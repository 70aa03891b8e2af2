"""Errors that a user of the command line can mend."""

import difflib


class UsageError(ValueError):
    """A command that cannot be begun as it was given."""


def near(word, known, flag=""):
    """Returns `"; did you mean ...?"` with the known words nearest to `word`, or nothing.

    >>> near("evalute", ["evaluate", "list"])
    '; did you mean evaluate?'
    """
    found = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(flag + name for name in found)}?" if found else ""
