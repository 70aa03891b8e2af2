"""The memory of freed tensors."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
NEVER = -1


def keep_freed_memory():
    """Keeps the memory of freed tensors for the next ones, on Linux, for the whole process.

    glibc gives large blocks back to the system as soon as they are free, and the system fills each
    page with zeros when it is asked for again: on a processor that may be two fifths of a
    training step (docs/performance.md compares both). After this call blocks go back only
    when the process ends, and all threads share one arena. Call it after the imports and before
    the first tensor: threads that have allocated something keep their arenas. `recipes.run` and
    `keras-dss` do. Set in the environment, `MALLOC_ARENA_MAX=1`, `MALLOC_MMAP_MAX_=0` and
    `MALLOC_TRIM_THRESHOLD_=8000000000` do the same.

    Returns:
        bool: whether it did. False on other systems, and where a variable `MALLOC_...` of the
        environment has settled the matter.

    Source:
        mallopt(3) of the Linux manual.

    Example:

    >>> import keras_dss
    >>> kept = keras_dss.keep_freed_memory()
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to ask
        return False
    options = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER}
    return all([mallopt(option, value) == 1 for option, value in options.items()])
