"""Measures rows and writes benchmarks/results/performance.json.

    python -m benchmarks.performance [--rows=peers,...] [--backends=tensorflow,jax,torch] [--quick]
        [--sizes=1,2] [--candidates=keras_dss,DSS]

Rows: `peers` (time and memory against other libraries), `memory_of_batches` (of a step, by the
number of sequences), `child` (reduced models against their parents), `lengths` (1,024 to 1,048,576
steps), `limits` (of the machine), `profile` (of a training step), `utilities` (compression, data,
loading, import). `--sizes` are positions in the list of sizes, `--candidates` parts of names. The
full run takes about half an hour on two quiet cores, more where torch has compiled nothing before.
"""

import time

from absl import app, flags
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.performance import batches, machine, own, peers, results, sections, utilities
from benchmarks.performance.candidates import CANDIDATES
from benchmarks.performance.sizes import QUICK, SIZES

FULL = {"rounds": 3, "seconds": 0.3, "budget": 2.0}
FEW = {"rounds": 2, "seconds": 0.1, "budget": 1.0}
FLAGS = flags.FLAGS


def settings():
    return FEW if FLAGS.quick else FULL


def sizes(default=SIZES):
    if FLAGS.sizes is not None:
        return [SIZES[int(position)] for position in FLAGS.sizes]
    return QUICK if FLAGS.quick else default


def candidates():
    def wanted(candidate):
        if candidate.group == "ours" and candidate.backend not in FLAGS.backends:
            return False
        if FLAGS.quick and "compile" in candidate.name:
            return False
        return any(part in candidate.name for part in FLAGS.candidates or ("",))

    return [candidate for candidate in CANDIDATES if wanted(candidate)]


def peers_row(console, keep):
    def keep_sizes(results):
        keep({"sizes": results})

    measured = peers.measure(sizes(), candidates(), console, keep_sizes, **settings())
    return {"sizes": measured}


def memory_row(console, keep):
    state_spaces = [c for c in candidates() if c.group in ("ours", "state_space")]
    chosen = [c for c in state_spaces if c.longest is None]
    counts = batches.BATCHES[:2] if FLAGS.quick else batches.BATCHES
    return batches.measure(sizes((SIZES[1],))[0], counts, chosen, console)


def child_row(console, keep):
    chosen = sizes((SIZES[1], SIZES[3]))
    pairs = own.PAIRS[:1] if FLAGS.quick else own.PAIRS
    return own.child(FLAGS.backends, chosen, pairs, settings())


def lengths_row(console, keep):
    chosen = own.LENGTHS[:3] if FLAGS.quick else own.LENGTHS
    return own.lengths(FLAGS.backends, chosen, settings())


def limits_row(console, keep):
    return machine.limits(settings())


def profile_row(console, keep):
    return machine.profile(FLAGS.backends, sizes((SIZES[1], SIZES[3])), settings())


def utilities_row(console, keep):
    return utilities.measure(FLAGS.backends, settings(), repetitions=2 if FLAGS.quick else 5)


ROWS = {
    "limits": limits_row,
    "peers": peers_row,
    "memory_of_batches": memory_row,
    "child": child_row,
    "lengths": lengths_row,
    "profile": profile_row,
    "utilities": utilities_row,
}
flags.DEFINE_list("rows", list(ROWS), f"of {', '.join(ROWS)}")
flags.DEFINE_list("backends", ["tensorflow", "jax", "torch"], "backends of Keras")
flags.DEFINE_list("sizes", None, "positions in the list of sizes; all by default")
flags.DEFINE_list("candidates", None, "parts of names; all by default")
flags.DEFINE_bool("quick", False, "one small size, few repetitions, no compiled peers")
flags.DEFINE_string("output", str(results.PATH), "file of the results; none is written if empty")


def keeper(name):
    """A function that writes a row, finished or not, with its time and environment."""
    start, environment = time.perf_counter(), results.environment()

    def keep(row):
        row["seconds"] = round(time.perf_counter() - start, 1)
        row |= {"environment": environment, "quick": FLAGS.quick}
        if FLAGS.output:
            results.write_row(name, row, FLAGS.output)
        return row

    return keep


def main(_):
    console = Console(width=120)
    unknown = set(FLAGS.rows) - set(ROWS)
    if unknown:
        raise app.UsageError(f"--rows must be of {tuple(ROWS)}. Received: {sorted(unknown)}")
    for name in FLAGS.rows:
        keep = keeper(name)
        row = keep(ROWS[name](console, keep))
        if name != "peers":  # shown as it goes
            console.print(Markdown(getattr(sections, name)(row)))
        console.print(f"[bold]{name}[/bold]: {row['seconds']:.0f} s")


if __name__ == "__main__":
    app.run(main)
