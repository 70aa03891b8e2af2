"""Accuracy of a published model after reduction, without training: methods against modes kept.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.reduction_methods --model=smnist_n64 \
        --write=docs/compression.md

Every entry is the accuracy on the whole test set. The measured Gramian comes from unlabelled
training sequences. With `--write` the table replaces the one between the markers
`<!-- NAME -->` and `<!-- /NAME -->` of the file.
"""

import importlib
import time

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers

_MODEL = flags.DEFINE_string("model", "smnist_n64", "Name in the zoo.")
_RANKS = flags.DEFINE_list("ranks", ["32", "16", "8", "4", "2"], "Modes to keep.")
_CALIBRATION = flags.DEFINE_integer("calibration", 24, "Training sequences that measure Gramians.")
_EXAMPLES = flags.DEFINE_integer("examples", None, "Only so many test examples (for a quick look).")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

METHODS = {
    "balanced, complex modes only": {"method": "complex"},
    "modal truncation by H2 energy": {"method": "modal"},
    "modal, residues refitted in H2": {"method": "modal_refit"},
    "balanced, real system": {"method": "balanced"},
    "balanced, measured Gramian": {"method": "balanced", "calibrated": True},
}


def accuracy(model, x, y, batch_size=100):
    """Share of (x, y) that the model classifies right."""
    logits = model.predict(x, batch_size=batch_size, verbose=0)
    return float(np.mean(np.argmax(logits, axis=-1) == y))


def markdown(name, original, total, ranks, rows):
    """The table as Markdown, accuracies in per cent."""
    lines = [
        f"`{name}`, {original:.2%} on {total:,} test sequences; accuracy in % after reduction:",
        "",
        "| modes kept | " + " | ".join(map(str, ranks)) + " |",
        "|---" * (len(ranks) + 1) + "|",
    ]
    for method, values in rows.items():
        lines.append(f"| {method} | " + " | ".join(f"{100 * v:.2f}" for v in values) + " |")
    return "\n".join(lines)


def main(_):
    import keras_dss

    console = Console()
    name = _MODEL.value
    model = keras_dss.zoo.load(name)
    task = importlib.import_module(f"keras_dss.datasets.{keras_dss.zoo.card(name)['task']}")
    x, y = task.load("test", _DATA_DIR.value)
    x, y = x[: _EXAMPLES.value], y[: _EXAMPLES.value]
    calibration = task.load("train", _DATA_DIR.value)[0][: _CALIBRATION.value]
    original = accuracy(model, x, y)
    console.print(f"{name}: {original:.2%} on {len(y):,} test sequences")
    ranks = [int(rank) for rank in _RANKS.value]
    table = Table("modes kept", *map(str, ranks), title=f"{name} after reduction, no training")
    rows = {}
    for label, options in METHODS.items():
        values = []
        for rank in ranks:
            began = time.monotonic()
            small = keras_dss.compress_model(
                model,
                rank,
                method=options["method"],
                calibration=calibration if options.get("calibrated") else None,
            )
            values.append(accuracy(small, x, y))
            seconds = time.monotonic() - began
            console.print(f"{label}, {rank} modes: {values[-1]:.2%}  ({seconds:.0f} s)")
        rows[label] = values
        table.add_row(label, *(f"{100 * value:.2f}" for value in values))
    console.print(table)
    if _WRITE.value:
        text = markdown(name, original, len(y), ranks, rows)
        replace_between_markers(_WRITE.value, name, text)


if __name__ == "__main__":
    app.run(main)
