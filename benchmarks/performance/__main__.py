"""Measures rows and writes benchmarks/results/performance.json.

python -m benchmarks.performance [--rows=peers,...] [--backends=tensorflow,jax,torch] [--quick]
    [--sizes=1,2] [--candidates=keras_dss,DSS]
"""

import time

from absl import app, flags
from rich.console import Console

from benchmarks.performance import peers, results
from benchmarks.performance.candidates import CANDIDATES
from benchmarks.performance.sizes import QUICK, SIZES

ROWS = ("peers",)
FLAGS = flags.FLAGS
flags.DEFINE_list("rows", list(ROWS), f"of {', '.join(ROWS)}")
flags.DEFINE_list("backends", ["tensorflow", "jax", "torch"], "backends of Keras")
flags.DEFINE_list("sizes", None, "positions in the list of sizes; all by default")
flags.DEFINE_list("candidates", None, "parts of names; all by default")
flags.DEFINE_bool("quick", False, "one small size, few repetitions")
flags.DEFINE_bool("write", True, "whether the results are written")


def chosen_sizes():
    if FLAGS.sizes is not None:
        return [SIZES[int(position)] for position in FLAGS.sizes]
    return QUICK if FLAGS.quick else SIZES


def chosen_candidates():
    return [
        candidate
        for candidate in CANDIDATES
        if (candidate.group != "ours" or candidate.backend in FLAGS.backends)
        and (FLAGS.candidates is None or any(part in candidate.name for part in FLAGS.candidates))
    ]


def peers_row(console):
    settings = (
        {"rounds": 2, "seconds": 0.2, "budget": 2.0}
        if FLAGS.quick
        else {"rounds": 4, "seconds": 0.5, "budget": 6.0}
    )
    return {
        "sizes": peers.measure(chosen_sizes(), chosen_candidates(), console=console, **settings)
    }


def main(_):
    console = Console(width=120)
    unknown = set(FLAGS.rows) - set(ROWS)
    if unknown:
        raise app.UsageError(f"--rows must be of {ROWS}. Received: {sorted(unknown)}")
    for name in FLAGS.rows:
        start, environment = time.perf_counter(), results.environment()
        row = {"peers": peers_row}[name](console)
        row |= {"environment": environment, "seconds": round(time.perf_counter() - start, 1)}
        if FLAGS.write:
            results.write_row(name, row)
        console.print(f"{name}: {row['seconds']:.0f} s")


if __name__ == "__main__":
    app.run(main)
