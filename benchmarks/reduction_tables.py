"""Tables and a picture of what `benchmarks.reduction_methods` measured."""

import json
from pathlib import Path

import numpy as np

from keras_dss.pictures import save_picture


def read(path):
    """The content of a file of results."""
    return json.loads(Path(path).read_text())


class Tables:
    """Scores by method and modes kept, and by number of calibration sequences.

    Args:
        content: of a file of results. methods: labels in the order to show.
        sequences: how many were measured in the table of methods.
    """

    def __init__(self, content, methods, sequences):
        self.content, self.sequences = content, sequences
        self.forecast = content["kind"] == "regression"
        entries = content["entries"]
        self.original = next(self._value(e) for e in entries if e["rank"] == 0)
        entries = [e for e in entries if e["rank"]]
        self.ranks = sorted({e["rank"] for e in entries}, reverse=True)
        rows = {
            label: [e for e in entries if e["method"] == label and e["sequences"] in (0, sequences)]
            for label in methods
        }
        self.rows = {label: self._by(row, "rank") for label, row in rows.items() if row}
        counts = [e for e in entries if e["sequences"]]
        several = {(e["method"], e["rank"]) for e in counts if e["sequences"] != sequences}
        self.sizes = {
            key: self._by([e for e in counts if (e["method"], e["rank"]) == key], "sequences")
            for key in sorted(several)
        }

    def _value(self, entry):
        return entry["mse"] if self.forecast else 100.0 * entry["accuracy"]

    def _by(self, entries, key):
        """Mean and standard deviation (None of a single draw) for each value of a key."""
        groups = {}
        for entry in entries:
            groups.setdefault(entry[key], []).append(self._value(entry))
        return {
            value: (np.mean(found), np.std(found, ddof=1) if len(found) > 1 else None)
            for value, found in groups.items()
        }

    def _text(self, found):
        if found is None:
            return ""
        digits = 4 if self.forecast else 2
        mean, spread = found
        return f"{mean:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")

    @property
    def title(self):
        what = "mean squared error" if self.forecast else "accuracy in %"
        return (
            f"{self.content['model']}, {self._text((self.original, None))} with all modes; {what} "
            f"on {self.content['total']:,} test sequences after reduction, no training"
        )

    def rich(self):
        """The table of methods as a `rich.table.Table`."""
        from rich.table import Table

        table = Table("modes kept", *map(str, self.ranks), title=self.title)
        for label, row in self.rows.items():
            table.add_row(label, *(self._text(row.get(rank)) for rank in self.ranks))
        return table

    def markdown(self):
        """Both tables as Markdown."""
        lines = [f"{self.title}; mean and standard deviation of the draws:", ""]
        lines += _head(["modes kept", *map(str, self.ranks)])
        for label, row in self.rows.items():
            lines.append(_row([label, *(self._text(row.get(rank)) for rank in self.ranks)]))
        if self.sizes:
            counts = sorted({count for row in self.sizes.values() for count in row})
            lines += [
                "",
                "The same against the number of training sequences that are measured:",
                "",
            ]
            lines += _head(["sequences", *map(str, counts)])
            for (label, rank), row in self.sizes.items():
                values = (self._text(row.get(count)) for count in counts)
                lines.append(_row([f"{label}, {rank} modes", *values]))
        return "\n".join(lines)

    def plot(self, path):
        """Writes a picture of the scores against the modes kept."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 5.2), layout="constrained")
        axis = figure.subplots()
        for index, (label, row) in enumerate(self.rows.items()):
            ranks = sorted(row)
            means = [row[rank][0] for rank in ranks]
            spread = [row[rank][1] or 0.0 for rank in ranks]
            style = "-" if "inputs" in label or label.startswith("the same") else "--"
            color = f"C{index % 10}"
            axis.errorbar(
                ranks, means, spread, label=label, linestyle=style, color=color, marker="o",
                markersize=3, capsize=2,
            )  # fmt: skip
        axis.axhline(self.original, color="black", linewidth=1, label="all modes")
        axis.set_xscale("log", base=2)
        axis.set_xticks(self.ranks, map(str, self.ranks))
        axis.set_xlabel("modes kept in each feature")
        axis.set_ylabel("mean squared error" if self.forecast else "accuracy in %")
        if self.forecast:
            axis.set_yscale("log")
        axis.grid(alpha=0.3)
        figure.legend(loc="outside right center", fontsize="small")
        figure.suptitle(f"{self.content['model']}: dashed without, solid with measured inputs")
        save_picture(figure, path)


def _head(cells):
    return [_row(cells), "|---" * len(cells) + "|"]


def _row(cells):
    return "| " + " | ".join(cells) + " |"
