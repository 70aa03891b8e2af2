"""Pictures of trainings: loss and accuracy, or mean absolute error, against epochs."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from recipes.files import replacing  # noqa: E402


def draw_training(history, name, path):
    """Write one model's loss and metric, training and validation, against the epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, quantity in zip(axes, _quantities(history), strict=True):
        for key, label in ((quantity, "training"), (f"validation_{quantity}", "validation")):
            _line(axis, history, key, label)
        _finish(axis, quantity)
    figure.suptitle(name)
    _write(figure, path)


def draw_comparison(histories, title, path):
    """Write the validation loss and metric of several models, `{name: history}`."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    quantities = _quantities(next(iter(histories.values())))
    for axis, quantity in zip(axes, quantities, strict=True):
        for name, history in histories.items():
            _line(axis, history, f"validation_{quantity}", name)
        _finish(axis, quantity, "validation ")
    figure.suptitle(title)
    _write(figure, path)


def _quantities(history):
    return "loss", "accuracy" if "accuracy" in history[0] else "mae"


def _line(axis, history, key, label):
    scale = 100.0 if "accuracy" in key else 1.0
    epochs, values = [row["epoch"] for row in history], [scale * row[key] for row in history]
    axis.plot(epochs, values, label=label, marker="o", markersize=3)


def _finish(axis, quantity, prefix=""):
    unit = {"accuracy": "accuracy (%)", "mae": "mean absolute error"}.get(quantity, quantity)
    axis.set_xlabel("epoch")
    axis.set_ylabel(prefix + unit)
    axis.grid(alpha=0.3)
    axis.legend()


def _write(figure, path):
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=120)
    finally:
        plt.close(figure)
