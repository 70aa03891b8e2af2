"""The methods that reduce a DSS layer: one skeleton, a function for each."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from keras_dss import ssm
from keras_dss.compression import layer_methods
from keras_dss.initializers import ReducedRank
from keras_dss.layers.dss import reduced_config
from keras_dss.layers.parameters import residue_ratio

REFITS = (None, "kernel", "calibration")


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to reduce the systems of a layer.

    Attributes:
        title: what it is, in a few words.
        reduce: `(system, rank, options)` to a `DiagonalSystem` or an object with the attributes of
            `keras_dss.ssm.BalancedTruncation`; `options` are `layer_methods.Options`.
        calibrated: whether it uses measured inputs. sequences: the sequences themselves, not only
            the Gramian that they drive.
        horizon: whether it uses a horizon.
        apart: whether each feature and direction is reduced as if it were alone.
        eigenvalues: `"per_feature"` or `"shared"`: what the rebuilt layer holds.
    """

    title: str
    reduce: Callable
    calibrated: bool = False
    sequences: bool = False
    horizon: bool = False
    apart: bool = True
    eigenvalues: str = "per_feature"


@dataclasses.dataclass(frozen=True, eq=False)
class LayerReduction(ssm.BalancedTruncation):
    """A reduced layer: what `keras_dss.ssm.balanced_truncation` tells, for any method.

    Attributes:
        path: of the layer, for messages.
        eigenvalues: `"per_feature"` or `"shared"`, of the layer to be built.
        shared: the shared eigenvalues lambda, complex `(rank,)`, or None.
    """

    path: str = ""
    eigenvalues: str = "per_feature"
    shared: np.ndarray | None = None

    def config(self, layer):
        """Configuration of the reduced layer, as `keras_dss.layers.dss.reduced_config`.

        Raises:
            ValueError: for a system that no layer like the given one computes.
        """
        try:
            return self._config(layer)
        except ValueError as error:
            raise ValueError(f"Layer {self.path!r} cannot be reduced: {error}") from error

    def _config(self, layer):
        log_dt = np.asarray(keras.ops.convert_to_numpy(layer.log_dt), "float64")
        config = reduced_config(layer, self.system, log_dt)
        if self.shared is None:
            return config
        step = (layer.rate * np.exp(log_dt))[:, None]  # (H, 1)
        ratio = residue_ratio(step * self.shared, layer.kernel_length)  # (H, R)
        weights = self.system.residues / (step * ratio)  # (..., H, R)
        re = self.shared.real
        values = {
            "lambda_re": np.log(-re) if layer.parameterization == "exp" else re,
            "lambda_im": self.shared.imag,
            "w": np.stack([weights.real, weights.imag], axis=-1),
        }
        config["eigenvalues"] = "shared"
        for name, value in values.items():
            initializer = keras.initializers.serialize(ReducedRank(value, layer.ssm_dtype))
            config[f"{name}_initializer"] = initializer
        return config


METHODS = {
    "balanced": Method(
        "balanced truncation of the real system",
        layer_methods.balanced,
        calibrated=True,
        horizon=True,
    ),
    "singular_perturbation": Method(
        "singular perturbation of the balanced real system",
        layer_methods.singular_perturbation,
        calibrated=True,
        apart=False,
    ),
    "finite_horizon": Method(
        "balanced truncation over a finite horizon",
        layer_methods.finite_horizon,
        calibrated=True,
        horizon=True,
    ),
    "shared": Method(
        "H2-optimal with eigenvalues shared by all features",
        layer_methods.shared,
        calibrated=True,
        sequences=True,
        apart=False,
        eigenvalues="shared",
    ),
    "h2_optimal": Method(
        "H2-optimal poles and residues",
        layer_methods.h2_optimal,
        calibrated=True,
        sequences=True,
        apart=False,
    ),
    "modal": Method(
        "modes of the largest H2 energy",
        lambda system, rank, options: ssm.modal_truncation(system, rank),
    ),
    "modal_hinf": Method(
        "modes of the largest H-infinity score",
        lambda system, rank, options: ssm.modal_truncation(system, rank, score="hinf"),
    ),
    "modal_refit": Method(
        "modes of the largest H2 energy, residues refitted in H2",
        lambda system, rank, options: ssm.modal_truncation(system, rank, refit=True),
    ),
    "complex": Method(
        "balanced truncation of the complex modes alone",
        lambda system, rank, options: ssm.complex_balanced_truncation(system, rank),
    ),
    "random": Method(
        "modes drawn at random",
        lambda system, rank, options: ssm.random_truncation(system, rank, seed=options.seed),
        apart=False,
    ),
}


def check_method(method, calibrated=False, horizon=None, refit=None, *, compared=False):
    """The `Method` of a name.

    Args:
        method: the name. calibrated: whether there are calibration inputs.
        horizon, refit: as `keras_dss.compress_model` takes them.
        compared: whether outputs on the calibration inputs are compared, whatever the method.

    Raises:
        ValueError: for a name that is not in `METHODS`, or an option that nothing uses.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {tuple(METHODS)}. Received: method={method!r}")
    if refit not in REFITS:
        raise ValueError(f"`refit` must be one of {REFITS}. Received: refit={refit!r}")
    found = METHODS[method]
    if refit == "calibration" and not calibrated:
        raise ValueError("refit='calibration' needs calibration inputs. Received: calibration=None")
    if calibrated and not (found.calibrated or refit == "calibration" or compared):
        users = ", ".join(repr(name) for name, m in METHODS.items() if m.calibrated)
        raise ValueError(
            f"Only methods {users} and refit='calibration' use calibration inputs. "
            f"Received: calibration with method={method!r}"
        )
    if horizon is not None and not found.horizon:
        users = ", ".join(repr(name) for name, m in METHODS.items() if m.horizon)
        raise ValueError(
            f"Only methods {users} use a horizon. Received: horizon={horizon!r} with "
            f"method={method!r}"
        )
    return found


def reduce_layer(
    path,
    layer,
    system,
    rank,
    method,
    *,
    inputs=None,
    horizon=None,
    refit=None,
    seed=0,
    stable=False,
):
    """Reduce the systems of one layer.

    Args:
        path: of the layer, for messages. layer: the `DSS` layer.
        system: its `DiagonalSystem`, (H, N) or (2, H, N), or that of some of its features.
        rank: modes to keep in each feature. method: a name in `METHODS`.
        inputs: `keras_dss.compression.calibration.MeasuredInputs` of the same systems, or None.
        horizon: steps that count, None for all; of a softmax layer at most its kernel length.
        refit: None, or which least squares problem gives the residues anew at the reduced poles:
            `"kernel"` that of the impulse response, `"calibration"` that of the outputs on the
            measured inputs; D is fitted with them.
        seed: of methods that draw.
        stable: whether no mode may grow: stable softmax layers are then balanced over all steps.

    Returns:
        A `LayerReduction`.

    Raises:
        ValueError: for an unknown method, or options that do not fit it.
        keras_dss.ssm.UnstableSystemError: for a pole on or outside the unit circle, where the
            method needs none.
    """
    chosen = check_method(method, inputs is not None, horizon, refit)
    if layer.parameterization == "softmax" and chosen.horizon:
        if horizon is not None or not (stable or refit) or not system.is_stable:
            horizon = min(horizon or layer.kernel_length, layer.kernel_length)
    options = layer_methods.Options(layer, inputs, horizon, seed)
    shared = None
    try:
        found = chosen.reduce(system, rank, options)
        if chosen.eigenvalues == "shared":
            shared, found = found
        if isinstance(found, ssm.DiagonalSystem):
            found = _described(system, found)
        if refit is not None:
            found = _refitted(found, options.sequences if refit == "calibration" else None)
    except ssm.UnstableSystemError as error:
        raise ssm.UnstableSystemError(f"Layer {path!r} cannot be reduced: {error}") from error
    fields = {f.name: getattr(found, f.name) for f in dataclasses.fields(ssm.BalancedTruncation)}
    return LayerReduction(**fields, path=path, eigenvalues=chosen.eigenvalues, shared=shared)


def _refitted(found, sequences):
    def refit(system, reduced, **options):
        return ssm.refit_residues(system, reduced.poles, **options)

    system = layer_methods.by_direction(refit, found.original, found.system, sequences)
    bound = np.full(system.shape, np.nan)
    return dataclasses.replace(found, system=system, error_bound=bound)


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
