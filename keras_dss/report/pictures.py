"""The pictures of a report: one function for each, which returns a matplotlib `Figure`."""

import numpy as np

from keras_dss.report.curves import WORDS
from keras_dss.report.style import COLORS, MARKERS, SERIES, drawing, new_figure

SMALLEST = 1e-16  # Hankel values relative to the largest; below it there is rounding
NEAR_ONE = 0.1  # poles this near to 1 cannot be told apart on the unit circle
CLOUD = 1200  # points from which on a picture holds them as pixels
BEFORE, AFTER = "before", "after"


def hankel_values(values, before=None, title="Hankel singular values"):
    """Hankel singular values over their index, relative to the largest of each feature.

    Args:
        values: (..., 2N), descending, of the model's layer. before: (..., 2M) of its parent's.
        title: of the picture.

    Returns:
        A figure: the median over the features, and the range that holds all of them.

    Example:

    >>> hankel_values(np.array([[1.0, 0.1, 0.01, 0.0]])).axes[0].get_yscale()
    'log'
    """
    with drawing():
        figure, axis = new_figure()
        if before is not None:
            _band(axis, before, COLORS["muted"], BEFORE, "--")
            _band(axis, values, COLORS["blue"], AFTER, "-")
        else:
            _band(axis, values, COLORS["blue"], "median feature", "-")
        axis.set(yscale="log", title=title)
        axis.set_ylim(max(SMALLEST, axis.get_ylim()[0]), 2.0)
        axis.set(xlabel="index (two real states a mode)", ylabel="relative to the largest")
        axis.set_xlim(left=1)
        axis.legend(loc="lower left")
    return figure


def _band(axis, values, color, label, linestyle):
    """Values of 0 are states that a feature does not have."""
    values = np.asarray(values).reshape(-1, np.shape(values)[-1])
    values = np.where(values > 0.0, values / np.maximum(values[:, :1], 1e-300), np.nan)
    values = np.maximum(values, SMALLEST)[:, ~np.isnan(values).all(axis=0)]
    index = np.arange(1, values.shape[-1] + 1)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    axis.fill_between(index, low, high, color=color, alpha=0.2, linewidth=0)
    axis.plot(index, np.nanmedian(values, axis=0), linestyle, color=color, label=label)


def kernels(after, before=None, labels=None, title="Kernels"):
    """Impulse responses of a few features, each relative to its largest entry.

    Args:
        after: (F, L) of the model's layer. before: (F, L) of its parent's, or None.
        labels: what each of the F is. title: of the picture.

    Example:

    >>> figure = kernels(np.ones((1, 20)), labels=["the only feature"])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['the only feature']
    """
    with drawing():
        figure, axis = new_figure()
        labels = labels or [f"feature {i}" for i in range(len(after))]
        lags = 1 + np.arange(np.shape(after)[-1])
        for i, (kernel, label) in enumerate(zip(after, labels, strict=True)):
            color = COLORS[SERIES[i % len(SERIES)]]
            scale = np.abs(kernel if before is None else before[i]).max() or 1.0
            if before is not None:
                axis.plot(lags, before[i] / scale, color=color, linewidth=4.0, alpha=0.35)
            axis.plot(lags, kernel / scale, color=color, linewidth=1.2, label=label)
        axis.axhline(0.0, color=COLORS["muted"], linewidth=0.8)
        axis.set(xscale="log", xlabel="lag + 1 (steps)", title=title)
        axis.set(xlim=(1, len(lags)), ylabel="relative to the largest")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.legend(loc="best")
    return figure


def plane_of(poles):
    """The plane that tells more: `"continuous"` if most poles lie near 1, else `"circle"`.

    >>> plane_of(np.array([0.99, 0.98 + 0.05j])), plane_of(np.array([0.5j, 0.99]))
    ('continuous', 'circle')
    """
    return "continuous" if np.mean(np.abs(np.asarray(poles) - 1.0) < NEAR_ONE) > 0.5 else "circle"


def pole_map(after, before=None, plane=None, title="Poles"):
    """Discrete-time poles, on the unit circle or by their decay and frequency.

    Args:
        after: complex, any shape: the poles of the model's layer. before: its parent's, or None.
        plane: `"circle"`, `"continuous"` (log a, a logarithmic plane) or None for `plane_of`.
        title: of the picture.

    Raises:
        ValueError: for another plane.

    Example:

    >>> pole_map(np.array([0.9, 0.5j])).axes[0].get_xlabel()
    'real part'
    """
    poles = {AFTER: np.asarray(after).reshape(-1)}
    if before is not None:
        poles = {BEFORE: np.asarray(before).reshape(-1)} | poles
    plane = plane or plane_of(np.concatenate(list(poles.values())))
    if plane not in ("circle", "continuous"):
        raise ValueError(f"`plane` must be 'circle' or 'continuous'. Received: plane={plane!r}")
    with drawing():
        figure, axis = new_figure(4.4, 2.75 if plane == "circle" else 3.1)
        for label, points in poles.items():
            color = COLORS["muted"] if label == BEFORE else COLORS["blue"]
            x, y = _circle(points) if plane == "circle" else _continuous(points)
            axis.scatter(
                x, y, s=9 if label == BEFORE else 7, color=color, linewidths=0,
                alpha=float(np.clip(300.0 / len(points), 0.15, 0.8)),
                label=None if before is None else f"{label}, {len(points):,}",
                rasterized=len(points) > CLOUD, marker="s" if label == BEFORE else "o",
            )  # fmt: skip
            growing = np.abs(points) >= 1.0
            if growing.any():
                axis.scatter(
                    x[growing], y[growing], s=26, color=COLORS["orange"], linewidths=1.2,
                    marker="x", label=f"growing {'' if before is None else label}".strip(),
                )  # fmt: skip
        (_circle_axes if plane == "circle" else _continuous_axes)(axis)
        axis.set_title(title)
        if axis.get_legend_handles_labels()[0]:
            where = "center" if plane == "circle" else "best"
            for handle in axis.legend(loc=where).legend_handles:
                handle.set_alpha(1.0)
    return figure


def _circle(poles):
    return poles.real, np.abs(poles.imag)  # conjugates mirror each other


def _circle_axes(axis):
    angle = np.linspace(0.0, np.pi, 200)
    axis.plot(np.cos(angle), np.sin(angle), color=COLORS["ink"], linewidth=1.0)
    axis.set(xlabel="real part", ylabel="imaginary part", aspect="equal")


def _continuous(poles):
    """Time constants, of growth where a mode grows, and frequencies; a pole at 0 as one near it."""
    logs = np.log(np.where(np.abs(poles) < 1e-30, 1e-30, poles.astype(complex)))
    return 1.0 / np.maximum(np.abs(logs.real), 1e-12), np.abs(logs.imag) / (2.0 * np.pi)


def _continuous_axes(axis):
    axis.set_xscale("log")
    axis.set_yscale("symlog", linthresh=1e-4, linscale=0.4)
    axis.set_ylim(bottom=-2e-5)
    axis.set(xlabel="time constant (steps)", ylabel="cycles a step")


def accuracy_curve(series, points=(), reference=None, metric="accuracy", title=None):
    """A metric against the number of states.

    Args:
        series: dict from labels to lists of `(states, value)` or `(states, value, spread)`.
        points: `(label, states, value)` of single models; the first of them stands out.
        reference: the value of the original, a dashed line; None for no line.
        metric: its name; `"accuracy"` is drawn in per cent.
        title: of the picture.

    Example:

    >>> figure = accuracy_curve({"balanced": [(64, 0.9), (32, 0.8)]}, reference=0.91)
    >>> figure.axes[0].get_ylabel()
    'accuracy (%)'
    """
    factor = 100.0 if metric == "accuracy" else 1.0
    with drawing():
        figure, axis = new_figure(5.6, 3.5)
        if reference is not None:
            axis.axhline(factor * reference, color=COLORS["muted"], linestyle="--", linewidth=1.2)
            axis.annotate(
                "original", (0.995, factor * reference), xycoords=("axes fraction", "data"),
                xytext=(0, 3), textcoords="offset points", ha="right", color=COLORS["muted"],
                fontsize=8.0,
            )  # fmt: skip
        for i, (label, values) in enumerate(series.items()):
            values = np.array([(*value, 0.0)[:3] for value in sorted(values)])
            states, value, spread = values.T * np.array([[1.0], [factor], [factor]])
            axis.errorbar(
                states, value, yerr=spread if spread.any() else None, label=label,
                color=COLORS[SERIES[i % len(SERIES)]], marker=MARKERS[i % len(MARKERS)],
                markersize=4.5, linestyle="-" if i < len(SERIES) else "--", capsize=2,
            )  # fmt: skip
        for i, (label, states, value) in enumerate(points):
            first = i == 0
            color = COLORS["ink" if first else "muted"]
            marker = "*" if first else "o"
            axis.scatter(
                [states], [factor * value], s=130 if first else 36, color=color, zorder=4,
                marker=marker, linewidths=0,
            )  # fmt: skip
            axis.annotate(
                label, (states, factor * value), xytext=(6, -10), textcoords="offset points",
                fontsize=8.0, color=color, annotation_clip=False,
            )  # fmt: skip
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.margins(x=0.12, y=0.12)
        axis.set(xlabel="states (modes x features x directions x layers)", title=title or "")
        word = WORDS.get(metric, metric)
        unit = {"accuracy": " (%)", "mse": ", less is better"}
        axis.set_ylabel(word + (unit | {"bits_per_character": unit["mse"]}).get(metric, ""))
        if series:
            axis.legend(loc="best")
    return figure
