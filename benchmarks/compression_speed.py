"""Time and memory of compress_model with calibration.

    python -m benchmarks.compression_speed --blocks=6 --features=256 --state_size=64 --rank=16 \
        --sequences=64 --length=1024 --results=benchmarks/results --write=docs/compression.md

Measured in a process of its own that has loaded Keras and the model and has called it once on a
short input. The peak is that of the resident memory of this process, less what it held before the
first call: the model and the backend. `--profile` prints where the time goes.
"""

import cProfile
import os
import pstats
import threading
import time

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results

_BLOCKS = flags.DEFINE_integer("blocks", 6, "DSS layers.", 1)
_FEATURES = flags.DEFINE_integer("features", 256, "Features of a layer.", 1)
_STATE_SIZE = flags.DEFINE_integer("state_size", 64, "Modes before.", 2)
_RANK = flags.DEFINE_integer("rank", 16, "Modes after.", 1)
_SEQUENCES = flags.DEFINE_integer("sequences", 64, "Calibration sequences.", 1)
_LENGTH = flags.DEFINE_integer("length", 1024, "Steps of each of them.", 1)
_RUNS = flags.DEFINE_integer("runs", 3, "Calls; the median counts.", 1)
_PROFILE = flags.DEFINE_bool("profile", False, "Print the functions that take the longest.")
_RESULTS = flags.DEFINE_string("results", None, "Folder of the results as JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the table.")

PAGE = os.sysconf("SC_PAGE_SIZE")
GIB = 2.0**30


def resident():
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return PAGE * int(file.read().split()[1])


class PeakMemory:
    """The largest resident memory while the block runs, looked at every 5 ms."""

    def __enter__(self):
        self.peak = resident()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self):
        while not self.done.wait(0.005):
            self.peak = max(self.peak, resident())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def call(function):
    """Seconds by the clock, seconds of all cores, and the most bytes in between."""
    with PeakMemory() as memory:
        started, used = time.perf_counter(), time.process_time()
        function()
        seconds = time.perf_counter() - started, time.process_time() - used
    return *seconds, memory.peak


def main(_):
    import keras_dss

    model = keras_dss.models.DSSClassifier(
        10,
        features=_FEATURES.value,
        num_blocks=_BLOCKS.value,
        state_size=_STATE_SIZE.value,
        channels=1,
    )
    x = np.random.default_rng(0).standard_normal((_SEQUENCES.value, _LENGTH.value, 1))
    x = x.cumsum(axis=1).astype("float32") / np.sqrt(_LENGTH.value)  # slow, as real inputs are
    model(x[:1, :64])
    tasks = {
        "rank, exact Gramians": {},
        "rank, calibration": {"calibration": x},
        "rank, calibration, report": {"calibration": x, "return_report": True},
    }
    if _PROFILE.value:
        profile = cProfile.Profile()
        profile.runcall(
            keras_dss.compress_model, model, _RANK.value, calibration=x, return_report=True
        )
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    rows, before = {}, resident()
    for name, options in tasks.items():
        runs = []
        for _ in range(_RUNS.value):
            found = call(lambda o=options: keras_dss.compress_model(model, _RANK.value, **o))
            runs.append(found)
        seconds, cores, _ = np.median(runs, axis=0)
        peak = max(run[-1] for run in runs) - before
        rows[name] = {"seconds": seconds, "core_seconds": cores, "bytes": peak}
    title = (
        f"{_BLOCKS.value} layers, {_FEATURES.value} features, {_STATE_SIZE.value} -> "
        f"{_RANK.value} modes, {_SEQUENCES.value} sequences of {_LENGTH.value:,} steps"
    )
    columns = ("compress_model", "seconds", "core seconds", "peak memory, GiB")
    lines = [
        (
            name,
            f"{row['seconds']:.1f}",
            f"{row['core_seconds']:.1f}",
            f"{row['bytes'] / GIB:.2f}",
        )
        for name, row in rows.items()
    ]
    table = Table(title=title)
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for line in lines:
        table.add_row(*line)
    Console().print(table)
    if _RESULTS.value:
        write_results(_RESULTS.value, "compression_speed", {"model": title, "runs": rows})
    if _WRITE.value:
        cores = len(os.sched_getaffinity(0))
        text = [f"{title}, on {cores} cores:", "", "| " + " | ".join(columns) + " |"]
        text += ["|---|--:|--:|--:|", *("| " + " | ".join(line) + " |" for line in lines)]
        replace_between_markers(_WRITE.value, "compression_speed", "\n".join(text))


if __name__ == "__main__":
    app.run(main)
