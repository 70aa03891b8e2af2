"""Balanced truncation of a whole model against pyMOR's BTReductor, per system.

    python -m benchmarks.balanced_truncation --layers=6 --features=256 --state_size=64 --rank=16

pyMOR reduces a sample of the same systems in its real form of order 2N, once with the threads that
the matrix library takes by default and once with a single one. Times are medians: of the runs over
all systems, and of the single reductions of pyMOR. On a machine that others use too, the processor
time says more than the clock.
"""

import time

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.systems import skew_hippo_layers
from keras_dss.ssm import balanced_truncation

FLAGS = flags.FLAGS
flags.DEFINE_integer("layers", 6, "Number of layers.", lower_bound=1)
flags.DEFINE_integer("features", 256, "Features of a layer.", lower_bound=1)
flags.DEFINE_integer("state_size", 64, "Modes before.", lower_bound=2)
flags.DEFINE_integer("rank", 16, "Modes after.", lower_bound=1)
flags.DEFINE_integer("sample", 10, "Systems that pyMOR reduces.", lower_bound=1)
flags.DEFINE_integer("runs", 5, "Runs over all systems.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of steps and output weights.")


def real_form(poles, residues):
    """Real `A, B, C` of order 2N: `[Re s, Im s]` of each mode."""
    n = len(poles)
    a, b, c = np.zeros((2 * n, 2 * n)), np.zeros((2 * n, 1)), np.zeros((1, 2 * n))
    even, odd = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
    a[even, even] = a[odd, odd] = poles.real
    a[even, odd], a[odd, even] = -poles.imag, poles.imag
    b[even, 0] = 1.0
    c[0, even], c[0, odd] = residues.real, -residues.imag
    return a, b, c


def timed(function, *arguments):
    """What it returns, and seconds `(by the clock, of processor time)`."""
    start, used = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, (time.perf_counter() - start, time.process_time() - used)


def pymor_reduction(system, order):
    """Seconds of one reduction, the Hankel values and the kernel of the reduced model."""
    from pymor.algorithms.to_matrix import to_matrix
    from pymor.models.iosys import LTIModel
    from pymor.reductors.bt import BTReductor

    model = LTIModel.from_matrices(*real_form(system.poles, system.residues), sampling_time=1.0)
    reduced, seconds = timed(BTReductor(model).reduce, order)
    a, b, c, e = (to_matrix(x) for x in (reduced.A, reduced.B, reduced.C, reduced.E))
    a, b = np.linalg.solve(e, a), np.linalg.solve(e, b)
    kernel, state = [], b
    for _ in range(50):
        kernel.append((c @ state).item())
        state = a @ state
    return seconds, model.hsv(), np.array(kernel)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments. Received: {argv[1:]}")
    from pymor.core.logger import set_log_levels

    set_log_levels({"pymor": "ERROR"})
    system = skew_hippo_layers(FLAGS.layers, FLAGS.features, FLAGS.state_size, seed=FLAGS.seed)
    count = len(system)
    balanced_truncation(system[:2], FLAGS.rank)  # imports and first calls
    runs = [timed(balanced_truncation, system, FLAGS.rank) for _ in range(FLAGS.runs)]
    result = runs[0][0]
    ours = np.median([seconds for _, seconds in runs], axis=0) / count

    chosen = np.linspace(0, count - 1, min(FLAGS.sample, count)).astype(int)
    pymor_reduction(system[0], FLAGS.rank)
    threads = {"default threads": None, "one thread": 1}
    times, value_error, kernel_error = {name: [] for name in threads}, 0.0, 0.0
    for i in chosen:
        for name, limit in threads.items():
            with threadpool_limits(limit):
                seconds, values, kernel = pymor_reduction(system[i], int(result.order[i]))
            times[name].append(seconds)
        expected = result.hankel_singular_values[i]
        difference = np.abs(values - expected[: len(values)]).max() / expected[0]
        value_error = max(value_error, difference)
        ours_kernel = result.system[i].impulse_response(50)
        difference = np.abs(ours_kernel - kernel).max() / np.abs(kernel).max()
        kernel_error = max(kernel_error, difference)

    table = Table(title=f"Balanced truncation, N = {FLAGS.state_size} to {FLAGS.rank} modes")
    for column in ("method", "systems", "ms per system", "ratio", "CPU ms per system", "ratio"):
        table.add_column(column, justify="left" if column == "method" else "right")
    table.add_row("keras_dss", str(count), f"{1e3 * ours[0]:.3f}", "1", f"{1e3 * ours[1]:.3f}", "1")
    medians = {name: np.median(seconds, axis=0) for name, seconds in times.items()}
    for name, (clock, cpu) in medians.items():
        ratios = f"{clock / ours[0]:.1f}", f"{cpu / ours[1]:.1f}"
        cells = f"{1e3 * clock:.1f}", ratios[0], f"{1e3 * cpu:.1f}", ratios[1]
        table.add_row(f"pyMOR, {name}", str(len(chosen)), *cells)
    Console().print(table)
    print(f"all {count} systems in {ours[0] * count:.2f} s, all stable: {result.stable.all()}")
    print(f"largest difference of Hankel values, of the largest: {value_error:.1e}")
    print(f"largest relative difference of reduced kernels: {kernel_error:.1e}")
    for name, (clock, _) in medians.items():
        print(f"pyMOR with {name} takes {clock / ours[0]:.1f} times as long per system")


if __name__ == "__main__":
    app.run(main)
