"""Trials that no other beats, and their picture."""

from keras_dss.pictures import save_picture

SIZES = ("states", "bytes")


def pareto_front(trials, quality="quality", sizes=SIZES):
    """The trials that no other one beats in every respect.

    Args:
        trials: dicts whose `metrics` hold the names below, as `Ledger.trials`.
        quality: metric of which more is better. sizes: metrics of which less is better.

    Returns:
        list, the smallest first; of trials that are equal in all of these the first one.

    Example:

    >>> rows = [(0.9, 64), (0.9, 32), (0.7, 8), (0.6, 16)]
    >>> trials = [{"metrics": {"quality": q, "states": s}} for q, s in rows]
    >>> [trial["metrics"]["states"] for trial in pareto_front(trials, sizes=["states"])]
    [8, 32]
    """

    def point(trial):
        metrics = trial["metrics"]
        return (*(metrics[name] for name in sizes), -metrics[quality])

    first = {}
    for trial in trials:
        first.setdefault(point(trial), trial)
    front = [
        place
        for place in first
        if not any(
            other != place and all(a <= b for a, b in zip(other, place, strict=True))
            for other in first
        )
    ]
    return [first[place] for place in sorted(front)]


def draw_front(path, trials, original, chosen=None, *, quality="quality", title="", label=None):
    """Writes a picture of quality against states and against bytes.

    Args:
        path: the file, replaced as a whole. trials: as for `pareto_front`.
        original: metrics of the model before, or None. chosen: the trial that is taken, or None.
        quality: the metric. title: of the picture. label: of the quality, its name if None.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, StrMethodFormatter

    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    for axis, size in zip(figure.subplots(1, 2, sharey=True), SIZES, strict=True):
        rows = [(trial["metrics"][size], trial["metrics"][quality]) for trial in trials]
        axis.scatter(*zip(*rows, strict=True), s=18, color="0.6", label="trials")
        front = pareto_front(trials, quality, [size])
        rows = [(trial["metrics"][size], trial["metrics"][quality]) for trial in front]
        axis.step(*zip(*rows, strict=True), where="post", color="C0", label="Pareto front")
        axis.scatter(*zip(*rows, strict=True), s=26, color="C0", zorder=3)
        if original:
            place = original[size], original[quality]
            axis.axhline(place[1], color="black", linestyle="--", linewidth=1)
            axis.scatter(*place, marker="s", s=40, color="black", zorder=3, label="original")
        if chosen:
            place = chosen["metrics"][size], chosen["metrics"][quality]
            axis.scatter(*place, marker="*", s=190, color="C3", zorder=4, label="chosen")
        if size == "states":
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        else:
            axis.xaxis.set_major_formatter(EngFormatter())
        axis.set_xlabel(size)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel(label or quality)
    figure.axes[0].legend(loc="lower right")
    figure.suptitle(title)
    save_picture(figure, path)
