"""Pictures of trainings: loss and accuracy against epochs."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from recipes.files import replacing  # noqa: E402


def draw_training(history, name, path):
    """Write one model's loss and accuracy, training and validation, against the epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for key, label in ((quantity, "training"), (f"validation_{quantity}", "validation")):
            _line(axis, history, key, label)
        _finish(axis, quantity)
    figure.suptitle(name)
    _write(figure, path)


def draw_comparison(histories, title, path):
    """Write the validation loss and accuracy of several models, `{name: history}`."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for name, history in histories.items():
            _line(axis, history, f"validation_{quantity}", name)
        _finish(axis, f"validation {quantity}")
    figure.suptitle(title)
    _write(figure, path)


def _line(axis, history, key, label):
    scale = 100.0 if "accuracy" in key else 1.0
    epochs, values = [row["epoch"] for row in history], [scale * row[key] for row in history]
    axis.plot(epochs, values, label=label, marker="o", markersize=3)


def _finish(axis, quantity):
    axis.set_xlabel("epoch")
    axis.set_ylabel(f"{quantity} (%)" if "accuracy" in quantity else f"{quantity} (nats)")
    axis.grid(alpha=0.3)
    axis.legend()


def _write(figure, path):
    try:
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=120)
    finally:
        plt.close(figure)
