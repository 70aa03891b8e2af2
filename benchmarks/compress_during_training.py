"""Learning curves of a sequential MNIST model that is reduced while it trains.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.compress_during_training \
        --write=docs/compress_during_training.md

Two blocks of 32 features and 64 modes are trained for the same number of steps on the same batches:
as they are; reduced by `CompressDuringTraining` with measured Gramians; the same with a Hankel
nuclear norm penalty; the same as the second with the moments of reduced layers from zero; and small
from the start, from Skew-HiPPO, with the modes that the second ends with. Every run is kept in
`--work_dir` when it is done, and is not run again. The table goes between the markers
`<!-- curves -->` of the Markdown file, the picture beside it, the figures to benchmarks/results/.
About twelve minutes on two quiet cores.
"""

import contextlib
import json
import time
from pathlib import Path
from unittest import mock

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results
from keras_dss.pictures import save_picture

_STEPS = flags.DEFINE_integer("steps", 1200, "Batches of each run, a multiple of 12.")
_EXAMPLES = flags.DEFINE_integer("examples", 20_000, "Training sequences.")
_VALIDATION = flags.DEFINE_integer("validation", 1_000, "Validation sequences.")
_TEST = flags.DEFINE_integer("test", 10_000, "Test sequences.")
_MODES = flags.DEFINE_integer("modes", 64, "State size to begin with.")
_TOLERANCE = flags.DEFINE_float("tolerance", 0.01, "Of the callback.")
_FACTOR = flags.DEFINE_float("factor", 1e-4, "Of the Hankel nuclear norm.")
_SEED = flags.DEFINE_integer("seed", 0, "Of weights and batches.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/compress_during_training", "Runs that are done.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

ROUNDS, BATCH, CALIBRATION, FEATURES, BLOCKS = 12, 50, 24, 32, 2
LARGE, REDUCED, PENALTY, ZERO, SMALL = (
    "64 modes",
    "reduced while training",
    "Hankel penalty, reduced",
    "reduced, moments from zero",
    "small from the start",
)
CONSOLE = Console(highlight=False)


def batches(x, y, seed):
    """Yields batches of one order after another without end."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(x))
        for start in range(0, len(x) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield x[chosen], y[chosen]


def make_model(modes, penalty):
    """A model compiled as the recipe compiles it, `modes` an int or one for each block."""
    import keras

    from keras_dss.layers import DSS, DSSBlock
    from keras_dss.models import DSSClassifier
    from keras_dss.optimizers import DSSAdamW
    from keras_dss.regularizers import HankelNuclearNorm

    keras.utils.set_random_seed(_SEED.value)
    regularizer = HankelNuclearNorm(_FACTOR.value) if penalty else None
    sizes = modes if isinstance(modes, list) else [modes] * BLOCKS
    layers = [DSS(n, system_regularizer=regularizer, name=f"ssm_{i}") for i, n in enumerate(sizes)]
    blocks = [DSSBlock(layer, glu=True, name=f"block_{i}") for i, layer in enumerate(layers)]
    model = DSSClassifier(10, features=FEATURES, blocks=blocks)
    warmup = _STEPS.value // 10
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, _STEPS.value - warmup, warmup_target=4e-3, warmup_steps=warmup
    )
    optimizer = DSSAdamW(schedule, weight_decay=0.05, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    entropy = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy")
    model.compile(optimizer, loss, metrics=["accuracy", entropy])  # the loss may hold a penalty
    return model


def train(name, data, ranks):
    """One run: what each round of steps found, what was reduced, and the test accuracy."""
    import keras

    from keras_dss.callbacks import CompressDuringTraining

    (x, y), validation, (test_x, test_y) = data
    model = make_model(ranks if name == SMALL else _MODES.value, penalty=name == PENALTY)
    began = time.monotonic()
    seconds = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seconds.append(time.monotonic())
    )
    compress = CompressDuringTraining(
        _TOLERANCE.value, start=3, stop=10, every=2, min_saving=0.2, calibration=x[:CALIBRATION],
    )  # fmt: skip
    callbacks = [clock] + [compress] * (name in (REDUCED, PENALTY, ZERO))
    zero = mock.patch("keras_dss.callbacks.slots.SQUARES", ())
    with zero if name == ZERO else contextlib.nullcontext():
        history = model.fit(
            batches(x, y, _SEED.value),
            steps_per_epoch=_STEPS.value // ROUNDS,
            epochs=ROUNDS,
            validation_data=validation,
            validation_batch_size=100,
            callbacks=callbacks,
            verbose=0,
        ).history
    logits = model.predict(test_x, batch_size=100, verbose=0)
    return {
        "history": {key: [float(v) for v in values] for key, values in history.items()},
        "seconds": list(np.diff([*seconds, time.monotonic()])),
        "total_seconds": time.monotonic() - began,
        "reductions": [vars(r) for r in compress.reductions],
        "ranks": [block.ssm.state_size for block in model.blocks],
        "parameters": model.count_params(),
        "accuracy": float(np.mean(np.argmax(logits, axis=-1) == test_y)),
    }


def run(name, settings, data, ranks):
    """The run, from the work folder if it was done with the same settings."""
    path = Path(_WORK_DIR.value) / f"{name.replace(' ', '_').replace(',', '')}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["settings"] == settings:
            return kept["run"]
    found = train(name, data(), ranks)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"settings": settings, "run": found}))
    temporary.replace(path)
    return found


def rows(runs):
    """Header and rows of the table."""
    header = ["", "modes of the blocks", "weights", "test accuracy (%)", "validation (%)"]
    found = [
        [
            name,
            " and ".join(map(str, r["ranks"])),
            f"{r['parameters']:,}",
            f"{100 * r['accuracy']:.2f}",
            f"{100 * r['history']['val_accuracy'][-1]:.1f}",
        ]
        for name, r in runs.items()
    ]
    return header, found


def markdown(runs, picture):
    header, found = rows(runs)
    lines = [
        f"![Learning curves]({picture})",
        "",
        "| " + " | ".join(header) + " |",
        "|---" * len(header) + "|",
        *("| " + " | ".join(row) + " |" for row in found),
        "",
        f"{_STEPS.value:,} steps of {BATCH} sequences, test accuracy on {_TEST.value:,} sequences.",
    ]
    return "\n".join(lines)


def draw(runs, path):
    """Validation accuracy, training loss and modes against steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    steps = np.arange(1, ROUNDS + 1) * (_STEPS.value // ROUNDS)
    for name, r in runs.items():
        history = r["history"]
        states = history.get("states", [FEATURES * sum(r["ranks"])] * ROUNDS)
        style = {"label": name, "marker": "o", "markersize": 3}
        style |= {"linestyle": "--"} if name in (ZERO, SMALL) else {}
        axes[0].plot(steps, 100 * np.array(history["val_accuracy"]), **style)
        axes[1].plot(steps, history["val_cross_entropy"], **style)
        axes[2].plot(steps, np.array(states) / FEATURES, **style)
    for axis, label in zip(
        axes,
        ("validation accuracy (%)", "validation cross-entropy", "modes of both blocks"),
        strict=True,
    ):
        axis.set_xlabel("step")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[2].legend()
    axes[2].set_ylim(bottom=0)
    save_picture(figure, path)
    plt.close(figure)


def main(_):
    import keras

    from keras_dss.datasets import smnist

    def load(split, count):
        x, y = smnist.load(split, _DATA_DIR.value)
        return x[:count].astype("float32"), y[:count]

    loaded = []

    def data():
        if not loaded:
            counts = {
                "train": _EXAMPLES.value,
                "validation": _VALIDATION.value,
                "test": _TEST.value,
            }
            loaded.extend(load(*item) for item in counts.items())
        return loaded

    names = ("steps", "examples", "validation", "test", "modes", "tolerance", "factor", "seed")
    settings = {name: flags.FLAGS[name].value for name in names}
    settings["backend"] = keras.backend.backend()
    runs = {}
    for name in (LARGE, REDUCED, PENALTY, ZERO, SMALL):
        ranks = runs[REDUCED]["ranks"] if REDUCED in runs else None
        runs[name] = run(name, settings, data, ranks)
        CONSOLE.print(
            f"{name}: modes {runs[name]['ranks']}, {100 * runs[name]['accuracy']:.2f} %, "
            f"{runs[name]['total_seconds']:.0f} s"
        )
    header, found = rows(runs)
    table = Table(*header)
    for row in found:
        table.add_row(*row)
    CONSOLE.print(table)
    write_results(_RESULTS.value, "compress_during_training", settings | {"runs": runs})
    if _WRITE.value:
        picture = Path(_WRITE.value).with_suffix(".png")
        draw(runs, picture)
        replace_between_markers(_WRITE.value, "curves", markdown(runs, picture.name))


if __name__ == "__main__":
    app.run(main)
