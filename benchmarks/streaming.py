"""One step at a time in LiteRT: time, size and predictions of published models and their parents.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.streaming [--write=docs/streaming.md]

Runs on TensorFlow, which writes the files. A step is one call of LiteRT's interpreter on one
thread, batch size 1; those of a family take turns, and times are medians. The alternative without
states is the whole sequence again at every step: one call of TensorFlow's SavedModel on the last L
steps. Predictions are those after the last step of the first test sequences, against those of the
Keras model on the whole sequence.
"""

import functools
import importlib
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from absl import app, flags, logging
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results

FAMILIES = {
    "smnist": ("smnist_n64", "smnist_n16_bt", "smnist_n8_bt"),
    "shakespeare": ("shakespeare_n64", "shakespeare_n16_bt", "shakespeare_n8_bt"),
}
FLAGS = flags.FLAGS
flags.DEFINE_integer("sequences", 100, "Test sequences whose predictions are compared.", 1)
flags.DEFINE_integer("turns", 20, "Turns of each model.", 1)
flags.DEFINE_integer("steps", 200, "Steps of a turn.", 1)
flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
flags.DEFINE_string("results", "benchmarks/results", "Folder of the results as JSON.")
flags.DEFINE_string("write", None, "Markdown file that holds the table.")


class Runner:
    """A LiteRT file, fed one step after another."""

    def __init__(self, path, stream):
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's interpreter is to move
            interpreter = tf.lite.Interpreter(str(path), num_threads=1)
        self.call = interpreter.get_signature_runner()
        self.interpreter = interpreter
        self.inputs, *self.states = (x.name for x in stream.inputs)
        self.zeros = dict(zip(self.states, stream.initial_states(1), strict=True))
        self.carry = dict(self.zeros)

    def step(self, step):
        found = self.call(**{self.inputs: step}, **self.carry)
        outputs = found.pop("outputs")
        self.carry = found
        return outputs

    def last(self, sequence):
        """The outputs after the last step of a sequence (L, ...)."""
        self.carry = dict(self.zeros)
        for step in sequence:
            outputs = self.step(step[None])
        return outputs[0]


def measure(task_name, names, folder):
    """A list with the facts of each model of a family."""
    import tensorflow as tf

    import keras_dss

    task = importlib.import_module(f"keras_dss.datasets.{task_name}")
    x, _ = task.load("test", FLAGS.data_dir)
    x = np.asarray(x[: FLAGS.sequences])
    if np.issubdtype(x.dtype, np.integer):
        x = x.astype("int32")
    models = {name: keras_dss.zoo.load(name) for name in names}
    streams = {name: keras_dss.to_streaming(model) for name, model in models.items()}
    runners, rows = {}, []
    for name, stream in streams.items():
        path = folder / f"{name}.tflite"
        difference = keras_dss.deploy.export_model(stream, path, "litert", batch_size=1)
        runners[name] = Runner(path, stream)
        rows.append({"model": name, "difference": difference, "bytes": path.stat().st_size})
    steps = timed_in_turns(
        {name: functools.partial(many_steps, runner, x[0]) for name, runner in runners.items()}
    )
    whole = {}
    for name, model in models.items():
        keras_dss.deploy.export_model(model, folder / name, "saved_model")
        loaded = tf.saved_model.load(str(folder / name))
        whole[name] = functools.partial(again, loaded, tf.constant(x[:1]))
    whole = timed_in_turns(whole)
    for row in rows:
        name = row["model"]
        expected = models[name].predict(x, verbose=0)
        expected = expected[:, -1] if expected.ndim == 3 else expected
        found = np.stack([runners[name].last(sequence) for sequence in x])
        row |= {
            "states": sum(block.ssm.state_size for block in models[name].blocks)
            * models[name].config["features"],
            "length": x.shape[1],
            "step": steps[name] / FLAGS.steps,
            "whole": whole[name],
            "same": int((found.argmax(-1) == expected.argmax(-1)).sum()),
            "sequences": len(x),
            "largest": float(np.abs(found - expected).max()),
        }
    return rows


def many_steps(runner, sequence):
    for k in range(FLAGS.steps):
        runner.step(sequence[k % len(sequence)][None])


def again(loaded, inputs):
    loaded.serve(inputs)["outputs"].numpy()


def timed_in_turns(functions):
    """Median seconds of each function."""
    times = {name: [] for name in functions}
    for _ in range(FLAGS.turns + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - began)
    return {name: float(np.median(found[1:])) for name, found in times.items()}  # warm


HEADER = (
    "model", "states", "file, KiB", "step, us", "times its parent", "whole sequence, us",
    "times a step", "same prediction",
)  # fmt: skip


def cells(families):
    for rows in families.values():
        parent = rows[0]
        for row in rows:
            yield (
                f"`{row['model']}`",
                f"{row['states']:,}",
                f"{row['bytes'] / 1024:.0f}",
                f"{1e6 * row['step']:.1f}",
                f"{parent['step'] / row['step']:.2f}",
                f"{1e6 * row['whole']:,.0f} ({row['length']})",
                f"{row['whole'] / row['step']:.0f}",
                f"{row['same']} of {row['sequences']}",
            )


def main(_):
    logging.set_verbosity(logging.ERROR)  # TensorFlow tells of every file it writes
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        families = {task: measure(task, names, Path(folder)) for task, names in FAMILIES.items()}
    table = Table(*HEADER)
    lines = ["| " + " | ".join(HEADER) + " |", "| --- |" + " ---: |" * (len(HEADER) - 1)]
    for row in cells(families):
        table.add_row(*row)
        lines.append("| " + " | ".join(row) + " |")
    console.print(table)
    write_results(FLAGS.results, "streaming", {"families": families})
    if FLAGS.write:
        replace_between_markers(FLAGS.write, "streaming", "\n".join(lines))


if __name__ == "__main__":
    app.run(main)
