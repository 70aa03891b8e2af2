"""Accuracy of Hankel singular values against mpmath with 60 digits and more.

    python -m benchmarks.hankel_accuracy --state_size=64

For each family: how many values lie above 1e-13 of the largest, the largest relative error among
them, and the smallest value that is right to 1e-6 whatever its size.
"""

import time

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.systems import skew_hippo_layers
from keras_dss.ssm import DiagonalSystem, hankel_singular_values
from tests import oracles

FLAGS = flags.FLAGS
flags.DEFINE_integer("state_size", 64, "Modes of the Skew-HiPPO systems.", lower_bound=1)
flags.DEFINE_multi_float("step", [1e-4, 1e-3, 1e-2, 1e-1], "Step sizes.")
flags.DEFINE_integer("random", 12, "Modes of the random systems.", lower_bound=1)


def families():
    rng = np.random.default_rng(0)
    n = FLAGS.random
    for closest in (1e-2, 1e-6):
        poles = (1 - 10 ** rng.uniform(np.log10(closest), -0.1, n)) * np.exp(
            1j * rng.uniform(0, np.pi, n)
        )
        residues = rng.standard_normal(n) + 1j * rng.standard_normal(n)
        yield f"random, N={n}, 1-|a| > {closest:g}", DiagonalSystem(poles, residues)
    yield (
        "32 real poles, log-spaced",
        DiagonalSystem(np.exp(-np.logspace(-4, 1, 32)), np.ones(32)),
    )
    for step in FLAGS.step:
        name = f"Skew-HiPPO, N={FLAGS.state_size}, step {step:g}"
        yield name, skew_hippo_layers(1, 1, FLAGS.state_size, step, step)[0]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments. Received: {argv[1:]}")
    table = Table(title="Hankel singular values against many digits")
    for column in ("system", "values", "above 1e-13", "largest error", "right down to", "s"):
        table.add_column(column, justify="left" if column == "system" else "right")
    console = Console()
    for name, system in families():
        start = time.perf_counter()
        expected = oracles.hankel_singular_values(system.poles, system.residues)
        seconds = time.perf_counter() - start
        values = hankel_singular_values(system)[: expected.size]
        error = np.abs(values - expected) / expected
        counted = expected > 1e-13 * expected[0]
        right = expected[error <= 1e-6].min() / expected[0]
        table.add_row(
            name,
            str(expected.size),
            str(counted.sum()),
            f"{error[counted].max():.1e}",
            f"{right:.1e}",
            f"{seconds:.1f}",
        )
        console.print(f"{name}: done")
    console.print(table)


if __name__ == "__main__":
    app.run(main)
