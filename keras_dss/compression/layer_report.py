"""What a reduction did to one layer."""

import dataclasses

import numpy as np

from keras_dss import ssm
from keras_dss.compression.costs import layer_parameters, layer_states


@dataclasses.dataclass(frozen=True, eq=False)
class LayerReport:
    """One DSS layer before and after.

    Errors, bounds and norms are those of the features and directions one by one.

    Attributes:
        path: of the layer in the model.
        rank_before, rank_after: modes of each feature.
        states_before, states_after: modes of all features and directions.
        parameters_before, parameters_after: weights of the layer (lambda, dt, W and D): `4 H r` and
            2 H with eigenvalues per feature, `2 r + 2 H r` and 2 H with shared ones, H counting
            features and directions in the products with r.
        eigenvalues: `"shared"` or `"per_feature"`, of the layer after.
        hankel_singular_values: float64 (..., H, 2N) of the real systems, descending, None if
            the layer was skipped.
        hinf_norm: of the original layer, the largest over the features.
        hinf_error: of the reduction, the largest over the features, certified to 0.1 %.
        h2_error, h2_norm: H2 norms over all features, root of the sum of squares.
        kernel_error, kernel_norm: `||K - K_r||_2` and `||K||_2` over the kernel length of a softmax
            layer and over all features, whether modes grow or not. None for other layers.
        error_bound: upper bound of `hinf_error`: 2 sum of the dropped Hankel values of the worst
            feature for balanced truncation with exact Gramians, the certified upper end of the
            H-infinity error itself otherwise.
        rounding: upper bound of what rounding the weights to float32 adds to `hinf_error`.
        condition: largest condition number of the re-diagonalisation.
        stable: whether every reduced pole lies inside the unit circle. Errors, norms and bound
            are None for a layer that is not stable, before or after.
        reason: why the layer was skipped, None if it was reduced. Its errors, bound and rounding
            are then zero.
    """

    path: str
    rank_before: int
    rank_after: int
    states_before: int
    states_after: int
    parameters_before: int
    parameters_after: int
    eigenvalues: str
    hankel_singular_values: np.ndarray | None = None
    hinf_norm: float | None = None
    hinf_error: float | None = None
    h2_norm: float | None = None
    h2_error: float | None = None
    kernel_norm: float | None = None
    kernel_error: float | None = None
    error_bound: float | None = None
    rounding: float | None = None
    condition: float | None = None
    stable: bool | None = None
    reason: str | None = None

    @classmethod
    def skipped(cls, path, layer, reason):
        """Of a layer that stays as it is."""
        rank, parameters = layer.state_size, layer.count_params()
        states = layer_states(layer, rank)
        none = dict.fromkeys(("hinf_error", "h2_error", "error_bound", "rounding"), 0.0)
        try:
            stable = layer.to_system().is_stable
        except ValueError:  # weights that are not finite
            stable = None
        return cls(
            path, rank, rank, states, states, parameters, parameters, layer.eigenvalues,
            stable=stable, reason=reason, **none,
        )  # fmt: skip

    @classmethod
    def reduced(cls, path, rank, reductions):
        """Of a layer that has `rank` modes now.

        Args:
            path: of the layer. rank: int. reductions: the `Reductions` of the model.
        """
        layer, system = reductions.layers[path], reductions.systems[path]
        reduction = reductions.reduction(path, rank)
        norms, length = {}, layer.kernel_length
        if length is not None:
            kernels = (ssm.finite_kernel(s, length) for s in (system, reduction.error_system))
            norms["kernel_norm"], norms["kernel_error"] = map(float, map(np.linalg.norm, kernels))
        if reductions.is_stable(path, rank):
            lower, upper = reductions.hinf_error(path, rank)
            bound = np.where(np.isnan(reduction.error_bound), upper, reduction.error_bound)
            norms |= {
                "hinf_norm": reductions.norm(path),
                "hinf_error": float(np.max(lower)),
                "error_bound": float(np.max(bound)),
                "rounding": reductions.rounding(path, rank),
                "h2_norm": float(np.sqrt(np.sum(np.square(system.h2_norm())))),
                "h2_error": float(np.sqrt(np.sum(np.square(reduction.h2_error())))),
            }
        return cls(
            path=path,
            rank_before=layer.state_size,
            rank_after=rank,
            states_before=layer_states(layer, layer.state_size),
            states_after=layer_states(layer, rank),
            parameters_before=layer.count_params(),
            parameters_after=layer_parameters(layer, rank, reduction.eigenvalues),
            eigenvalues=reduction.eigenvalues,
            hankel_singular_values=reduction.hankel_singular_values,
            condition=float(np.max(reduction.condition)),
            stable=bool(np.all(reduction.stable)),
            **norms,
        )

    @property
    def notes(self):
        """What a reader should know of this layer, a tuple of short sentences."""
        if self.reason:
            return (f"skipped: {self.reason}",)
        notes = []
        if not self.stable:
            notes.append("unstable")
        elif self.hinf_norm is None:
            notes.append("unstable before")
        elif self.rounding > 0.1 * self.hinf_error:
            notes.append(f"float32 adds up to {self.rounding / self.hinf_norm:.0e}")
        if self.kernel_error is not None and (
            self.h2_error is None or self.kernel_error > self.kernel_norm
        ):
            share = self.kernel_error / max(self.kernel_norm, np.finfo(float).tiny)
            notes.append(f"error of the kernel, relative to its norm, {share:.1e}")
        if self.parameters_after > self.parameters_before:
            notes.append("more parameters than before")
        return tuple(notes)

    def to_dict(self):
        """Plain Python values; of the Hankel values the largest of each feature's index."""
        values = dataclasses.asdict(self)
        hankel = values.pop("hankel_singular_values")
        if hankel is not None:
            largest = np.asarray(hankel).reshape(-1, np.shape(hankel)[-1]).max(axis=0)
            values["hankel_singular_values_max"] = [float(v) for v in largest]
        values["notes"] = list(self.notes)
        return values
