"""The error bound of balanced truncation against the true error: every layer of every model.

    python -m benchmarks.guarantees --results=benchmarks/results --picture=docs/guarantees.png \
        --write=docs/compression.md

Each feature (and direction) of each DSS layer of the published models is reduced to N/2, N/4, N/8
and N/16 modes with exact Gramians. Proven is

    sigma_{r+1} <= ||G - G_r||_inf <= 2 (sigma_{r+1} + sigma_{r+2} + ...)

and the error in the middle is certified by branch and bound to 0.1 %. A violation is a certified
lower end of the error above the bound, or an upper end below sigma_{r+1}.
"""

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results
from keras_dss.pictures import save_picture

_MODELS = flags.DEFINE_list("models", None, "Names in the zoo; all that are published if unset.")
_SHARES = flags.DEFINE_list("shares", ["2", "4", "8", "16"], "N is divided by each of these.")
_RESULTS = flags.DEFINE_string("results", None, "Folder of the results as JSON.")
_PICTURE = flags.DEFINE_string("picture", None, "PNG file of the scatter plot.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

RTOL = 1e-3


def measure(system, rank):
    """What holds for each feature, a dict of float64 `(features,)`, relative to its norm."""
    from keras_dss.ssm import balanced_truncation, hinf_bounds

    found = balanced_truncation(system, rank)
    values = found.hankel_singular_values
    next_one = np.minimum(found.order, values.shape[-1] - 1)[..., None]
    lower, upper = hinf_bounds(found.error_system, rtol=RTOL)
    norm = system.hinf_norm(rtol=RTOL)
    parts = {
        "sigma": np.take_along_axis(values, next_one, axis=-1)[..., 0],
        "lower": lower,
        "upper": upper,
        "bound": found.error_bound,
    }
    return {name: (part / norm).ravel() for name, part in parts.items()}


def violations(points):
    """How many bounds do not hold, above and below."""
    rounding = 1e-12  # of the norm
    above = np.sum(points["lower"] > points["bound"] + rounding)
    below = np.sum(points["upper"] < points["sigma"] - rounding)
    return int(above + below)


def summary(points):
    """Numbers for a row of the table."""
    tight = points["lower"] / points["bound"]
    best = points["lower"] / points["sigma"]
    return {
        "reductions": len(tight),
        "violations": violations(points),
        "error_of_bound_median": float(np.median(tight)),
        "error_of_bound_largest": float(tight.max()),
        "error_of_sigma_median": float(np.median(best)),
        "error_of_sigma_smallest": float(best.min()),
    }


def join(parts):
    """Points of several reductions together."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draw(path, by_share):
    """Writes the scatter plot: error against bound, and error against sigma_{r+1}."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    limits = []
    for i, (share, points) in enumerate(by_share.items()):
        options = {"s": 5, "alpha": 0.35, "linewidths": 0, "color": f"C{i}", "rasterized": True}
        for axis, name in zip(axes, ("bound", "sigma"), strict=True):
            axis.scatter(points[name], points["lower"], label=f"N / {share} modes", **options)
            limits += [points[name].min(), points[name].max()]
    line = np.array([min(limits), max(limits)])
    titles = "upper bound: points belong below the line", "lower bound: points belong above it"
    labels = "2 x sum of the dropped Hankel values / norm", "largest dropped Hankel value / norm"
    for axis, title, label in zip(axes, titles, labels, strict=True):
        axis.loglog(line, line, color="black", linewidth=1)
        axis.set_title(title, fontsize=11)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("certified H-infinity error / norm")
    legend = axes[1].legend(loc="lower right", markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
    save_picture(figure, path, dpi=110)


COLUMNS = (
    ("reductions", "reductions", "{:,}"),
    ("violations", "violations", "{:,}"),
    ("error / bound, median", "error_of_bound_median", "{:.3f}"),
    ("largest", "error_of_bound_largest", "{:.3f}"),
    ("error / sigma, median", "error_of_sigma_median", "{:.2f}"),
    ("smallest", "error_of_sigma_smallest", "{:.2f}"),
)


def cells(row):
    return [form.format(row[key]) for _, key, form in COLUMNS]


def markdown(rows, picture):
    lines = ["| model | " + " | ".join(name for name, _, _ in COLUMNS) + " |"]
    lines.append("|---" + "|--:" * len(COLUMNS) + "|")
    lines += [f"| {name} | " + " | ".join(cells(row)) + " |" for name, row in rows.items()]
    if picture:
        lines += ["", f"![bounds against certified errors]({picture.rpartition('/')[2]})"]
    return "\n".join(lines)


def main(_):
    from keras_dss import zoo
    from keras_dss.compression.rebuild import find_dss_layers

    console = Console()
    shares = [int(share) for share in _SHARES.value]
    rows, everything, layers_of = {}, {share: [] for share in shares}, {}
    for name in _MODELS.value or zoo.list():
        layers = find_dss_layers(zoo.load(name))
        layers_of[name], found = {}, []
        for path, layer in layers.items():
            system = layer.to_system()
            for share in shares:
                if layer.state_size < share:
                    continue
                points = measure(system, layer.state_size // share)
                layers_of[name][f"{path}, {layer.state_size // share} modes"] = summary(points)
                everything[share].append(points)
                found.append(points)
        rows[name] = summary(join(found))
        console.print(f"{name}: {rows[name]['violations']} violations")
    by_share = {share: join(parts) for share, parts in everything.items() if parts}
    rows["all"] = summary(join(list(by_share.values())))
    table = Table(title="balanced truncation: certified errors against their bounds")
    table.add_column("model", no_wrap=True)
    for name, _, _ in COLUMNS:
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *cells(row))
    console.print(table)
    if _PICTURE.value:
        draw(_PICTURE.value, by_share)
    if _RESULTS.value:
        write_results(_RESULTS.value, "guarantees", {"models": rows, "layers": layers_of})
    if _WRITE.value:
        replace_between_markers(_WRITE.value, "guarantees", markdown(rows, _PICTURE.value))
    if rows["all"]["violations"]:
        raise SystemExit(1)


if __name__ == "__main__":
    app.run(main)
