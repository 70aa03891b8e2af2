"""Convolutions, recurrences and chunks against each other and against plain loops."""

import keras
import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops

from keras_dss import ops as dss_ops
from keras_dss.fft import circular_convolution
from tests.layers.autodiff import compiled, double_precision, gradients
from tests.layers.oracles import numpy, relative_error


def tensors(*arrays):
    return tuple(ops.convert_to_tensor(np.asarray(a, "float32")) for a in arrays)


def make_system(features=3, modes=5, seed=0):
    """`(x, c)`: log poles and residues as complex128 (H, N) that float32 holds exactly."""
    generator = np.random.default_rng(seed)
    x = -generator.uniform(0.01, 0.5, (features, modes)) + 1j * generator.uniform(
        -8.0, 8.0, (features, modes)
    )
    c = generator.normal(size=(features, modes)) + 1j * generator.normal(size=(features, modes))
    return x.astype("complex64").astype(complex), c.astype("complex64").astype(complex)


def pair(values):
    return tensors(values.real, values.imag)


def impulse_response(x, c, length):
    return np.stack([(c * np.exp(x * k)).sum(axis=-1).real for k in range(length)], axis=-1)


def convolve(u, taps, backward=None):
    """Loops over features and sequences; (B, L, H)."""
    y = np.zeros(u.shape)
    length = u.shape[1]
    for b, h in np.ndindex(u.shape[0], u.shape[2]):
        y[b, :, h] = np.convolve(u[b, :, h], taps[h, :length])[:length]
        if backward is not None:
            for k in range(length - 1):
                y[b, k, h] += (backward[h, : length - 1 - k] * u[b, k + 1 :, h]).sum()
    return y


@pytest.mark.parametrize("length", [1, 2, 9, 97])
def test_kernel(length):
    x, c = make_system()
    found = numpy(dss_ops.kernel(pair(x), pair(c), length))
    assert relative_error(found, impulse_response(x, c, length)) <= 2e-6


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 64, 97, 100])
def test_fft_convolution(length, bidirectional):
    generator = np.random.default_rng(length)
    u = generator.normal(size=(2, length, 3))
    taps = generator.normal(size=(2, 3, length))[: 1 + bidirectional]
    found = numpy(dss_ops.fft_convolution(*tensors(u, *taps)))
    np.testing.assert_allclose(found, convolve(u, *taps), atol=1e-5 * np.sqrt(length))


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_shapes_of_fft_convolution(length, batch, features, bidirectional):
    generator = np.random.default_rng(length)
    u = generator.normal(size=(batch, length, features))
    taps = generator.normal(size=(2, features, length))[: 1 + bidirectional]
    found = numpy(dss_ops.fft_convolution(*tensors(u, *taps)))
    np.testing.assert_allclose(found, convolve(u, *taps), atol=2e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("length", [1, 6, 7])
def test_gradient_of_fft_convolution(length, bidirectional):
    """The convolution is linear in both arguments: its gradients are correlations."""
    generator = np.random.default_rng(length)
    u, weight = generator.normal(size=(2, 2, length, 3))
    taps = generator.normal(size=(2, 3, length))[: 1 + bidirectional]
    variables = [keras.Variable(v.astype("float32")) for v in (u, *taps)]
    weighting = tensors(weight)[0]

    def loss():
        arguments = [ops.convert_to_tensor(v) for v in variables]
        return ops.sum(dss_ops.fft_convolution(*arguments) * weighting)

    def expected(index):
        values = [u, *taps]
        result = np.zeros(values[index].shape)
        for position in np.ndindex(*result.shape):
            unit = np.zeros(result.shape)
            unit[position] = 1.0
            arguments = [unit if i == index else v for i, v in enumerate(values)]
            if bidirectional and index > 0:
                arguments[3 - index] = np.zeros_like(unit)
            result[position] = (convolve(*arguments) * weight).sum()
        return result

    for index, found in enumerate(gradients(variables, loss)):
        np.testing.assert_allclose(found, expected(index), atol=2e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own gradient")
@pytest.mark.parametrize("size", [20, 21, 27])
def test_tensorflow_gradient_equals_plain_autodiff(size):
    import tensorflow as tf

    generator = np.random.default_rng(0)
    u = tf.Variable(generator.normal(size=(2, 10, 3)), dtype="float64")
    taps = tf.Variable(generator.normal(size=(3, 10)), dtype="float64")
    weight = tf.constant(generator.normal(size=(2, 10, 3)))

    def plain(u, taps):
        spectrum = tf.signal.rfft(tf.transpose(u, (0, 2, 1)), [size])
        spectrum = spectrum * tf.signal.rfft(taps, [size])
        return tf.transpose(tf.signal.irfft(spectrum, [size])[..., :10], (0, 2, 1))

    def own(u, taps):
        return circular_convolution(u, taps, size)

    found = []
    for function in (plain, own):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(function(u, taps) * weight)
        found.append([loss, *tape.gradient(loss, [u, taps])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("length", [1, 7, 8, 45, 300])
def test_matmul_convolution(length, directions):
    """Equal to the convolution, with chunks of 4 steps: fewer and more than a group of them."""
    systems = [make_system(seed=direction) for direction in range(directions)]
    u, d = np.random.default_rng(1).normal(size=(2, length, 3)), np.array([0.3, -0.2, 0.1])
    taps = [impulse_response(x, c, length) for x, c in systems]
    taps[0][:, 0] += d
    x = systems[0][0] if directions == 1 else np.stack([x for x, _ in systems])
    residues = [pair(c) for _, c in systems]
    found = dss_ops.matmul_convolution(
        *tensors(u), pair(x), *residues, feedthrough=tensors(d)[0], chunk=4
    )
    expected = convolve(u, *taps)
    np.testing.assert_allclose(numpy(found), expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("length", [3, 45])
def test_gradient_of_matmul_convolution(length, directions):
    """Equal to the gradient through FFTs: of inputs, poles, residues and feedthrough."""
    generator = np.random.default_rng(2)
    x, c = make_system()
    shared = [x.real, x.imag, *(part for _ in range(directions) for part in (c.real, c.imag))]
    values = [generator.normal(size=(2, length, 3)), *shared, generator.normal(size=3)]
    variables = [keras.Variable(v.astype("float32")) for v in values]
    weight = tensors(generator.normal(size=(2, length, 3)))[0]

    def arguments():
        u, *system, d = (ops.convert_to_tensor(v) for v in variables)
        pairs = list(zip(system[::2], system[1::2], strict=True))
        return u, pairs[0], pairs[1:], d

    def products():
        u, x, residues, d = arguments()
        y = dss_ops.matmul_convolution(u, x, *residues, feedthrough=d, chunk=4)
        return ops.sum(y * weight)

    def ffts():
        u, x, residues, d = arguments()
        forward, *backward = (dss_ops.kernel(x, c, length) for c in residues)
        y = dss_ops.fft_convolution(u, forward, *backward) + u * d
        return ops.sum(y * weight)

    for a, b in zip(gradients(variables, products), gradients(variables, ffts), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(b).max()))


def test_matmul_convolution_needs_a_known_length():
    with pytest.raises(ValueError, match=r"length known .* Received: inputs of shape \(2, None, 3"):
        dss_ops.matmul_convolution(keras.KerasTensor((2, None, 3)), None, None)


@pytest.mark.parametrize("length", [1, 5, 8, 13, 24, 29])
def test_chunked_convolution(length):
    """Equal to the convolution and the recurrence; the state goes on from piece to piece."""
    x, c = make_system()
    u = np.random.default_rng(1).normal(size=(2, length, 3))
    expected = convolve(u, impulse_response(x, c, length))
    found, state = dss_ops.chunked_convolution(*tensors(u), pair(x), pair(c), chunk=8)
    np.testing.assert_allclose(numpy(found), expected, atol=2e-5)
    states = np.zeros((2, 3, 5), complex)
    for k in range(length):
        states = np.exp(x) * states + u[:, k, :, None]
    np.testing.assert_allclose(numpy(state[0]) + 1j * numpy(state[1]), states, atol=2e-5)
    pieces, state = [], None
    for piece in np.array_split(u, [length // 3, length // 2], axis=1):
        if piece.shape[1]:
            y, state = dss_ops.chunked_convolution(
                *tensors(piece), pair(x), pair(c), chunk=4, state=state
            )
            pieces.append(numpy(y))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, atol=2e-5)


def test_chunked_convolution_needs_a_known_length():
    with pytest.raises(ValueError, match=r"length known .* Received: inputs of shape \(2, None, 3"):
        dss_ops.chunked_convolution(keras.KerasTensor((2, None, 3)), None, None)


def test_recurrence():
    x, c = make_system()
    u = np.random.default_rng(1).normal(size=(2, 11, 3))
    state = dss_ops.initial_state(2, 3, 5)
    poles = dss_ops.powers(pair(x), ops.ones((), dtype="int32"))
    outputs = []
    for k in range(11):
        y, state = dss_ops.recurrence_step(*tensors(u[:, k]), state, poles, pair(c))
        outputs.append(numpy(y))
    expected = convolve(u, impulse_response(x, c, 11))
    np.testing.assert_allclose(np.stack(outputs, axis=1), expected, atol=2e-5)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 9.9e-3, 1.01e-2, 0.1, 3.0])
def test_exponential_ratio(scale):
    angles = np.linspace(0.5, 1.5, 9) * np.pi
    x = (scale * np.exp(1j * angles)).astype("complex64").astype(complex)
    re, im = (numpy(part) for part in dss_ops.exponential_ratio(pair(x)))
    expected = np.expm1(x) / x
    np.testing.assert_allclose(re + 1j * im, expected, rtol=0, atol=1e-6)


def test_exponential_ratio_in_float64():
    x = np.array([-1e-6, -3e-3, -9.9e-3, -1e-2, -0.1]) * np.exp(0.3j)
    with double_precision():
        parts = [ops.convert_to_tensor(part, "float64") for part in (x.real, x.imag)]
        re, im = (ops.convert_to_numpy(part) for part in dss_ops.exponential_ratio(parts))
    exact = [complex(mpmath.expm1(z) / z) for z in map(mpmath.mpc, x)]
    np.testing.assert_allclose(re + 1j * im, exact, rtol=3e-14)


@pytest.mark.parametrize("re", [-1e-8, -1e-3, -1.0, 0.5])
@pytest.mark.parametrize("im", [0.0, 1e-6, 1e-2, 3.0])
def test_complex_expm1(re, im):
    found = [float(numpy(part)) for part in dss_ops.complex_expm1(tensors(re, im))]
    expected = np.expm1(np.float32(re) + 1j * np.float32(im).astype(complex))
    assert abs(found[0] + 1j * found[1] - expected) <= 3e-7 * abs(expected) + 1e-12


@pytest.mark.parametrize("growing", [False, True])
def test_softmax_residues_are_those_of_the_kernel(growing):
    x, w = make_system(2, 4)
    x = -x if growing else x
    step, length = np.full((2, 1), 0.5), 12
    arguments = pair(x), tensors(step)[0], pair(w), length
    residues = [numpy(part) for part in dss_ops.softmax_residues(*arguments)]
    expected = impulse_response(x, residues[0] + 1j * residues[1], length)
    found = numpy(dss_ops.softmax_kernel(*arguments, length))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@given(st.integers(1, 20_000))
@example(21)
@example(325)
def test_fft_length(length):
    size = dss_ops.fft_length(length)
    assert size % 2 == 0 and 2 * length - 1 <= size <= 2.25 * length + 1
    for factor in (2, 3, 5, 7, 11):
        while size % factor == 0:
            size //= factor
    assert size == 1


def test_memory_of_the_kernel():
    """No array of H N L elements, forward or backward."""
    features, modes, length = 8, 16, 4096
    limit = features * modes * length / 8
    x, c = make_system(features, modes)

    def loss(*parts):
        return ops.sum(dss_ops.kernel(parts[:2], parts[2:], length) ** 2)

    arguments = [*pair(x), *pair(c)]
    backend, sizes = keras.backend.backend(), []
    if backend == "jax":
        import jax

        def visit(jaxpr):
            for equation in jaxpr.eqns:
                sizes.extend(v.aval.size for v in equation.outvars)
                for parameter in equation.params.values():
                    if hasattr(parameter, "jaxpr"):
                        visit(parameter.jaxpr)

        visit(jax.make_jaxpr(jax.grad(loss, range(4)))(*arguments).jaxpr)
    elif backend == "tensorflow":
        import tensorflow as tf

        @tf.function
        def gradient(*parts):
            with tf.GradientTape() as tape:
                tape.watch(parts)
                value = loss(*parts)
            return tape.gradient(value, parts)

        graph = gradient.get_concrete_function(*arguments).graph
        shapes = [output.shape for op in graph.get_operations() for output in op.outputs]
        sizes = [shape.num_elements() or 0 for shape in shapes if shape.rank is not None]
    else:
        from torch.utils._python_dispatch import TorchDispatchMode

        class Sizes(TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                result = function(*args, **(kwargs or {}))
                found = result if isinstance(result, (tuple, list)) else [result]
                sizes.extend(t.numel() for t in found if hasattr(t, "numel"))
                return result

        parts = [part.clone().requires_grad_() for part in arguments]
        with Sizes():
            loss(*parts).backward()
    assert max(sizes) >= features * length
    assert max(sizes) <= limit


def test_compiled_kernel_of_a_traced_length():
    """A length that only the running graph knows (TensorFlow)."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends always know the length")
    import tensorflow as tf

    x, c = make_system()

    @tf.function(input_signature=[tf.TensorSpec((), "int32")])
    def kernel(length):
        return dss_ops.kernel(pair(x), pair(c), length)

    for length in (1, 50, 64, 131):
        found = numpy(kernel(length))
        assert relative_error(found, impulse_response(x, c, length)) <= 2e-6


def test_compiled_convolution():
    x, c = make_system()
    u = np.random.default_rng(0).normal(size=(2, 20, 3))

    @compiled
    def convolution(u):
        return dss_ops.fft_convolution(u, dss_ops.kernel(pair(x), pair(c), 20))

    expected = convolve(u, impulse_response(x, c, 20))
    np.testing.assert_allclose(numpy(convolution(*tensors(u))), expected, atol=2e-5)
