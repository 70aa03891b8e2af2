"""Time of the factored kernel against the direct sum, in one run on the running backend.

    KERAS_BACKEND=jax python -m benchmarks.kernel [--features=128] [--state_size=64] [--length=1024]

The direct sum materialises exp(l x) as complex (H, N, L) in the backend's own complex arithmetic
and sums over N; both start from the same log poles and residues. Times are medians of interleaved
repetitions, each forward, and forward and backward (gradients of all four arguments). TensorFlow
and JAX run compiled graphs (tf.function, jax.jit), torch runs eagerly, as Keras does. `layer` is
the factored kernel with everything else that a layer does from its weights: steps, exact phases,
residues; its direct counterpart computes the same in complex arithmetic.
"""

import time

import keras
import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from keras_dss import ops as dss_ops
from keras_dss.layers import DSS

FLAGS = flags.FLAGS
flags.DEFINE_integer("features", 128, "H")
flags.DEFINE_integer("state_size", 64, "N")
flags.DEFINE_integer("length", 1024, "L")
flags.DEFINE_integer("repetitions", 15, "timed repetitions of each")
TARGET = 4.0


# K_l = Re sum_n c_n exp(l x_n), all of exp(l x_n) at once
def direct(backend, length):
    if backend == "tensorflow":
        import tensorflow as tf

        def kernel(x_re, x_im, c_re, c_im):
            steps = tf.cast(tf.range(length), "complex64")
            powers = tf.exp(tf.complex(x_re, x_im)[..., None] * steps)  # (H, N, L)
            return tf.math.real(tf.einsum("hn,hnl->hl", tf.complex(c_re, c_im), powers))

    elif backend == "jax":
        import jax.numpy as jnp

        def kernel(x_re, x_im, c_re, c_im):
            powers = jnp.exp((x_re + 1j * x_im)[..., None] * jnp.arange(length))  # (H, N, L)
            return jnp.einsum("hn,hnl->hl", c_re + 1j * c_im, powers).real

    else:
        import torch

        def kernel(x_re, x_im, c_re, c_im):
            steps = torch.arange(length)
            powers = torch.exp(torch.complex(x_re, x_im)[..., None] * steps)  # (H, N, L)
            return torch.einsum("hn,hnl->hl", torch.complex(c_re, c_im), powers).real

    return kernel


def factored(length):
    return lambda x_re, x_im, c_re, c_im: dss_ops.kernel((x_re, x_im), (c_re, c_im), length)


def runners(backend, kernel, arrays):
    """`(forward, backward)`: functions without arguments that return when all is computed."""
    if backend == "tensorflow":
        import tensorflow as tf

        values = [tf.constant(a) for a in arrays]

        @tf.function
        def gradient(*values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                loss = tf.reduce_sum(kernel(*values) ** 2)
            return tape.gradient(loss, values)

        forward = tf.function(kernel)
        return lambda: forward(*values).numpy(), lambda: [g.numpy() for g in gradient(*values)]
    if backend == "jax":
        import jax

        values = [jax.numpy.asarray(a) for a in arrays]
        forward = jax.jit(kernel)
        gradient = jax.jit(jax.grad(lambda *v: (kernel(*v) ** 2).sum(), tuple(range(len(values)))))
        return (
            lambda: jax.block_until_ready(forward(*values)),
            lambda: jax.block_until_ready(gradient(*values)),
        )
    import torch

    values = [torch.tensor(a, requires_grad=True) for a in arrays]

    def forward():
        with torch.no_grad():
            return kernel(*values)

    return forward, lambda: torch.autograd.grad((kernel(*values) ** 2).sum(), values)


def medians(functions):
    """Median seconds of each of several functions, run in turns after two warm-ups."""
    for function in functions * 2:
        function()
    times = [[] for _ in functions]
    for _ in range(FLAGS.repetitions):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    return [float(np.median(record)) for record in times]


def layer_kernel(length):
    """The kernel of a DSS layer from its weights (shared eigenvalues), one function of arrays."""
    layer = DSS(FLAGS.state_size)
    layer.build((None, length, FLAGS.features))
    names = ("lambda_re", "lambda_im", "log_dt", "W")

    def kernel(*values):
        variables = [getattr(layer, name) for name in names]
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return layer.kernel(length)

    return kernel, [getattr(layer, name).numpy() for name in names]


def direct_layer_kernel(backend, length):
    """The same from the same weights by the direct sum."""
    kernel = direct(backend, length)

    def from_weights(lambda_re, lambda_im, log_dt, W):
        ops = keras.ops
        step = ops.exp(log_dt)[:, None]  # (H, 1)
        x = -step * ops.exp(lambda_re), step * lambda_im  # (H, N)
        c = dss_ops.complex_multiply((W[..., 0], W[..., 1]), dss_ops.complex_expm1(x))
        lam = -ops.exp(lambda_re), lambda_im
        return kernel(*x, *dss_ops.complex_divide(c, lam))

    return from_weights


def main(_):
    backend, length = keras.backend.backend(), FLAGS.length
    keras.utils.set_random_seed(0)
    shape = (FLAGS.features, FLAGS.state_size)
    layer, weights = layer_kernel(length)
    generator = np.random.default_rng(0)
    step = np.exp(generator.uniform(np.log(1e-3), np.log(1e-1), shape[0]))[:, None]
    x_im = (step * weights[1]).astype("float32")
    x_re = np.broadcast_to(-0.5 * step, shape).astype("float32")
    arrays = [x_re, x_im, *generator.normal(size=(2, *shape)).astype("float32")]
    table = Table(
        title=f"{backend}: H = {shape[0]}, N = {shape[1]}, L = {length}, "
        f"medians of {FLAGS.repetitions}, milliseconds"
    )
    for name in ("from", "pass", "direct", "factored", "ratio"):
        table.add_column(name, justify="left" if name in ("from", "pass") else "right")
    ratios = []
    for source, ours, theirs, values in (
        ("poles, residues", factored(length), direct(backend, length), arrays),
        ("weights (layer)", layer, direct_layer_kernel(backend, length), weights),
    ):
        passes = zip(runners(backend, theirs, values), runners(backend, ours, values), strict=True)
        for name, pair in zip(("forward", "forward and backward"), passes, strict=True):
            slow, fast = medians(list(pair))
            ratios.append(slow / fast)
            cells = (f"{1e3 * slow:.2f}", f"{1e3 * fast:.2f}", f"{ratios[-1]:.1f}")
            table.add_row(source, name, *cells)
        table.add_section()
    console = Console(width=100)
    console.print(table)
    size = shape[0] * shape[1] * length * 8 / 2**20
    console.print(f"the direct sum holds {size:.0f} MiB for (H, N, L) alone")
    console.print(f"smallest ratio {min(ratios):.1f}; wanted at least {TARGET:g}")


if __name__ == "__main__":
    app.run(main)
