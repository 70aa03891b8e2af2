"""Gramians measured on the inputs that a model's layers really see."""

import keras
import numpy as np
import pytest

from keras_dss import compress_model
from keras_dss.compression import calibration, prune_model, quantize_model
from keras_dss.compression.calibration import measure_gramians
from keras_dss.layers import DSS
from keras_dss.models import DSSClassifier
from tests.compression.models import MODELS, make_inputs
from tests.layers import oracles
from tests.layers.oracles import numpy


def gramian(poles, sequences):
    """mean of x x^H over all steps of sequences (L, H), x = [s, conj s], one step at a time."""
    features, modes = poles.shape
    total, steps = np.zeros((features, 2 * modes, 2 * modes), complex), 0
    for sequence in sequences:
        state = np.zeros_like(poles)
        for u in np.asarray(sequence, "float64"):
            state = poles * state + u[:, None]
            x = np.concatenate([state, state.conj()], axis=-1)
            total += x[:, :, None] * x[:, None, :].conj()
            steps += 1
    return total / steps


def layer_model(**options):
    layer = DSS(3, name="a", dt_min=0.05, dt_max=0.5, **options)
    inputs = keras.Input((None, 3))
    x = keras.layers.Masking()(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(layer(x))), layer


def measured(model, layer, inputs, batch_size=2):
    system = layer.to_system()
    return measure_gramians(model, {"a": layer}, {"a": system}, inputs, batch_size)["a"]


def poles_of(layer):
    lam, x, W = oracles.modes(layer)
    return np.exp(x)


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_against_a_plain_loop():
    model, layer = layer_model()
    x = make_inputs(5, 12)
    close(measured(model, layer, x), gramian(poles_of(layer), x))


def test_by_default_batches_hold_as_many_sequences_as_are_fast(monkeypatch):
    model, layer = layer_model()
    x = make_inputs(5, 12)
    monkeypatch.setattr(calibration, "LARGEST", 12 * 3 * 2)
    assert calibration.at_once(x, {"a": layer}) == 2
    assert calibration.at_once([x[:, :, :1], x], {"a": layer}) == 2
    assert calibration.at_once({"x": x[:, :6]}, {"a": layer}) == 4
    assert calibration.at_once(np.ones((5, 24), "uint8"), {"a": layer}) == 1
    assert calibration.at_once(np.ones((5, 2, 36), "int32"), {"a": layer}) == 1
    close(measured(model, layer, x, batch_size=None), measured(model, layer, x, batch_size=5))
    monkeypatch.undo()
    assert calibration.at_once(x, {"a": layer}) == calibration.MOST


def test_right_padding():
    model, layer = layer_model()
    x = make_inputs(4, 12)
    lengths = [12, 5, 1, 9]
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0.0
    sequences = [row[:length] for row, length in zip(x, lengths, strict=True)]
    close(measured(model, layer, x), gramian(poles_of(layer), sequences))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_left_padding(bidirectional):
    """Padding counts on neither side; gaps are steps of zeros."""
    model, layer = layer_model(bidirectional=bidirectional)
    x = make_inputs(4, 12)
    valid = [slice(0, 12), slice(5, 12), slice(3, 9), slice(11, 12)]
    for row, steps in zip(x, valid, strict=True):
        row[: steps.start] = row[steps.stop :] = 0.0
    x[0, 4:6] = 0.0
    sequences = [row[steps] for row, steps in zip(x, valid, strict=True)]
    found, poles = measured(model, layer, x), poles_of(layer)
    if not bidirectional:
        close(found, gramian(poles, sequences))
        return
    poles = np.broadcast_to(poles, (2, *poles.shape[-2:]))
    close(found[0], gramian(poles[0], sequences))
    close(found[1], gramian(poles[1], [sequence[::-1] for sequence in sequences]))


def test_a_mask_given_by_position():
    layer, inputs, mask = DSS(3, name="a"), keras.Input((12, 3)), keras.Input((12,), dtype="bool")
    model = keras.Model([inputs, mask], layer(inputs, mask))
    x, valid = make_inputs(4, 12), np.arange(12) < np.array([[12], [5], [1], [9]])
    sequences = [row[steps] for row, steps in zip(x, valid, strict=True)]
    close(measured(model, layer, [x, valid]), gramian(poles_of(layer), sequences))


@pytest.mark.parametrize("eigenvalues", ["shared", "per_feature"])
def test_bidirectional(eigenvalues):
    """The backward system sees the sequences from their last valid step."""
    model, layer = layer_model(bidirectional=True, eigenvalues=eigenvalues)
    x = make_inputs(3, 10)
    x[1, 6:] = 0.0
    sequences = [x[0], x[1, :6], x[2]]
    found, poles = measured(model, layer, x), poles_of(layer)
    close(found[0], gramian(poles[0], sequences))
    close(found[1], gramian(poles[1], [sequence[::-1] for sequence in sequences]))


def test_softmax_with_growing_modes():
    model, layer = layer_model(parameterization="softmax", kernel_length=12)
    layer.lambda_re.assign([-0.5, 0.5, 0.1])
    x = make_inputs(2, 12)
    close(measured(model, layer, x), gramian(poles_of(layer), x))


def test_a_shared_layer_sees_all_its_inputs():
    model = MODELS["shared_layer"]()
    layer = model.get_layer("a")
    x = make_inputs(2, 8)
    second = numpy(model.get_layer(index=2)(layer(x)))
    found = measured(model, layer, x)
    expected = (gramian(poles_of(layer), x) + gramian(poles_of(layer), second)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


class Batches(keras.utils.PyDataset):
    def __init__(self, x, targets):
        super().__init__()
        self.x, self.targets = x, targets

    def __len__(self):
        return len(self.x) // 2

    def __getitem__(self, index):
        batch = self.x[2 * index : 2 * index + 2]
        return (batch, np.zeros(len(batch))) if self.targets else batch


def tensorflow_dataset(x, targets):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x))) if targets else x).batch(2)


def torch_loader(x, targets):
    data = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    arrays = [torch.tensor(x)] + [torch.zeros(len(x))] * targets
    return data.DataLoader(data.TensorDataset(*arrays), batch_size=2)


SOURCES = {
    "array": lambda x: x,
    "list_of_arrays": lambda x: [x],
    "pydataset": lambda x: Batches(x, False),
    "pydataset_with_targets": lambda x: Batches(x, True),
    "tf_data": lambda x: tensorflow_dataset(x, False),
    "tf_data_with_targets": lambda x: tensorflow_dataset(x, True),
    "generator_of_tuples": lambda x: ((x[i : i + 2], None) for i in range(0, len(x), 2)),
    "generator_of_unequal_batches": lambda x: (x[i : i + 3] for i in range(0, len(x), 3)),
    "tensor": lambda x: keras.ops.convert_to_tensor(x),
    "torch_loader": lambda x: torch_loader(x, False),
    "torch_loader_with_targets": lambda x: torch_loader(x, True),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(source):
    model, layer = layer_model()
    x = make_inputs(6, 7)
    close(measured(model, layer, SOURCES[source](x)), gramian(poles_of(layer), x))


def test_several_inputs():
    layer = DSS(3, name="a")
    a, b = keras.Input((None, 3), name="first"), keras.Input((None, 3), name="second")
    model = keras.Model([a, b], layer(keras.layers.add([a, b])))
    x, y = make_inputs(4, 7), make_inputs(4, 7, seed=1)
    expected = gramian(poles_of(layer), x + y)
    for given in ([x, y], {"first": x, "second": y}, iter([[x, y]]), iter([([x, y], None)])):
        close(measured(model, layer, given), expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_inputs_never_excite_goes_first(bidirectional):
    """Slow inputs: the measured Gramian keeps their outputs better than the exact one does."""
    layer = DSS(16, bidirectional=bidirectional, dt_min=1e-2, dt_max=1e-1)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    steps = np.arange(200)[:, None]
    phases = np.random.default_rng(0).uniform(0, 6, size=(6, 1, 3))
    x = np.sin(0.05 * steps + phases).astype("float32")
    full = numpy(model(x[3:]))
    errors = {}
    for name, given in (("exact", None), ("measured", x[:3])):
        small, report = compress_model(model, 2, calibration=given, return_report=True)
        errors[name] = np.abs(numpy(small(x[3:])) - full).max()
        assert report.calibrated == (name == "measured")
        (row,) = report.layers
        if row.stable:
            assert row.error_bound >= row.hinf_error
    assert errors["measured"] < 0.5 * errors["exact"]


def test_tokens_with_padding():
    model = DSSClassifier(3, features=4, num_blocks=2, state_size=8, vocabulary_size=9)
    tokens = np.random.default_rng(0).integers(1, 9, (6, 20), dtype="int32")
    padded = np.pad(tokens, ((0, 0), (0, 10)))
    a, b = (compress_model(model, 3, calibration=x) for x in (tokens, padded))
    np.testing.assert_allclose(numpy(a(tokens)), numpy(b(tokens)), atol=1e-3)
    assert model.get_config() == model.get_config()
    assert "call" not in vars(model.blocks[0].ssm)


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(name):
    model, x = MODELS[name](), make_inputs(4)
    weights, y = model.get_weights(), numpy(model(x))
    small = compress_model(model, 3, calibration=x)
    assert small.count_params() != model.count_params()
    np.testing.assert_array_equal(numpy(model(x)), y)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


BAD = [
    (np.zeros((0, 7, 3), "float32"), "at least one sequence. Received: none"),
    (iter([]), "at least one sequence. Received: none"),
    ({}, "at least one sequence. Received: none"),
    ([np.zeros((2, 7, 3), "float32")] * 2, "model '.*' has inputs, 1, .* Received: 2 arrays"),
    (np.full((2, 7, 3), np.nan, "float32"), "NaN or infinity at the input of layer 'a'"),
    (np.zeros((2, 7, 4), "float32"), r"shape \(sequences, steps, 3\). Received: \(2, 7, 4\)"),
    (3.0, "`calibration` must be an array, .* Received: float"),
    ("train", "`calibration` must be an array, .* Received: 'train'"),
    (np.zeros((2, 7, 3), "float32"), "at least one valid step"),
]


@pytest.mark.parametrize(("calibration", "message"), BAD)
def test_bad_input(calibration, message):
    model, layer = layer_model()
    with pytest.raises(ValueError, match=message):
        compress_model(model, 2, calibration=calibration)
    assert "call" not in vars(layer)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True])
def test_bad_batch_size(batch_size):
    model, _ = layer_model()
    message = f"`batch_size` must be a positive integer or None. Received: batch_size={batch_size}"
    for reduce in (compress_model, quantize_model, prune_model):
        target = {compress_model: [2], quantize_model: ["int8"], prune_model: [0.5]}[reduce]
        with pytest.raises(ValueError, match=message):
            reduce(model, *target, calibration=make_inputs(), batch_size=batch_size)


def test_states_that_grow_out_of_range_name_the_layer():
    model, layer = layer_model(parameterization="softmax", kernel_length=400)
    layer.lambda_re.assign([100.0, 100.0, 100.0])
    with pytest.raises(ValueError, match="Layer 'a' cannot be measured: The states grow"):
        compress_model(model, 2, calibration=make_inputs(2, 400))
