"""What batches cost, and what cutting them by length is worth, in training steps of the recipes.

    python -m benchmarks.input_pipeline [--data_dir FOLDER] [--tasks lra_text,lra_listops]

Two tables. For each task: the share of a training step of the recipe's model that is spent waiting
for the batch. For tasks on sequences of differing lengths: training samples per second with batches
cut to few lengths, against the same batches padded to the longest sequence. Both ways take turns in
one process, on the same examples. Files are read from `--data_dir` or `KERAS_DSS_DATA_DIR`; a task
whose files are missing is left out. Takes about ten minutes on two cores.
"""

import argparse
import importlib
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_dss import scoring
from keras_dss.datasets import Batches
from keras_dss.optimizers import DSSAdamW
from recipes.data import Epochs, Splits
from recipes.models import make_model
from recipes.options import TASKS

STEPS = 12  # of each way, timed
EXAMPLES = 4_000


class Trainer:
    """The model of a task's recipe, compiled as the recipe does."""

    def __init__(self, name, data_dir):
        self.task = importlib.import_module(f"keras_dss.datasets.{name}")
        self.settings = importlib.import_module(f"recipes.{name}").settings
        few = {"examples": EXAMPLES} if name in ("lra_pathfinder", "lra_pathx") else {}
        splits = Splits(self.task, data_dir, mask_zeros=self.settings.model.mask_zeros)
        splits.loaded["train"] = self.task.load("train", data_dir, **few)
        self.x, self.y = splits.get("train", EXAMPLES)
        model = make_model(self.task, self.settings.model, state_size=self.settings.state_size)
        kind = self.task.KIND
        model.compile(DSSAdamW(1e-4), scoring.make_loss(kind), metrics=[scoring.make_metric(kind)])
        self.model = model

    def epochs(self):
        training, padded = self.settings.pretrain, self.settings.model.mask_zeros
        return Epochs(self.x, self.y, training.batch_size, 0, padded)

    def step(self, batch):
        began = time.perf_counter()
        float(self.model.train_on_batch(*batch)[0])
        return time.perf_counter() - began


def waiting(trainer):
    """Seconds of getting a batch and of training on it, summed over steps of fresh batches."""
    epochs = trainer.epochs()
    for batch in epochs.shapes():
        trainer.step(batch)
    batches = iter(epochs.epoch(1))
    waited = worked = 0.0
    for _ in range(min(2 * STEPS, epochs.steps_per_epoch)):
        began = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - began
        worked += trainer.step(batch)
    return waited, worked


def bucketing(trainer):
    """Samples per second: with lengths, and padded to the longest; None if all are equal."""
    epochs = trainer.epochs()
    if not epochs.boundaries or len(epochs.boundaries) == 1:
        return None
    size, longest = epochs.options["batch_size"], epochs.boundaries[-1]
    rng = np.random.default_rng(0)
    cut = epochs.epoch(1)
    chosen = rng.permutation(len(cut))[:STEPS]
    lengths = [longest] * len(trainer.x)
    whole = Batches(trainer.x, trainer.y, size, lengths=lengths, boundaries=[longest])
    trainer.step(whole[0])
    seconds = {"cut": 0.0, "padded": 0.0}
    for index in chosen:
        seconds["cut"] += trainer.step(cut[index])
        seconds["padded"] += trainer.step(whole[index % len(whole)])
    return {name: size * len(chosen) / spent for name, spent in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--tasks", default=",".join(TASKS))
    arguments = parser.parse_args()
    wait = Table(title=f"{keras.backend.backend()}: waiting for batches")
    gain = Table(title=f"{keras.backend.backend()}: batches cut by length, samples/s")
    for name in ("task", "batch", "ms of it", "ms of the step", "share"):
        wait.add_column(name, justify="left" if name == "task" else "right")
    for name in ("task", "lengths", "cut", "padded", "ratio"):
        gain.add_column(name, justify="left" if name == "task" else "right")
    shares = []
    for name in arguments.tasks.split(","):
        print(f"{name} ...", flush=True)
        try:
            trainer = Trainer(name, arguments.data_dir)
        except FileNotFoundError as error:
            print(f"left out: {error}")
            continue
        waited, worked = waiting(trainer)
        steps = min(2 * STEPS, trainer.epochs().steps_per_epoch)
        shares.append(waited / (waited + worked))
        size = str(trainer.epochs().options["batch_size"])
        wait.add_row(
            name, size, f"{1e3 * waited / steps:.2f}", f"{1e3 * worked / steps:.0f}",
            f"{100 * shares[-1]:.2f} %",
        )  # fmt: skip
        found = bucketing(trainer)
        if found:
            lengths = " ".join(map(str, trainer.epochs().boundaries))
            ratio = found["cut"] / found["padded"]
            gain.add_row(
                name, lengths, f"{found['cut']:.1f}", f"{found['padded']:.1f}", f"{ratio:.2f}"
            )
    console = Console(width=110)
    console.print(wait, gain)
    print(f"largest share {100 * max(shares):.2f} %; wanted below 5 %")


if __name__ == "__main__":
    main()
