"""The DSS layer: outputs, masks, lengths, dtypes, serialisation, bad input."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import DSS, DSSCell
from keras_dss.ssm import DiagonalSystem
from tests.layers import oracles
from tests.layers.autodiff import double_precision, evaluate
from tests.layers.variants import CAUSAL, VARIANTS, make_layer

POLICIES = ["float32", "float64", "mixed_float16", "mixed_bfloat16", "bfloat16", "float16"]


def make_inputs(length, features=3, batch=2, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, length, features)).astype("float32")


def close(found, expected, tolerance=1e-4):
    return np.abs(np.asarray(found) - expected).max() <= tolerance * max(
        1.0, np.abs(expected).max()
    )


@pytest.mark.parametrize("length", [1, 2, 13, 50])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs(variant, length):
    layer, u = make_layer(variant), make_inputs(length)
    found = evaluate(layer, lambda: layer(u))
    assert close(found, oracles.outputs(layer, u), 1e-5)


@pytest.mark.parametrize("variant", CAUSAL)
def test_convolution_recurrence_and_cell_are_one(variant):
    layer, u = make_layer(variant), make_inputs(19)
    found = evaluate(layer, lambda: layer(u))
    assert close(found, oracles.recurrence(layer, u))
    config = layer.get_config() | {"name": "cell"}
    rnn = keras.layers.RNN(DSSCell.from_config(config), return_sequences=True)
    rnn.build(u.shape)
    rnn.set_weights(layer.get_weights())
    assert close(evaluate(rnn, lambda: rnn(u)), found)


def test_stateful_cell_continues():
    layer, u = make_layer("exp"), make_inputs(12)
    rnn = keras.layers.RNN(
        DSSCell.from_config(layer.get_config()), return_sequences=True, stateful=True
    )
    rnn.build((2, 6, 3))
    rnn.set_weights(layer.get_weights())
    pieces = [oracles.numpy(rnn(u[:, :6])), oracles.numpy(rnn(u[:, 6:]))]
    assert close(np.concatenate(pieces, axis=1), oracles.outputs(layer, u))


def test_cell_in_a_model_round_trips(tmp_path):
    inputs = keras.Input((None, 3))
    outputs, *states = keras.layers.RNN(DSSCell(4, features=3), return_state=True)(inputs)
    model = keras.Model(inputs, [outputs, *states])
    assert [tuple(state.shape) for state in states] == [(None, 12)] * 2
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    u = make_inputs(5)
    for a, b in zip(model(u), loaded(u), strict=True):
        np.testing.assert_array_equal(oracles.numpy(a), oracles.numpy(b))


@pytest.mark.parametrize("policy", POLICIES)
def test_cell_under_dtype_policies(policy):
    """The state stays float32, so that it does not drift."""
    if keras.backend.backend() == "jax" and policy == "float64":
        pytest.skip("JAX has float32 alone")
    u = make_inputs(9)
    cell = DSSCell.from_config(make_layer("exp", dtype=policy).get_config())
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.RNN(cell, return_sequences=True, dtype=policy)(inputs))
    outputs = model.predict(u, verbose=0)
    assert keras.backend.standardize_dtype(model.outputs[0].dtype) == model.layers[1].compute_dtype
    assert {keras.backend.standardize_dtype(s.dtype) for s in cell.get_initial_state(2)} == {
        keras.backend.standardize_dtype(cell.W.dtype)
    }
    causal = make_layer("exp")
    causal.set_weights(cell.get_weights())
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(model.layers[1].compute_dtype, 1e-5)
    assert close(outputs.astype("float64"), oracles.outputs(causal, u), tolerance)


PADDINGS = {
    "right": [[1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]],
    "left": [[0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]],
    "middle": [[1, 1, 0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 0, 1, 0, 1]],
    "all": [[0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]],
}


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("variant", ["exp", "exp_bidirectional", "softmax_bidirectional"])
def test_padding_neither_feeds_nor_sees(variant, padding):
    mask = np.array(PADDINGS[padding], bool)
    layer, u = make_layer(variant), make_inputs(8)
    other = np.where(mask[..., None], u, 1e3).astype("float32")
    tensor = ops.convert_to_tensor(mask)
    found = evaluate(layer, lambda: layer(u, mask=tensor))
    assert close(found, oracles.outputs(layer, u, mask), 1e-5)
    assert (found[~mask] == 0.0).all()
    np.testing.assert_array_equal(found, evaluate(layer, lambda: layer(other, mask=tensor)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("convolution", ["fft", "matmul"])
def test_padding_may_be_anything(convolution, value):
    mask = np.array(PADDINGS["middle"], bool)
    layer, u = make_layer("exp_bidirectional", convolution=convolution), make_inputs(8)
    padded, tensor = np.where(mask[..., None], u, value), ops.convert_to_tensor(mask)
    found = evaluate(layer, lambda: layer(padded.astype("float32"), mask=tensor))
    np.testing.assert_array_equal(found, evaluate(layer, lambda: layer(u, mask=tensor)))


@pytest.mark.parametrize("shape", [(0, 9, 3), (2, 0, 3)])
@pytest.mark.parametrize("variant", ["exp", "exp_matmul_bidirectional", "softmax"])
def test_nothing_comes_of_nothing(variant, shape):
    inputs = np.zeros(shape, "float32")
    assert tuple(make_layer(variant)(inputs).shape) == shape
    assert tuple(make_layer(variant)(inputs, mask=ops.ones(shape[:2], "bool")).shape) == shape


def test_lengths_in_one_model():
    """One model with an unknown length takes every length, in predict and in fit."""
    layer = make_layer("exp")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, 3)
    for length in (1, 7, 16):
        u = make_inputs(length)
        assert close(model.predict(u, verbose=0), oracles.outputs(layer, u), 1e-5)
    assert model.predict(make_inputs(7)[:, :0], verbose=0).shape[1:] == (0, 3)


@pytest.mark.parametrize("variant", ["exp_bidirectional", "softmax"])
def test_fit_with_lengths_that_change(variant):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            u = make_inputs((5, 8, 11)[index])
            return u, u

    layer = make_layer(variant)
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    before = model.evaluate(Batches(), verbose=0)
    model.fit(Batches(), epochs=3, verbose=0)
    assert model.evaluate(Batches(), verbose=0) < before
    found = [model.predict(make_inputs(length), verbose=0) for length in (5, 8, 11)]
    for length, y in zip((5, 8, 11), found, strict=True):
        assert close(y, oracles.outputs(layer, make_inputs(length)), 1e-5)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("variant", ["exp", "softmax_bidirectional"])
def test_dtype_policies(variant, policy):
    layer, u = make_layer(variant, dtype=policy), make_inputs(9)
    if keras.backend.backend() == "jax" and policy == "float64":
        pytest.skip("JAX has float32 alone")
    computed = keras.DTypePolicy(policy).compute_dtype
    outputs = layer(ops.cast(u, computed))
    assert keras.backend.standardize_dtype(outputs.dtype) == computed
    expected = "float64" if policy == "float64" else "float32"
    assert {keras.backend.standardize_dtype(w.dtype) for w in layer.weights} == {expected}
    assert keras.backend.standardize_dtype(layer.kernel(9).dtype) == expected
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(computed, 1e-5)
    assert close(oracles.numpy(outputs), oracles.outputs(layer, u), tolerance)
    again = DSS.from_config(layer.get_config())
    assert again.dtype_policy.name == policy


@pytest.mark.parametrize("source", ["float32", "mixed_bfloat16"])
def test_quantised_dtype_policies(source):
    """The layer and the cell compute as under the policy that the quantised one comes from."""
    layer, plain = (make_layer("exp", dtype=policy) for policy in (f"int8_from_{source}", source))
    plain.set_weights(layer.get_weights())
    u = ops.cast(make_inputs(9), plain.compute_dtype)
    expected = plain(u)
    found = layer(u)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(oracles.numpy(found), oracles.numpy(expected))
    cell = DSSCell.from_config(layer.get_config())
    rnn = keras.layers.RNN(cell, return_sequences=True, dtype=source)
    rnn.build(u.shape)
    rnn.set_weights(layer.get_weights())
    assert close(oracles.numpy(rnn(u)), oracles.numpy(expected), 2e-2)


OPTIONS = {
    "lambda_regularizer": keras.regularizers.L2(0.1),
    "log_dt_regularizer": "l1",
    "w_regularizer": keras.regularizers.L1(0.2),
    "d_regularizer": "l2",
    "lambda_constraint": keras.constraints.MaxNorm(3.0),
    "log_dt_constraint": "non_neg",
    "w_constraint": keras.constraints.UnitNorm(),
    "d_constraint": "max_norm",
    "d_initializer": "ones",
    "log_dt_initializer": keras.initializers.Constant(-3.0),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_config_round_trip(variant):
    layer = make_layer(variant, name="some_name", **OPTIONS)
    config = layer.get_config()
    again = DSS.from_config(config)
    assert again.get_config() == config
    again.build((None, None, 3))
    assert [(w.name, tuple(w.shape)) for w in again.weights] == [
        (w.name, tuple(w.shape)) for w in layer.weights
    ]
    again.set_weights(layer.get_weights())
    u = make_inputs(6)
    np.testing.assert_array_equal(oracles.numpy(again(u)), oracles.numpy(layer(u)))
    assert len(again.losses) == 5  # two weights of lambda


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights(variant):
    layer = make_layer(variant, features=3, state_size=8)
    directions = (2,) if layer.bidirectional else ()
    modes = (8,) if layer.eigenvalues == "shared" else (*directions, 3, 8)
    softmax = layer.parameterization == "softmax"
    assert {w.name: tuple(w.shape) for w in layer.weights} == {
        "lambda_re" if softmax else "lambda_log_neg_re": modes,
        "lambda_im": modes,
        "log_dt": (3,),
        "W": (*directions, 3, 8, 2),
        "D": (3,),
    }
    assert layer.state_size == 8


@pytest.mark.parametrize("trainable", [True, False])
def test_saved_and_cloned(tmp_path, trainable):
    layer = make_layer("softmax_bidirectional")
    layer.trainable = trainable
    model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (keras.models.load_model(tmp_path / "model.keras"), clone):
        assert isinstance(other.layers[0], DSS)
        assert len(other.trainable_weights) == (7 if trainable else 2)
        u = make_inputs(6)
        np.testing.assert_array_equal(oracles.numpy(other(u)), oracles.numpy(model(u)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_system_round_trip(variant):
    layer = make_layer(variant)
    settings = {"parameterization": layer.parameterization, "kernel_length": layer.kernel_length}
    for dt in (None, np.full(3, 0.05)):
        same = DSS.from_system(layer.to_system(), dt=dt, **settings)
        assert same.eigenvalues == "per_feature" and same.bidirectional == layer.bidirectional
        expected = oracles.kernel(layer, 40)
        found = evaluate(same, lambda same=same: same.kernel(40))
        assert oracles.relative_error(found, expected) <= 2e-5
        np.testing.assert_allclose(oracles.numpy(same.D), oracles.numpy(layer.D))
    again = DSS.from_config(same.get_config())
    again.build((None, None, 3))
    for a, b in zip(again.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_system_of_real_poles():
    """Poles at zero, on the negative axis and on the positive one."""
    system = DiagonalSystem([[0.0, -0.5, 0.9]], [[2.0, 1.0, -1.0]], [0.25])
    layer = DSS.from_system(system)
    expected = system.impulse_response(10)
    expected[:, 0] -= 0.25
    assert oracles.relative_error(evaluate(layer, lambda: layer.kernel(10)), expected) <= 1e-5


def test_rate_of_a_trained_layer():
    """A layer for inputs sampled twice as fast steps half as far."""
    layer = make_layer("exp")
    fast = DSS.from_config(layer.get_config() | {"rate": 0.5})
    fast.build((None, None, 3))
    fast.set_weights(layer.get_weights())
    poles, slow_poles = fast.to_system().poles, layer.to_system().poles
    np.testing.assert_allclose(poles**2, slow_poles, rtol=1e-12)


def test_system_in_float64():
    with double_precision():
        layer = make_layer("exp_bidirectional", dtype="float64")
        same = DSS.from_system(layer.to_system(), dtype="float64")
        again = DSS.from_config(same.get_config())
        again.build((None, None, 3))
        expected = oracles.kernel(layer, 40)
        for found in (same, again):
            assert oracles.relative_error(oracles.kernel(found, 40), expected) <= 1e-11


BAD_OPTIONS = [
    ({"state_size": 0}, r"`state_size` must be a positive integer. Received: state_size=0"),
    ({"state_size": True}, r"`state_size` .* Received: state_size=True"),
    ({"state_size": 2.0}, r"`state_size` .* Received: state_size=2.0"),
    ({"parameterization": "log"}, r"`parameterization` must be one of .* Received: .*'log'"),
    ({"eigenvalues": "own"}, r"`eigenvalues` must be one of .* Received: eigenvalues='own'"),
    ({"kernel_length": 9}, r"`kernel_length` belongs to parameterization='softmax'"),
    ({"parameterization": "softmax"}, r"`kernel_length` must be a positive integer.*None"),
    ({"parameterization": "softmax", "kernel_length": 0}, r"`kernel_length` .*=0"),
    ({"rate": 0.0}, r"`rate` must be a positive number. Received: rate=0.0"),
    ({"rate": float("inf")}, r"`rate` must be a positive number. Received: rate=inf"),
    ({"rate": "fast"}, r"`rate` must be a positive number. Received: rate='fast'"),
    ({"dt_min": "a"}, r"0 < minimum <= maximum. Received: minimum='a', maximum=0.1"),
    ({"bidirectional": "no"}, r"`bidirectional` must be one of .* Received: bidirectional='no'"),
    ({"rate": float("nan")}, r"`rate` .* Received: rate=nan"),
    ({"dt_min": 0.0}, r"0 < minimum <= maximum. Received: minimum=0.0"),
    ({"dt_min": 1.0}, r"0 < minimum <= maximum. Received: minimum=1.0, maximum=0.1"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DSS(**{"state_size": 4} | options)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)])
def test_wrong_rank(shape):
    with pytest.raises(ValueError, match=r"\(batch, length, features\).*Received: input_shape="):
        DSS(4)(np.ones(shape, "float32"))
    layer = make_layer("exp")
    with pytest.raises(ValueError, match="ndim"):
        layer(np.ones(shape, "float32"))


def test_wrong_number_of_features():
    with pytest.raises(ValueError, match="shape"):
        make_layer("exp", features=3)(np.ones((2, 5, 4), "float32"))


def test_unknown_number_of_features():
    with pytest.raises(ValueError, match=r"number of features .* Received: None"):
        DSS(4).build((None, 5, None))


def test_input_longer_than_a_softmax_kernel():
    layer = make_layer("softmax", kernel_length=10)
    layer(make_inputs(10))
    with pytest.raises(ValueError, match=r"kernel_length=10 .* Received: inputs of shape \(2, 11"):
        layer(make_inputs(11))


def test_input_of_unknown_length_longer_than_a_softmax_kernel():
    layer = make_layer("softmax", kernel_length=10)
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(Exception, match="kernel_length=10"):
        model.predict(((make_inputs(length),) for length in (8, 11)), steps=2, verbose=0)


def test_bidirectional_cell():
    with pytest.raises(ValueError, match="forward in time only. Received: bidirectional=True"):
        DSSCell(4, bidirectional=True)


def test_cell_of_another_width():
    with pytest.raises(ValueError, match=r"features=5. Received: input_shape=\(2, 3\)"):
        keras.layers.RNN(DSSCell(4, features=5))(make_inputs(5))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX compiles FFTs of known lengths")
@pytest.mark.parametrize("convolution", ["auto", "fft"])
def test_export_of_an_unknown_length(convolution):
    import jax

    layer = make_layer("exp", convolution=convolution)
    shapes = jax.export.symbolic_shape("batch, length, 3")
    with pytest.raises(ValueError, match="models of a known length only.*Received: .*length"):
        jax.export.export(jax.jit(layer.call))(jax.ShapeDtypeStruct(shapes, "float32"))
    shapes = (shapes[0], 7, 3)
    jax.export.export(jax.jit(layer.call))(jax.ShapeDtypeStruct(shapes, "float32"))


def test_systems_that_no_layer_has():
    with pytest.raises(ValueError, match=r"\(H, N\).*Received: a system of shape \(3,\)"):
        DSS.from_system(DiagonalSystem(np.full(3, 0.5), np.ones(3)))
    with pytest.raises(ValueError, match=r"inside the unit circle. Received: .* 1.5"):
        DSS.from_system(DiagonalSystem([[1.5]], [[1.0]]))
    with pytest.raises(ValueError, match="no feedthrough of it. Received: .* 3"):
        DSS.from_system(DiagonalSystem(np.full((2, 1, 1), 0.5), np.ones((2, 1, 1)), [[1.0], [3.0]]))
    with pytest.raises(ValueError, match="'per_feature'. Received: eigenvalues='shared'"):
        DSS.from_system(DiagonalSystem([[0.5]], [[1.0]]), eigenvalues="shared")
    growing = DSS.from_system(
        DiagonalSystem([[1.01]], [[1.0]]), parameterization="softmax", kernel_length=20
    )
    found = evaluate(growing, lambda: growing.kernel(20))
    np.testing.assert_allclose(found, 1.01 ** np.arange(20)[None], rtol=1e-5)


def test_systems_of_layers_that_are_not_ready():
    with pytest.raises(ValueError, match="has no system before it is built"):
        DSS(4).to_system()
    layer = make_layer("exp")
    layer.D.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match=r"'D' .* must be finite. Received: 1 of 3"):
        layer.to_system()
