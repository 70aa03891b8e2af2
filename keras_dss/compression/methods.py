"""The methods that reduce a DSS layer: one skeleton, a function for each."""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_dss import ssm


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to reduce the systems of a layer.

    Attributes:
        title: what it is, in a few words.
        reduce: `(system, rank, options)` to a `DiagonalSystem` or an object with the attributes of
            `keras_dss.ssm.BalancedTruncation`; `options` is a `Options`.
        calibrated: whether it takes a measured Gramian.
        eigenvalues: `"per_feature"` or `"shared"`: what the rebuilt layer holds.
    """

    title: str
    reduce: Callable
    calibrated: bool = False
    eigenvalues: str = "per_feature"


@dataclasses.dataclass(frozen=True, eq=False)
class Options:
    """What a method may know beside the system and the rank.

    Attributes:
        gramian: measured controllability Gramian of the layer, or None.
        horizon: steps that count, or None for all of them.
    """

    gramian: np.ndarray | None = None
    horizon: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class LayerReduction(ssm.BalancedTruncation):
    """A reduced layer: what `keras_dss.ssm.balanced_truncation` tells, for any method.

    Attributes:
        eigenvalues: `"per_feature"` or `"shared"`, of the layer to be built.
    """

    eigenvalues: str = "per_feature"


def _balanced(system, rank, options):
    # growing modes serve a finite kernel as well as any
    return ssm.balanced_truncation(
        system,
        rank,
        horizon=options.horizon,
        controllability=options.gramian,
        stable=options.horizon is None,
    )


METHODS = {
    "balanced": Method("balanced truncation of the real system", _balanced, calibrated=True),
    "modal": Method(
        "modes of the largest H2 energy",
        lambda system, rank, options: ssm.modal_truncation(system, rank),
    ),
    "modal_refit": Method(
        "modes of the largest H2 energy, residues refitted in H2",
        lambda system, rank, options: ssm.modal_truncation(system, rank, refit=True),
    ),
    "complex": Method(
        "balanced truncation of the complex modes alone",
        lambda system, rank, options: ssm.complex_balanced_truncation(system, rank),
    ),
}


def check_method(method, calibrated=False):
    """The `Method` of a name.

    Raises:
        ValueError: for a name that is not in `METHODS`, or calibration with a method that does not
            use it.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {tuple(METHODS)}. Received: method={method!r}")
    if calibrated and not METHODS[method].calibrated:
        users = ", ".join(f"method={name!r}" for name, m in METHODS.items() if m.calibrated)
        raise ValueError(
            f"Only {users} uses calibration inputs. Received: calibration with method={method!r}"
        )
    return METHODS[method]


def reduce_layer(path, layer, system, rank, method, *, gramian=None, horizon=None):
    """Reduce the systems of one layer.

    Args:
        path: of the layer, for messages. layer: the `DSS` layer.
        system: its `DiagonalSystem`, (H, N) or (2, H, N).
        rank: modes to keep in each feature. method: a name in `METHODS`.
        gramian: measured controllability Gramian, or None for the exact one.
        horizon: steps that count, None for all; of a softmax layer at most its kernel length.

    Returns:
        A `LayerReduction`.

    Raises:
        ValueError: for an unknown method.
        keras_dss.ssm.UnstableSystemError: for a pole on or outside the unit circle, where the
            method needs none.
    """
    chosen = check_method(method, gramian is not None)
    if layer.parameterization == "softmax":
        horizon = min(horizon or layer.kernel_length, layer.kernel_length)
    try:
        found = chosen.reduce(system, rank, Options(gramian=gramian, horizon=horizon))
        if isinstance(found, ssm.DiagonalSystem):
            found = _described(system, found)
    except ssm.UnstableSystemError as error:
        raise ssm.UnstableSystemError(f"Layer {path!r} cannot be reduced: {error}") from error
    fields = {f.name: getattr(found, f.name) for f in dataclasses.fields(ssm.BalancedTruncation)}
    return LayerReduction(**fields, eigenvalues=chosen.eigenvalues)


def _described(system, reduced):
    """The description of a reduction that proves no bound."""
    return ssm.BalancedTruncation(
        system=reduced,
        hankel_singular_values=ssm.hankel_singular_values(system),
        error_bound=np.full(system.shape, np.nan),
        order=np.full(system.shape, 2 * reduced.num_modes),
        condition=np.ones(system.shape),
        stable=np.all(np.abs(reduced.poles) < 1.0, axis=-1),
        original=system,
    )
