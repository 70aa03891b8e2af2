"""LAPACK routines by their names, called without the interpreter's lock.

SciPy's own wrappers of most symmetric eigenvalue routines hold the lock, so that threads over many
small matrices take turns; its C interface to the same routines does not.
"""

import ctypes
import functools

import numpy as np
from scipy.linalg import cython_lapack


def call(name, *arguments):
    """`info` of the double-precision LAPACK routine `name`; arrays are overwritten in place.

    Args:
        arguments: all but the last, `info`: an int, a one-letter str, or a contiguous array in
            LAPACK's order and of its type.

    Raises:
        ValueError: for an illegal argument.

    >>> diagonal, beside = np.array([2.0, 2.0]), np.array([1.0])
    >>> call("dsterf", 2, diagonal, beside)
    0
    >>> diagonal
    array([1., 3.])
    """
    info = ctypes.c_int()
    _routine(name)(*map(_pointer, arguments), ctypes.byref(info))
    if info.value < 0:
        raise ValueError(f"Argument {-info.value} of {name} is illegal. Received: {arguments}")
    return info.value


def _pointer(argument):
    if isinstance(argument, np.ndarray):
        return ctypes.byref(ctypes.c_char.from_buffer(argument))
    if isinstance(argument, str):
        return ctypes.byref(ctypes.c_char(argument.encode()))
    return ctypes.byref(ctypes.c_int(argument))


@functools.cache
def _routine(name):
    capsule = ctypes.py_object(cython_lapack.__pyx_capi__[name])
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, pointer_of.restype = ctypes.c_char_p, ctypes.c_void_p
    pointer = pointer_of(capsule, ctypes.c_char_p(name_of(capsule)))
    return ctypes.CFUNCTYPE(None)(pointer)  # CFUNCTYPE: without the lock
