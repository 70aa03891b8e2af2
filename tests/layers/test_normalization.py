"""Normalization by rows: values, gradients and moving statistics are those of Keras' layers."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import block
from tests.layers.autodiff import double_precision, gradients
from tests.layers.oracles import numpy

LENGTHS = {"whole": None, "padded": (40, 17, 1, 0), "nothing": (0, 0, 0, 0)}
BACKENDS = ("tensorflow", "jax", "torch")
BY_ROWS = {"tensorflow": ("layer", "batch"), "jax": ("layer",), "torch": ()}
cases = pytest.mark.parametrize("kind", BY_ROWS[keras.backend.backend()])


def make(kind, dtype="float32", features=5):
    generator = np.random.default_rng(0)
    norm = block.make_normalization(kind, dtype)
    norm.build((None, None, features))
    for weight in norm.weights:
        weight.assign(generator.uniform(0.5, 2.0, size=weight.shape))
    x = generator.normal(np.resize([1.0, 0.0, -3.0, 30.0], features), size=(4, 40, features))
    return norm, keras.Variable(x, dtype=dtype)


def mask_of(lengths):
    if lengths is None:
        return None
    return ops.convert_to_tensor(np.arange(40) < np.array(lengths)[:, None])


def plain(norm, x, mask):
    """The definition by elementary operations, and the moving statistics after it."""
    if isinstance(norm, keras.layers.LayerNormalization):
        x = x - ops.sum(x, axis=-1, keepdims=True) / 5  # the mean of `keras.ops` is float32 on JAX
        x = x / ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True) / 5 + norm.epsilon)
        return x * norm.gamma + norm.beta, []
    w = ops.ones_like(x[..., :1]) if mask is None else ops.cast(mask, x.dtype)[..., None]
    w = w / ops.maximum(ops.sum(w), 1.0)
    mean = ops.sum(w * x, axis=(0, 1))
    variance = ops.sum(w * (x - mean) * (x - mean), axis=(0, 1))
    moving = (0.9 * norm.moving_mean + 0.1 * mean, 0.9 * norm.moving_variance + 0.1 * variance)
    return (x - mean) / ops.sqrt(variance + norm.epsilon) * norm.gamma + norm.beta, moving


def compare(kind, lengths, dtype, tolerance):
    norm, x = make(kind, dtype)
    mask, before = mask_of(lengths), norm.get_weights()
    signs = ops.cast(ops.arange(5), dtype) - 2.0

    def ours():
        return block.normalize(norm, ops.convert_to_tensor(x), mask, True)

    def theirs():
        return plain(norm, ops.convert_to_tensor(x), mask)[0]

    assert block._by_rows(norm, ops.convert_to_tensor(x), BACKENDS)
    expected, statistics = plain(norm, ops.convert_to_tensor(x), mask)
    found = ours()
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    moving = [numpy(variable) for variable in norm.non_trainable_variables]
    pairs = [(found, expected), *zip(moving, statistics, strict=True)]
    norm.set_weights(before)
    variables = [x, *norm.trainable_variables]
    sums = (lambda f=f: ops.sum(f() ** 3 * signs) for f in (ours, theirs))
    pairs += zip(*(gradients(variables, loss) for loss in sums), strict=True)
    for value, reference in pairs:
        value, reference = numpy(value), numpy(reference)
        bound = tolerance * np.abs(reference).max()
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=bound)


@cases
@pytest.mark.parametrize("lengths", LENGTHS)
def test_values_gradients_and_statistics(kind, lengths):
    compare(kind, LENGTHS[lengths], "float32", 1e-4)


@cases
def test_double_precision(kind):
    with double_precision():
        compare(kind, LENGTHS["padded"], "float64", 1e-9)


@cases
def test_the_same_as_keras(kind):
    norm, x = make(kind)
    before, mask, x = norm.get_weights(), mask_of(LENGTHS["padded"]), ops.convert_to_tensor(x)
    ours, statistics = numpy(block.normalize(norm, x, mask, True)), norm.get_weights()
    norm.set_weights(before)
    options = {"mask": mask, "training": True} if kind == "batch" else {}
    np.testing.assert_allclose(ours, numpy(norm(x, **options)), atol=2e-5)
    for a, b in zip(statistics, norm.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@cases
def test_hessians(kind):
    """Gradients of gradients, for penalties on them."""
    norm, x = make(kind)

    def second(function):
        def penalty():
            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                with tf.GradientTape() as tape:
                    tape.watch(x.value)
                    y = tf.reduce_sum(tf.sin(function(tf.convert_to_tensor(x.value))))
                return ops.sum(ops.square(tape.gradient(y, x.value)))
            import jax

            inner = jax.grad(lambda value: ops.sum(ops.sin(function(value))))
            return ops.sum(ops.square(inner(x.value)))

        return gradients([x], penalty)[0]

    options = {"training": True} if kind == "batch" else {}
    ours = second(lambda value: block.normalize(norm, value, None, True))
    theirs = second(lambda value: norm(value, **options))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


@cases
def test_far_from_zero(kind):
    """The variance is that around the mean, of 20,000 steps far from zero."""
    norm, _ = make(kind, features=64)
    x = np.random.default_rng(0).normal(1000.0, 1.0, size=(1, 20_000, 64)).astype("float32")
    found = numpy(block.normalize(norm, ops.convert_to_tensor(x), None, True))
    axes, double = (0, 1) if kind == "batch" else 2, x.astype(float)
    expected = (double - double.mean(axes, keepdims=True)) / double.std(axes, keepdims=True)
    gamma, beta = numpy(norm.gamma), numpy(norm.beta)
    np.testing.assert_allclose((found - beta) / gamma, expected, atol=3e-3)


@pytest.mark.parametrize("kind", ["layer", "batch"])
def test_what_is_left_to_keras(kind):
    norm, x = make(kind)
    x = ops.convert_to_tensor(x)
    assert block._by_rows(norm, x, BACKENDS)
    assert not block._by_rows(norm, x, ())
    assert not block._by_rows(norm, ops.cast(x, "bfloat16"), BACKENDS)
    assert not block._by_rows(block.make_normalization(kind, "mixed_bfloat16"), x, BACKENDS)
    norm.call = lambda *_, **__: x
    assert not block._by_rows(norm, x, BACKENDS)


def test_frozen_batch_normalization_keeps_its_statistics():
    norm, x = make("batch")
    norm.trainable = False
    before = norm.get_weights()
    frozen = block.normalize(norm, ops.convert_to_tensor(x), None, True)
    inference = norm(ops.convert_to_tensor(x), training=False)
    np.testing.assert_array_equal(numpy(frozen), numpy(inference))
    for a, b in zip(norm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
