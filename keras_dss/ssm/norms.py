"""The H2 norm in closed form."""

import numpy as np

from keras_dss.ssm.basis import orthonormal_basis
from keras_dss.ssm.parallel import map_chunks
from keras_dss.ssm.system import check_stable, check_system


def h2_norm(system):
    r"""The H2 norm `sqrt(sum_l K_l^2)` of the real system, feedthrough included.

    In an orthonormal basis of functions f_k (see `basis`) the impulse response without `D` has
    coordinates `t_k = Re sum_n c_n f_k(a_n)`, so the norm is a sum of squares,

        ||G||_2^2 = sum_k t_k^2,

    with a feedthrough (Re sum_n c_n + D)^2 plus that of c_n a_n, the lags from one on,
    and that of an error system is accurate to rounding of the systems themselves; the textbook
    form `sum_ij c_i conj(c_j)/(1 - a_i conj(a_j))` would leave only half of the digits.

    Args:
        system: a stable `DiagonalSystem`.

    Returns:
        float64 array `(...,)`.

    Raises:
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> float(DiagonalSystem(poles=[0.6], residues=[0.8]).h2_norm())
    1.0
    """
    check_stable(check_system(system), "The H2 norm")
    poles = system.poles.reshape(-1, system.num_modes)
    residues = system.residues.reshape(poles.shape)
    through = system.feedthrough.reshape(-1)
    direct = np.where(through == 0.0, 0.0, residues.real.sum(axis=-1) + through)
    residues = np.where(through[:, None] == 0.0, residues, residues * poles)
    scale = np.maximum(np.abs(residues).max(axis=-1, initial=0.0), np.finfo(float).tiny)
    residues = residues / scale[:, None]
    square = np.zeros(len(poles))

    def work(part):
        basis, _ = orthonormal_basis(poles[part], np.abs(residues[part]), tolerance=1e-34)
        t = np.einsum("bnr,bn->br", basis, residues[part]).real
        square[part] = (t * t).sum(axis=-1)

    map_chunks(work, len(poles))
    return np.hypot(scale * np.sqrt(square), direct).reshape(system.shape)
