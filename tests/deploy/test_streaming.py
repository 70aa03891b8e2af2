import keras
import numpy as np
import pytest

import keras_dss
from keras_dss.layers import DSS, DSSBlock, Readout
from keras_dss.models import DSSClassifier, DSSLanguageModel, DSSPairClassifier, DSSRegressor

LENGTH = 9
SMALL = {"features": 4, "num_blocks": 2, "state_size": 4}
FLOATS = np.random.default_rng(0).normal(size=(2, LENGTH, 3)).astype("float32")
TOKENS = np.random.default_rng(1).integers(0, 5, (3, LENGTH))  # with padding between them


def streamed(stream, inputs):
    """The outputs after every step, (B, L, ...)."""
    states, outputs = stream.initial_states(len(inputs)), []
    for step in range(inputs.shape[1]):
        found, *states = stream.predict_on_batch([inputs[:, step], *states])
        outputs.append(found)
    return np.stack(outputs, axis=1)


def check_prefixes(model, inputs):
    """What the model says of the first step, of the first four and of all is what is streamed."""
    each = len(model.output_shape) == 3 and model.output_shape[1] is None
    found = streamed(keras_dss.to_streaming(model), inputs)
    for steps in (1, 4, LENGTH):
        expected = keras.ops.convert_to_numpy(model(inputs[:, :steps], training=False))
        expected = expected[:, -1] if each else expected
        tolerance = 2e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found[:, steps - 1], expected, rtol=1e-4, atol=tolerance)


MODELS = {
    "mean": lambda: DSSClassifier(3, channels=3, glu=True, **SMALL),
    "first of tokens": lambda: DSSClassifier(3, vocabulary_size=5, readout="first", **SMALL),
    "last, post-norm": lambda: DSSClassifier(
        3, vocabulary_size=5, readout="last", normalization="batch", prenorm=False, **SMALL
    ),
    "downsampling": lambda: DSSClassifier(
        3, channels=3, downsampling=(1, 2, 2), readout="last", **SMALL | {"num_blocks": 3}
    ),
    "downsampling of tokens": lambda: DSSClassifier(
        3, vocabulary_size=5, downsampling=(1, 2, 3), **SMALL | {"num_blocks": 3}
    ),
    "softmax": lambda: DSSClassifier(
        3, channels=3, parameterization="softmax", kernel_length=16, readout="first", **SMALL
    ),
    "language": lambda: DSSLanguageModel(5, **SMALL),
    "outputs at every step": lambda: DSSRegressor(2, channels=3, readout=None, **SMALL),
    "forecast": lambda: DSSRegressor(2, channels=3, horizon=5, **SMALL),
}

FEW = ("last, post-norm", "downsampling of tokens", "language")


@pytest.mark.parametrize("name", MODELS)
def test_every_step_has_the_outputs_of_the_sequence_up_to_it(name):
    if keras.backend.backend() == "jax" and name not in FEW:  # which compiles every length anew
        pytest.skip("every model on the others, a few on JAX")
    model = MODELS[name]()
    for weight in model.weights:
        if "moving" in weight.name:  # of a batch normalization that has been trained
            weight.assign(weight + 0.3)
    check_prefixes(model, TOKENS if model.inputs[0].dtype == "int32" else FLOATS)


def test_models_of_ones_own():
    inputs = keras.Input((None, 3))
    x = keras.layers.Dense(4, activation="relu")(inputs)
    x = keras.Sequential([keras.Input((None, 4)), DSS(4), keras.layers.Dense(4)])(x)
    x = keras.layers.Concatenate()([DSS(3)(x), keras.ops.tanh(x) * 2.0])
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Reshape((2, 4))(x))
    check_prefixes(model, FLOATS)

    inputs = keras.Input((None, 3))
    x = keras.layers.Add()([inputs, DSS(4)(inputs)])
    x = keras.layers.Multiply()([x, keras.layers.Dense(3, activation="sigmoid")(x)])
    constant = np.ones((1, 1, 3), "float32")
    check_prefixes(keras.Model(inputs, Readout("last")(2.0 - x + constant)), FLOATS)

    model = keras.Sequential(
        [keras.Input((LENGTH, 3)), keras.layers.Masking(), DSSBlock(DSS(4)), Readout("last")]
    )
    padded = FLOATS * (np.arange(LENGTH) % 4 != 2)[:, None]
    found = streamed(keras_dss.to_streaming(model), padded)[:, -1]
    np.testing.assert_allclose(found, model.predict_on_batch(padded), rtol=1e-4, atol=1e-5)


def test_names_and_layers_that_come_twice(tmp_path):
    def part():
        layers = [DSS(2, name="ssm"), keras.layers.Dense(3, name="mix"), DSSBlock(DSS(2))]
        return keras.Sequential([keras.Input((None, 3)), *layers, DSSBlock(DSS(3, name="ssm"))])

    twice = DSS(4, name="ssm")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, Readout("last")(part()(twice(twice(part()(inputs))))))
    check_prefixes(model, FLOATS)
    stream = keras_dss.to_streaming(model)
    stream.save(tmp_path / "stream.keras")
    loaded = keras.saving.load_model(tmp_path / "stream.keras")
    np.testing.assert_array_equal(streamed(loaded, FLOATS), streamed(stream, FLOATS))


def test_compressed_models_stream(tmp_path):
    small = keras_dss.compress_model(MODELS["mean"](), rank=2)
    stream = keras_dss.to_streaming(small, name="small")
    assert stream.name == "small"
    assert [tuple(state.shape) for state in stream.initial_states(5)] == [
        (5, 4, 4), (5, 4, 4), (5, 5),
    ]  # fmt: skip
    stream.save(tmp_path / "stream.keras")
    loaded = keras.saving.load_model(tmp_path / "stream.keras")
    assert isinstance(loaded, keras_dss.deploy.StreamingModel)
    np.testing.assert_array_equal(streamed(loaded, FLOATS), streamed(stream, FLOATS))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_states_are_never_half_precision(dtype):
    model = DSSClassifier(3, channels=3, downsampling=(1, 2), dtype=dtype, **SMALL)
    stream = keras_dss.to_streaming(model)
    wide = "float64" if dtype == "float64" else "float32"
    wide = keras.ops.convert_to_tensor(np.zeros(1), dtype=wide).dtype  # JAX may lack float64
    wide = keras.backend.standardize_dtype(wide)
    states = stream.initial_states(2)
    outputs, *new = stream.predict_on_batch([FLOATS[:, 0], *states])
    assert {keras.backend.standardize_dtype(state.dtype) for state in new} == {wide}
    expected = model.predict_on_batch(FLOATS)
    tolerance = 5e-2 if "16" in dtype else 1e-4
    np.testing.assert_allclose(streamed(stream, FLOATS)[:, -1], expected, atol=tolerance)


def test_the_model_stays_as_it_is():
    model = MODELS["downsampling"]()
    before = model.get_weights()
    stream = keras_dss.to_streaming(model)
    for weight in stream.weights:
        weight.assign(weight * 0.0)
    for old, weight in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, weight)
    assert not any(layer.name == "ssm_0" for layer in stream.layers if isinstance(layer, DSS))


def growing():
    model = DSSClassifier(
        3, channels=3, parameterization="softmax", kernel_length=16, **SMALL | {"num_blocks": 1}
    )
    model.blocks[0].ssm.lambda_re.assign(np.full(4, 0.5))
    return model


def joined(join):
    """A model that joins the steps with something else."""
    inputs = keras.Input((LENGTH, 3))
    return keras.Model(inputs, Readout("last")(join(inputs, DSS(4)(inputs))))


def gated(inputs, x):
    gate = keras.layers.GlobalAveragePooling1D()(x)
    return keras.layers.Multiply(name="gated")([x, keras.layers.Reshape((1, 3))(gate)])


REFUSED = {
    "bidirectional": (lambda: DSSClassifier(3, bidirectional=True, **SMALL), "'ssm_0'.*later"),
    "relative": (lambda: DSSRegressor(3, channels=3, relative=True, **SMALL), "GetItem"),
    "pairs": (lambda: DSSPairClassifier(2, vocabulary_size=5, **SMALL), "'split'"),
    "growing modes": (growing, "'ssm_0'.*modes that grow"),
    "convolution": (
        lambda: keras.Sequential(
            [keras.Input((LENGTH, 3)), DSS(4), keras.layers.Conv1D(3, 3, name="conv")]
        ),
        "'conv'.*Conv1D.*no recurrence",
    ),
    "normalization over time": (
        lambda: keras.Sequential(
            [keras.Input((LENGTH, 3)), keras.layers.LayerNormalization(axis=(1, 2), name="norm")]
        ),
        "'norm'",
    ),
    "a readout for every step": (lambda: joined(gated), "'gated'.*made of several"),
    "the same by an operation": (
        lambda: joined(lambda inputs, x: x * keras.ops.expand_dims(Readout("mean")(x), 1)),
        "Multiply.*made of several",
    ),
    "positions": (
        lambda: joined(lambda inputs, x: x + np.ones((1, LENGTH, 3), "float32")),
        "Add.*for each step",
    ),
    "weights of positions": (
        lambda: joined(lambda inputs, x: keras.layers.PReLU(name="steep")(x)),
        "'steep'.*for each step",
    ),
    "scales of positions": (
        lambda: joined(
            lambda inputs, x: keras.layers.Rescaling(np.ones((LENGTH, 1)), name="scaled")(x)
        ),
        "'scaled'.*for each step",
    ),
    "one vector": (lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "length"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_streaming_form_is_named(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        keras_dss.to_streaming(make())


def test_wrong_arguments():
    with pytest.raises(TypeError, match="keras.Model"):
        keras_dss.to_streaming("smnist_n8_bt")
    stream = keras_dss.to_streaming(MODELS["mean"]())
    with pytest.raises(ValueError, match="batch_size"):
        stream.initial_states(0)
