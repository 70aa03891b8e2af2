"""Singular perturbation of the balanced real system: reduction with the DC gain of the original."""

import dataclasses

import numpy as np

from keras_dss.ssm.balanced import reduce_balanced
from keras_dss.ssm.system import DiagonalSystem, check_stable, check_system

SMALLEST = 1e-4  # modulus of a pole: residues are divided by it


def singular_perturbation(system, rank, *, controllability=None):
    r"""Reduce every feature to at most `rank` modes, with the gain at frequency zero unchanged.

    Of the balanced real system `x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k` the weak states are
    not cut off but taken to be at rest, `x_2 = A_21 x_1 + A_22 x_2 + B_2 u`, so that

        A_r = A_11 + A_12 (I - A_22)^{-1} A_21,     B_r = B_1 + A_12 (I - A_22)^{-1} B_2,
        C_r = C_1 + C_2 (I - A_22)^{-1} A_21,       D_r = D + C_2 (I - A_22)^{-1} B_2

    and `G_r(1) = G(1)`. It is close where balanced truncation is not, at low frequencies, and
    obeys the same bound; the feedthrough changes. The order kept is the largest whose modes fit
    the rank, without poles next to zero.

    Args:
        system: a stable `DiagonalSystem` of `N` modes.
        rank: modes to keep, an int with `1 <= rank <= N`; `N` returns the system itself.
        controllability: a Gramian in place of the exact one, as for `balanced_truncation`.

    Returns:
        A `BalancedTruncation`; its Hankel values are those of the taps from lag 1 on.

    Raises:
        ValueError: where the rank or the Gramian does not fit.
        UnstableSystemError: for |a| >= 1.

    >>> from keras_dss.ssm import DiagonalSystem
    >>> system = DiagonalSystem(poles=[0.9, 0.5, 0.1], residues=[1.0, 1.0, 1.0])
    >>> reduced = singular_perturbation(system, rank=1).system
    >>> bool(np.isclose(reduced.frequency_response(0.0), system.frequency_response(0.0)))
    True

    Source: Liu & Anderson (1989), discrete time.
    """
    check_stable(check_system(system), "Singular perturbation")
    # The taps from lag 1 on are those of a strictly proper system, lag 0 is its feedthrough.
    proper = DiagonalSystem(system.poles, system.residues * system.poles)
    found = reduce_balanced(proper, rank, None, controllability, True, _perturbed, SMALLEST)
    if rank == system.num_modes:
        return dataclasses.replace(found, system=system, original=system)
    poles, residues = found.system.poles, found.system.residues
    residues = np.divide(residues, poles, out=np.zeros_like(residues), where=poles != 0.0)
    feedthrough = dc_gain(system) - dc_gain(DiagonalSystem(poles, residues))
    reduced = DiagonalSystem(poles, residues, feedthrough)
    return dataclasses.replace(found, system=reduced, original=system)


def dc_gain(system):
    """`G(1) = D + Re sum_n c_n/(1 - a_n)`."""
    return system.feedthrough + (system.residues / (1.0 - system.poles)).real.sum(axis=-1)


def _perturbed(a, b, c):
    def realisation(group, m):
        a_, b_, c_ = a[group], b[group][..., None], c[group]
        gap = np.eye(a_.shape[-1] - m) - a_[:, m:, m:]
        right = np.concatenate([a_[:, m:, :m], b_[:, m:]], axis=-1)
        rest = np.linalg.solve(gap, right)  # (G, ., m + 1)
        with_input = np.concatenate([a_[:, :m, :m], b_[:, :m]], axis=-1) + a_[:, :m, m:] @ rest
        outputs = c_[:, :, :m] + c_[:, :, m:] @ rest[..., :m]
        return with_input[..., :m], with_input[..., m], outputs

    return realisation
