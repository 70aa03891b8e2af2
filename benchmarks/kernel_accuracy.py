"""Relative errors of float32 kernels against float64 loops over the same weights.

    KERAS_BACKEND=jax python -m benchmarks.kernel_accuracy [--lengths=1024,16384] [--state_size=64]

max |K - K*| / max |K*| of the worst of a few features, for every variant of the layer and steps dt
from 1e-4 to 1e-1. The last column repeats the worst step under the backend's compiler.
"""

import keras
import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from tests.layers import oracles
from tests.layers.autodiff import compiled, evaluation
from tests.layers.variants import VARIANTS, make_layer

STEPS = (1e-4, 1e-3, 1e-2, 1e-1)
FLAGS = flags.FLAGS
flags.DEFINE_list("lengths", ["1024", "16384"], "kernel lengths")
flags.DEFINE_integer("state_size", 64, "N, modes of each feature")
flags.DEFINE_integer("features", 4, "H")


def errors(variant, length):
    """One relative error for each step, then the largest of them again, compiled."""
    layer = make_layer(
        variant, features=FLAGS.features, state_size=FLAGS.state_size, kernel_length=length
    )
    kernel = evaluation(layer, lambda: layer.kernel(length))
    results = []
    for dt in STEPS:
        steps = dt * np.random.default_rng(1).uniform(0.9, 1.0, FLAGS.features)
        layer.log_dt.assign(np.log(steps))
        expected = oracles.kernel(layer, length)
        results.append((oracles.relative_error(kernel(), expected), steps, expected))
    error, steps, expected = max(results, key=lambda result: result[0])
    layer.log_dt.assign(np.log(steps))
    again = oracles.numpy(compiled(lambda: layer.kernel(length))())
    return [result[0] for result in results] + [oracles.relative_error(again, expected)]


def main(_):
    keras.utils.set_random_seed(0)
    table = Table(title=f"relative error of the kernel, {keras.backend.backend()}, float32")
    for name in ("variant", "length", *(f"dt = {dt:g}" for dt in STEPS), "worst, compiled"):
        table.add_column(name, justify="left" if name == "variant" else "right")
    worst = 0.0
    for length in map(int, FLAGS.lengths):
        for variant in VARIANTS:
            found = errors(variant, length)
            worst = max(worst, *found)
            table.add_row(variant, f"{length:,}", *(f"{error:.1e}" for error in found))
        table.add_section()
    console = Console(width=120)
    console.print(table)
    console.print(f"largest {worst:.1e}; wanted at most 1e-5")


if __name__ == "__main__":
    app.run(main)
