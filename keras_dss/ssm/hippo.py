"""Skew-HiPPO eigenvalues."""

import numpy as np

from keras_dss.ssm.system import check_positive_integer


def skew_hippo(state_size):
    r"""Eigenvalues of Skew-HiPPO, the initial continuous-time poles of a DSS layer.

    The skew-symmetric part `(A - A^T)/2` of the HiPPO-LegS matrix of size 2N,
    `A_nk = -sqrt((2n+1)(2k+1))` below the diagonal, has 2N imaginary eigenvalues in conjugate
    pairs. Returned are the N with positive imaginary part, ascending, with real part -1/2.

    Args:
        state_size: `N`, at least 1.

    Returns:
        complex128 array of shape `(N,)`.

    Source: Gupta, Gu & Berant, "Diagonal State Spaces are as Effective as Structured State
    Spaces" (2022), section 4.

    >>> skew_hippo(2).round(4)
    array([-0.5+0.5565j, -0.5+4.6033j])
    """
    state_size = check_positive_integer("state_size", state_size)
    root = np.sqrt(2.0 * np.arange(2 * state_size) + 1.0)
    lower = np.tril(np.outer(root, root), -1)
    skew = 0.5 * (lower.T - lower)  # (2N, 2N)
    return -0.5 + 1j * np.linalg.eigvalsh(-1j * skew)[state_size:]
