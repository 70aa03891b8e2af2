"""What a reduction did to each layer."""

import dataclasses
import io
import os

import numpy as np

RTOL = 1e-3  # relative tolerance of the certified H-infinity errors


@dataclasses.dataclass(frozen=True, eq=False)
class LayerReport:
    """One DSS layer before and after.

    Attributes:
        path: of the layer in the model.
        rank_before, rank_after: modes of each feature.
        states_before, states_after: modes of all features and directions.
        parameters_before, parameters_after: weights of the layer (lambda, dt, W and D).
        hankel_singular_values: float64 (..., H, 2N) of the real systems, descending, None if
            the layer was skipped.
        hinf_norm: of the original layer, the largest over the features.
        hinf_error: of the reduction, the largest over the features, certified to 0.1 %.
        h2_error, h2_norm: H2 norms over all features, root of the sum of squares.
        error_bound: upper bound of `hinf_error`: 2 sum of the dropped Hankel values of the worst
            feature for balanced truncation with exact Gramians, the certified upper end of the
            H-infinity error itself otherwise.
        condition: largest condition number of the re-diagonalisation.
        stable: whether every reduced pole lies inside the unit circle.
        reason: why the layer was skipped, None if it was reduced.
    """

    path: str
    rank_before: int
    rank_after: int
    states_before: int
    states_after: int
    parameters_before: int
    parameters_after: int
    hankel_singular_values: np.ndarray | None = None
    hinf_norm: float | None = None
    hinf_error: float | None = None
    h2_norm: float | None = None
    h2_error: float | None = None
    error_bound: float | None = None
    condition: float | None = None
    stable: bool | None = None
    reason: str | None = None

    @classmethod
    def skipped(cls, path, layer, reason):
        rank, parameters = layer.state_size, layer.count_params()
        states = _channels(layer) * rank
        return cls(path, rank, rank, states, states, parameters, parameters, reason=reason)

    @classmethod
    def reduced(cls, path, layer, system, reduction):
        rank, channels = reduction.system.num_modes, _channels(layer)
        features = layer.log_dt.shape[0]
        stable = bool(np.all(reduction.stable))
        norms = {}
        if system.is_stable and stable:
            error = reduction.hinf_error(rtol=RTOL)
            bound = np.where(
                np.isnan(reduction.error_bound), error * (1.0 + RTOL), reduction.error_bound
            )
            norms = {
                "hinf_norm": float(np.max(system.hinf_norm(rtol=RTOL))),
                "hinf_error": float(np.max(error)),
                "error_bound": float(np.max(bound)),
                "h2_norm": float(np.sqrt(np.sum(np.square(system.h2_norm())))),
                "h2_error": float(np.sqrt(np.sum(np.square(reduction.h2_error())))),
            }
        return cls(
            path=path,
            rank_before=layer.state_size,
            rank_after=rank,
            states_before=channels * layer.state_size,
            states_after=channels * rank,
            parameters_before=layer.count_params(),
            parameters_after=4 * channels * rank + 2 * features,
            hankel_singular_values=reduction.hankel_singular_values,
            condition=float(np.max(reduction.condition)),
            stable=stable,
            **norms,
        )

    def to_dict(self):
        """Plain Python values; of the Hankel values the largest of each feature's index."""
        values = dataclasses.asdict(self)
        hankel = values.pop("hankel_singular_values")
        if hankel is not None:
            largest = np.asarray(hankel).reshape(-1, np.shape(hankel)[-1]).max(axis=0)
            values["hankel_singular_values_max"] = [float(v) for v in largest]
        return values


@dataclasses.dataclass(frozen=True, eq=False)
class CompressionReport:
    """All DSS layers of a model before and after; prints as a table.

    Attributes:
        model: name of the model.
        method: one of `keras_dss.compression.METHODS`.
        calibrated: whether the controllability Gramians were measured on inputs.
        layers: tuple of `LayerReport`.
        parameters_before, parameters_after: weights of the whole model.
    """

    model: str
    method: str
    calibrated: bool
    layers: tuple
    parameters_before: int
    parameters_after: int

    @property
    def states_before(self):
        return sum(layer.states_before for layer in self.layers)

    @property
    def states_after(self):
        return sum(layer.states_after for layer in self.layers)

    def to_dict(self):
        """Plain Python values, for JSON."""
        return {
            "model": self.model,
            "method": self.method,
            "calibrated": self.calibrated,
            "states_before": self.states_before,
            "states_after": self.states_after,
            "parameters_before": self.parameters_before,
            "parameters_after": self.parameters_after,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def table(self):
        """The report as a `rich.table.Table`, a row for each layer."""
        from rich import box
        from rich.table import Table

        gramian = "measured controllability Gramian" if self.calibrated else "exact Gramians"
        how = f"{self.method}, {gramian}" if self.method == "balanced" else self.method
        table = Table(title=f"{self.model}: {how}", box=box.SIMPLE_HEAD)
        for name in ("layer", "modes", "states", "parameters"):
            table.add_column(name, justify="left" if name == "layer" else "right")
        for name in ("H-inf error", "bound", "H2 error", "condition", "note"):
            table.add_column(name, justify="left" if name == "note" else "right")
        for layer in self.layers:
            table.add_row(
                layer.path,
                _change(layer.rank_before, layer.rank_after),
                _change(layer.states_before, layer.states_after),
                _change(layer.parameters_before, layer.parameters_after),
                _relative(layer.hinf_error, layer.hinf_norm),
                _relative(layer.error_bound, layer.hinf_norm),
                _relative(layer.h2_error, layer.h2_norm),
                "" if layer.condition is None else f"{layer.condition:.1e}",
                self._note(layer),
            )
        table.add_section()
        table.add_row(
            "model",
            "",
            _change(self.states_before, self.states_after),
            _change(self.parameters_before, self.parameters_after),
        )
        table.caption = "errors and bounds relative to the norm of the original layer"
        return table

    @staticmethod
    def _note(layer):
        if layer.reason:
            return f"skipped: {layer.reason}"
        notes = []
        if layer.stable is False:
            notes.append("unstable")
        if layer.parameters_after > layer.parameters_before:
            notes.append("more parameters than before")
        return ", ".join(notes)

    def __str__(self):
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=130).print(self.table())
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def plot(self, path):
        """Writes a picture of the Hankel singular values of every layer as PNG.

        A panel for each reduced layer: the median and the range over the features of the values
        relative to the largest, against their index; a line marks the order that was kept at most.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        layers = [layer for layer in self.layers if layer.hankel_singular_values is not None]
        if not layers:
            raise ValueError("There is nothing to draw: every layer was skipped.")
        columns = min(3, len(layers))
        rows = -(-len(layers) // columns)
        figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis, layer in zip(axes.flat, layers, strict=False):
            values = layer.hankel_singular_values
            values = values.reshape(-1, values.shape[-1])
            values = np.maximum(values / np.maximum(values[:, :1], 1e-300), 1e-17)
            index = np.arange(1, values.shape[-1] + 1)
            axis.fill_between(
                index, values.min(axis=0), values.max(axis=0), alpha=0.25, label="all features"
            )
            axis.semilogy(index, np.median(values, axis=0), label="median feature")
            axis.axvline(2 * layer.rank_after, color="black", linestyle="--", linewidth=1)
            axis.set_title(f"{layer.path}: {layer.rank_before} to {layer.rank_after} modes")
            axis.grid(alpha=0.3)
        for axis in axes.flat[len(layers) :]:
            axis.set_visible(False)
        axes.flat[0].set_ylim(1e-16, 2.0)
        axes.flat[0].legend(loc="lower left")
        figure.supxlabel("index (dashed: real states kept, two a mode)")
        figure.supylabel("Hankel value / largest")
        figure.suptitle(self.model)
        FigureCanvasAgg(figure)
        temporary = f"{os.fspath(path)}.{os.getpid()}.tmp"
        figure.savefig(temporary, format="png", dpi=120)
        os.replace(temporary, path)


def _channels(layer):
    return layer.log_dt.shape[0] * (2 if layer.bidirectional else 1)


def _change(before, after):
    return f"{before:,} -> {after:,}" if before != after else f"{before:,}"


def _relative(value, norm):
    if value is None or not norm:
        return ""
    return f"{value / norm:.2e}"
