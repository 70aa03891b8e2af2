"""Accuracy against bytes: reduced states, 8- and 16-bit weights and pruned dense layers together.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.bytes --write=docs/compression.md
    ... --table=pruning --write=docs/compression.md
    ... --table=sensitivity --write=docs/compression.md

Nothing is trained after anything. The first command scores a published model, its published child
and reductions of it in every number format and at every share of pruned entries; the second
compares ways to choose those entries; the third rounds one kind of weight at a time, and compares
with Keras' own `quantize("int8")`. Bytes are those of the packed weights: values, scales, and
bitmaps where they pay. Figures go to benchmarks/results/ as JSON and, with `--write`, between the
markers `<!-- bytes -->`, `<!-- bytes_pruning -->` or `<!-- bytes_sensitivity -->` of a Markdown
file.
"""

import time
import warnings

import numpy as np
from absl import app, flags
from rich.console import Console

from benchmarks.data_tables.tables import table
from benchmarks.documents import replace_between_markers, write_results

_MODEL = flags.DEFINE_string("model", "smnist_n64", "Name in the zoo.")
_CHILD = flags.DEFINE_string("child", "smnist_n16_bt", "Name in the zoo of a trained child.")
_RANKS = flags.DEFINE_list("ranks", ["16", "8", "4"], "Modes of the reductions.")
_SPARSITIES = flags.DEFINE_list("sparsities", ["0", "0.25", "0.5", "0.75"], "Shares of zeros.")
_TABLE = flags.DEFINE_enum(
    "table", "combinations", ["combinations", "pruning", "sensitivity"], "What to measure."
)
_CALIBRATION = flags.DEFINE_integer("calibration", 24, "Training sequences that calibrate.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many test examples (for a quick look).")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

FORMATS = ("float32", "float16", "int8")
ROLES = ("kernel", "W", "lambda_log_neg_re", "lambda_im", "log_dt", "D", "other")
PRUNINGS = {  # label: (scope, on calibration inputs)
    "smallest of all kernels": ("global", False),
    "smallest of each kernel": ("layer", False),
    "cheapest of each kernel, measured inputs": ("layer", True),
    "cheapest of all kernels, measured inputs": ("global", True),
}
CONSOLE = Console(highlight=False)


class Scorer:
    """The test set of a task, and a few calibration sequences."""

    def __init__(self, task, data_dir, limit, calibration):
        from keras_dss.cli.sources import Data

        data = Data(task, data_dir)
        self.x, self.y = data.load("test", limit)
        self.kind = data.kind
        self.calibration = data.load("train", calibration)[0]

    def __call__(self, model, weights=None):
        """The score of a model, with other weights if they are given: it is compiled once."""
        from keras_dss import scoring
        from keras_dss.cli.scoring import evaluation_batches

        if weights is not None:
            model.set_weights(weights)
        return scoring.score(model, evaluation_batches(self.x, self.y), self.kind)


def combinations(scorer):
    """Yields a dict for every model, format and share of zeros."""
    from keras_dss import compress_model, zoo
    from keras_dss.compression import prune_model, quantize_model
    from keras_dss.compression.copying import copy_model

    parent = zoo.load(_MODEL.value)
    models = {_MODEL.value: parent, _CHILD.value: zoo.load(_CHILD.value)}
    for rank in map(int, _RANKS.value):
        label = f"{_MODEL.value} reduced to {rank}"
        models[label] = compress_model(parent, rank, calibration=scorer.calibration)
    for label, model in models.items():
        twin = copy_model(model)
        for sparsity in map(float, _SPARSITIES.value):
            pruned = prune_model(model, sparsity, scope="global", calibration=scorer.calibration)
            for number_format in FORMATS:
                small, report = quantize_model(
                    pruned, number_format, calibration=scorer.calibration, return_report=True
                )
                yield {
                    "model": label,
                    "states": zoo.count_states(model),
                    "format": number_format,
                    "sparsity": sparsity,
                    "bytes": report.bytes_after,
                } | scorer(twin, small.get_weights())


def combinations_markdown(rows, total):
    """A row for each model and format, a column for each share of zeros."""
    shares = sorted({row["sparsity"] for row in rows})
    head = " | ".join("none pruned" if s == 0 else f"{s:.0%} pruned" for s in shares)
    lines = [
        f"Accuracy in % on {total:,} test sequences (bytes of the weights), nothing trained after:",
        "",
        f"| model | weights | {head} |",
        "|---|---" + "|---" * len(shares) + "|",
    ]
    found = {}
    for row in rows:
        found.setdefault((row["model"], row["format"]), {})[row["sparsity"]] = row
    for (model, number_format), cells in found.items():
        cells = " | ".join(
            f"{100 * cells[s]['accuracy']:.2f} ({cells[s]['bytes']:,})" for s in shares
        )
        lines.append(f"| {model} | {number_format} | {cells} |")
    best = front(rows)
    lines += ["", "Nothing else is both smaller and better than these:", ""]
    lines += ["| bytes | accuracy in % | model | weights | pruned |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['bytes']:,} | {100 * row['accuracy']:.2f} | {row['model']} | {row['format']} | "
        f"{row['sparsity']:.0%} |"
        for row in best
    ]
    return "\n".join(lines)


def prunings(scorer):
    """Yields a dict for every model, way to choose entries and share of zeros."""
    from keras_dss import zoo
    from keras_dss.compression import prune_model
    from keras_dss.compression.copying import copy_model

    for name in (_MODEL.value, _CHILD.value):
        model = zoo.load(name)
        twin = copy_model(model)
        for label, (scope, measured) in PRUNINGS.items():
            calibration = scorer.calibration if measured else None
            for sparsity in map(float, _SPARSITIES.value):
                small = prune_model(model, sparsity, scope=scope, calibration=calibration)
                found = {"model": name, "zeros": label, "sparsity": sparsity}
                yield found | scorer(twin, small.get_weights())


def prunings_markdown(rows, total):
    """A row for each model and way, a column for each share of zeros."""
    shares = list(dict.fromkeys(row["sparsity"] for row in rows))
    found = {}
    for row in rows:
        found.setdefault((row["model"], row["zeros"]), []).append(f"{100 * row['accuracy']:.2f}")
    return (
        f"Accuracy in % on {total:,} test sequences, by the share of the entries of dense kernels "
        "that become zero:\n\n"
        + table(
            ["model", "zeros", *(f"{share:.0%}" for share in shares)],
            [[*key, *cells] for key, cells in found.items()],
        )
    )


def front(rows):
    """The rows that no other beats in both bytes and accuracy, the smallest first."""
    best, found = -1.0, []
    for row in sorted(rows, key=lambda row: (row["bytes"], -row["accuracy"])):
        if row["accuracy"] > best:
            best = row["accuracy"]
            found.append(row)
    return found


def sensitivities(scorer):
    """Yields a dict for every model, kind of weight and format."""
    from keras_dss import zoo
    from keras_dss.compression import quantize_model
    from keras_dss.compression.copying import copy_model

    for name in (_MODEL.value, _CHILD.value):
        model = zoo.load(name)
        twin = copy_model(model)
        outputs = _outputs(twin, scorer.x)

        def row(weights, number_format, other, name=name, outputs=outputs, twin=twin):
            if len(other.weights) == len(twin.weights):  # else Keras holds integers
                twin.set_weights(other.get_weights())
                other = twin
            change = _outputs(other, scorer.x) - outputs
            relative = float(np.linalg.norm(change) / np.linalg.norm(outputs))
            found = {"model": name, "weights": weights, "format": number_format}
            return found | {"change": relative} | scorer(other)

        yield row("all", "float32", model)
        for role in ROLES:
            for number_format in ("float16", "int8"):
                label = (
                    f"{role}, errors cancelling" if (role, number_format) == ("W", "int8") else role
                )
                yield row(label, number_format, quantize_model(model, {role: number_format}))
        calibrated = quantize_model(model, {"W": "int8"}, calibration=scorer.calibration)
        yield row("W, errors cancelling on real inputs", "int8", calibrated)
        yield row("W, to nearest", "int8", _nearest(model))
        kernels = quantize_model(model, "float32")
        _keras_int8(kernels, activations=False)
        yield row("kernel, by Keras", "int8", kernels)
        kernels = quantize_model(model, "float32")
        _keras_int8(kernels, activations=True)
        yield row("kernel and its inputs, by Keras", "int8", kernels)


def _outputs(model, x):
    return model.predict(x[:1000], batch_size=100, verbose=0)


def _nearest(model):
    from keras_dss.compression import quantize_model
    from keras_dss.compression.number_formats import pack

    new = quantize_model(model, "float32")
    for weight in new.weights:
        if weight.name == "W":
            weight.assign(pack(weight.numpy(), "int8", (-2, -1)).unpack())
    return new


def _keras_int8(model, activations):
    from keras import quantizers

    options = {} if activations else {"activation_quantizer": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that have no 8-bit form
        model.quantize(config=quantizers.Int8QuantizationConfig(**options))


def sensitivities_markdown(rows, total):
    """A row for each kind of weight, a pair of columns for each model."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines = [
        f"One kind of weight rounded: accuracy in % on {total:,} test sequences, and the change of "
        "the logits relative to their size:",
        "",
        "| rounded | to |" + "".join(f" {model} | |" for model in models),
        "|---|---" + "|---|---" * len(models) + "|",
    ]
    found = {}
    for row in rows:
        found.setdefault((row["weights"], row["format"]), {})[row["model"]] = row
    for (weights, number_format), cells in found.items():
        cells = " | ".join(
            f"{100 * cells[model]['accuracy']:.2f} | {cells[model]['change']:.2%}"
            for model in models
        )
        lines.append(f"| {weights} | {number_format} | {cells} |")
    return "\n".join(lines)


def main(_):

    from keras_dss import zoo

    scorer = Scorer(
        zoo.card(_MODEL.value)["task"], _DATA_DIR.value, _LIMIT.value, _CALIBRATION.value
    )
    measure, markdown = {
        "combinations": (combinations, combinations_markdown),
        "pruning": (prunings, prunings_markdown),
        "sensitivity": (sensitivities, sensitivities_markdown),
    }[_TABLE.value]
    name = "bytes" if _TABLE.value == "combinations" else f"bytes_{_TABLE.value}"
    rows, began = [], time.monotonic()
    for row in measure(scorer):
        rows.append(row)
        what = "  ".join(str(value) for value in list(row.values())[:5])
        accuracy = f"{100 * row['accuracy']:.2f} %"
        CONSOLE.print(f"{time.monotonic() - began:6.0f} s  {accuracy}  {what}", soft_wrap=True)
    text = markdown(rows, len(scorer.x))
    CONSOLE.print(text, soft_wrap=True)
    content = {
        "benchmark": name,
        "model": _MODEL.value,
        "child": _CHILD.value,
        "test_examples": len(scorer.x),
        "calibration_examples": len(scorer.calibration),
        "rows": rows,
        "seconds": time.monotonic() - began,
    }
    write_results(_RESULTS.value, f"{name}_{_MODEL.value}", content)
    if _WRITE.value:
        replace_between_markers(_WRITE.value, name, text)


if __name__ == "__main__":
    app.run(main)
