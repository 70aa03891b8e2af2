"""What a reduction did to each layer, and to the model's answers."""

import dataclasses
import io

import numpy as np

from keras_dss.compression.layer_report import LayerReport
from keras_dss.compression.outputs import OutputChange
from keras_dss.pictures import save_picture

__all__ = ["CompressionReport", "LayerReport"]
WIDTH = 100  # of the printed table


@dataclasses.dataclass(frozen=True, eq=False)
class CompressionReport:
    """All DSS layers of a model before and after; prints as a table.

    Attributes:
        model: name of the model.
        method: a name in `keras_dss.compression.METHODS`.
        calibrated: whether the controllability Gramians were measured on inputs.
        target: what was asked for, in words: a rank, a tolerance or a budget.
        layers: tuple of `LayerReport`.
        parameters_before, parameters_after: weights of the whole model.
        outputs: `OutputChange` of the model's outputs on calibration inputs, None without them.
    """

    model: str
    method: str
    calibrated: bool
    target: str
    layers: tuple
    parameters_before: int
    parameters_after: int
    outputs: OutputChange | None = None

    @property
    def states_before(self):
        """Modes over all layers, features and directions."""
        return sum(layer.states_before for layer in self.layers)

    @property
    def states_after(self):
        """The same afterwards."""
        return sum(layer.states_after for layer in self.layers)

    @property
    def notes(self):
        """What a reader should know, sentences that name the layers."""
        where = {}
        for layer in self.layers:
            for note in layer.notes:
                where.setdefault(note, []).append(layer.path)
        every = len(self.layers) if len(self.layers) > 1 else None
        return tuple(
            f"{note}: {'every layer' if len(paths) == every else ', '.join(paths)}"
            for note, paths in where.items()
        )

    def to_dict(self):
        """Plain Python values, for JSON."""
        return {
            "model": self.model,
            "method": self.method,
            "calibrated": self.calibrated,
            "target": self.target,
            "states_before": self.states_before,
            "states_after": self.states_after,
            "parameters_before": self.parameters_before,
            "parameters_after": self.parameters_after,
            "outputs": self.outputs and dataclasses.asdict(self.outputs),
            "notes": list(self.notes),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def table(self):
        """The report as a `rich.table.Table`, a row for each layer."""
        from rich import box
        from rich.table import Table

        gramian = "measured Gramian" if self.calibrated else "exact Gramians"
        how = f"{self.method}, {gramian}" if self.method == "balanced" else self.method
        title = f"{self.model}: {how}, {self.target}"
        table = Table(title=title, caption="\n".join(self.facts()), box=box.SIMPLE_HEAD)
        table.title_justify = table.caption_justify = "left"
        table.add_column("layer", overflow="fold")
        for name in ("modes", "parameters", "H-inf", "bound", "H2", "condition"):
            table.add_column(name, justify="right", no_wrap=True)
        for layer in self.layers:
            table.add_row(
                layer.path,
                _change(layer.rank_before, layer.rank_after),
                _change(layer.parameters_before, layer.parameters_after),
                _relative(layer.hinf_error, layer.hinf_norm),
                _relative(layer.error_bound, layer.hinf_norm),
                _relative(layer.h2_error, layer.h2_norm),
                "" if layer.condition is None else f"{layer.condition:.0e}",
            )
        return table

    def facts(self):
        """What stands below the table, a list of lines."""
        lines = [
            "H-inf, bound and H2: errors of the layers, relative to their norms",
            f"whole model: {_change(self.states_before, self.states_after)} states, "
            f"{_change(self.parameters_before, self.parameters_after)} parameters",
        ]
        if self.outputs:
            answers = self.outputs
            line = f"outputs on {answers.sequences} sequences changed by {answers.relative_l2:.2%}"
            if answers.agreement is not None:
                line += f", the largest entry is the same in {answers.agreement:.2%}"
            lines.append(line)
        return lines + list(self.notes)

    def __str__(self):
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=WIDTH).print(self.table())
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def plot(self, path):
        """Writes a picture of the Hankel singular values of every layer.

        A panel for each reduced layer: the median and the range over the features of the values
        relative to the largest, against their index; a line marks the order that was kept at most.
        """
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
        save_picture(figure, path)


def _change(before, after):
    return f"{before:,} -> {after:,}" if before != after else f"{before:,}"


def _relative(value, norm):
    if value is None or not norm:
        return ""
    return f"{value / norm:.1e}"
