"""Second moments that an optimizer is given after a reduction, against measured ones.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.second_moments \
        --write=docs/compress_during_training.md

Gradients of a published model are measured on batches of training sequences, their second moments
carried over to the reduced layers as `keras_dss.callbacks` does, and compared with those measured
on the same batches after the reduction: quantiles of the ratio over all weights of a kind. The
table goes between the markers `<!-- moments -->`. About two minutes on two quiet cores.
"""

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results

_MODEL = flags.DEFINE_string("model", "smnist_n64", "Name in the zoo, a classifier.")
_RANKS = flags.DEFINE_list("ranks", ["32", "16", "8"], "Modes of the reductions.")
_BATCHES = flags.DEFINE_integer("batches", 40, "Batches that gradients are measured on.")
_BATCH = flags.DEFINE_integer("batch_size", 50, "Sequences of a batch.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

CALIBRATION = 24
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NAMES = {"W": "W", "lambda_re": "log -Re lambda", "lambda_im": "Im lambda"}
CONSOLE = Console(highlight=False)


def squared_gradients(model, x, y):
    """Means of squared gradients of the modes' weights, a dict of arrays for each DSS layer."""
    import keras

    from keras_dss.compression.rebuild import find_dss_layers

    layers = find_dss_layers(model).values()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)  # a step is the gradient
    weights = [getattr(layer, name) for layer in layers for name in NAMES]
    everything = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    before = [np.array(keras.ops.convert_to_numpy(w), "float64") for w in weights]
    sums = [np.zeros(w.shape) for w in before]
    for start in range(0, _BATCHES.value * _BATCH.value, _BATCH.value):
        part = slice(start, start + _BATCH.value)
        model.train_on_batch(x[part], y[part])
        for i, weight in enumerate(weights):
            sums[i] += (before[i] - keras.ops.convert_to_numpy(weight)) ** 2
        for variable, value in zip(model.variables, everything, strict=True):
            variable.assign(value)
    means = iter(total / _BATCHES.value for total in sums)
    return [{name: next(means) for name in NAMES} for _ in layers]


def ratios(model, rank, x, y, before):
    """Carried over to measured, of all weights of modes that are there, by kind."""
    from keras_dss import compress_model
    from keras_dss.callbacks.moments import Moments
    from keras_dss.compression.rebuild import find_dss_layers

    small = compress_model(model, rank, calibration=x[:CALIBRATION])
    layers = [find_dss_layers(m).values() for m in (model, small)]
    found = {name: [] for name in NAMES}
    measured = squared_gradients(small, x, y)
    for former, layer, squares, after in zip(*layers, before, measured, strict=True):
        carried = Moments(former).carried_to(layer, squares)
        there = np.abs(layer.to_system().residues) > 1e-9
        for name in NAMES:
            found[name].append((carried[name] / np.maximum(after[name], 1e-30))[there].ravel())
    return {name: np.concatenate(values) for name, values in found.items()}


def main(_):
    import importlib

    import keras_dss

    name = _MODEL.value
    model = keras_dss.zoo.load(name)
    task = importlib.import_module(f"keras_dss.datasets.{keras_dss.zoo.card(name)['task']}")
    count = _BATCHES.value * _BATCH.value
    x, y = (array[:count] for array in task.load("train", _DATA_DIR.value))
    before = squared_gradients(model, x, y)
    header = ["modes", "weight", *(f"{q:.0%}" for q in QUANTILES)]
    table, rows = Table(*header), []
    for rank in map(int, _RANKS.value):
        for key, values in ratios(model, rank, x, y, before).items():
            quantiles = [float(v) for v in np.quantile(values, QUANTILES)]
            rows.append({"modes": rank, "weight": NAMES[key], "quantiles": quantiles})
            table.add_row(str(rank), NAMES[key], *(f"{v:.2f}" for v in quantiles))
    CONSOLE.print(table)
    write_results(_RESULTS.value, "second_moments", {"model": name, "rows": rows})
    if _WRITE.value:
        lines = [
            f"`{name}`, reduced with measured Gramians; second moments carried over, divided by "
            f"those measured on {_BATCHES.value} batches, quantiles over all weights of a kind:",
            "",
            "| " + " | ".join(header) + " |",
            "|---" * len(header) + "|",
        ]
        for row in rows:
            quantiles = " | ".join(f"{v:.2f}" for v in row["quantiles"])
            lines.append(f"| {row['modes']} | {row['weight']} | {quantiles} |")
        replace_between_markers(_WRITE.value, "moments", "\n".join(lines))


if __name__ == "__main__":
    app.run(main)
