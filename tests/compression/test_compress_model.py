"""`compress_model` on every kind of model, its report, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dss
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.layers import DSS, DSSBlock
from keras_dss.ssm import UnstableSystemError, measured_gramian

VOCABULARY = 11


def classifier(**options):
    options = {"features": 4, "num_blocks": 2, "state_size": 8, "glu": True} | options
    return keras_dss.models.DSSClassifier(3, vocabulary_size=VOCABULARY, **options)


def tokens(count=4, length=30):
    x = np.random.default_rng(0).integers(1, VOCABULARY, (count, length)).astype("int32")
    x[1:2, length // 2 :] = 0
    return x


def values(model):
    return [ops.convert_to_numpy(w) for w in model.weights]


@keras.saving.register_keras_serializable(package="tests")
class Plain(keras.Model):
    """A subclass whose configuration says nothing of its layers."""

    def __init__(self, state_size=8, **kwargs):
        super().__init__(**kwargs)
        self.state_size = state_size
        self.first = DSS(state_size)
        self.stack = [DSSBlock(DSS(state_size)), DSS(state_size)]
        self.head = keras.layers.Dense(2)

    def call(self, x):
        x = self.first(x)
        for layer in self.stack:
            x = layer(x)
        return self.head(x)

    def get_config(self):
        return super().get_config() | {"state_size": self.state_size}


@keras.saving.register_keras_serializable(package="tests")
class Hidden(keras.Model):
    """A subclass that nothing public leads into."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._ssm = DSS(4)

    def call(self, x):
        return self._ssm(x)


def functional():
    inputs = keras.Input((None, 3))
    inner_inputs = keras.Input((None, 3))
    inner = keras.Model(inner_inputs, DSS(8, name="ssm")(inner_inputs), name="inner")
    shared = DSS(8, bidirectional=True, name="shared")
    x = shared(inner(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(shared(x)))


def sequential():
    return keras.Sequential([keras.Input((20, 3)), DSS(8), keras.layers.Dense(2)])


def plain():
    model = Plain()
    model(np.zeros((1, 20, 3), "float32"))
    return model


def sequences():
    return np.random.default_rng(1).standard_normal((3, 20, 3)).astype("float32")


MODELS = {
    "classifier": (classifier, tokens),
    "bidirectional": (lambda: classifier(bidirectional=True, readout="first"), tokens),
    "batch norm, post-norm": (lambda: classifier(normalization="batch", prenorm=False), tokens),
    "softmax": (lambda: classifier(parameterization="softmax", kernel_length=32), tokens),
    "functional": (functional, sequences),
    "sequential": (sequential, sequences),
    "subclass": (plain, sequences),
}


@pytest.fixture(params=MODELS, ids=lambda name: name.replace(" ", "_"))
def model_and_inputs(request):
    make, inputs = MODELS[request.param]
    return make(), inputs()


def test_every_kind_of_model_is_reduced_saved_and_loaded(model_and_inputs, tmp_path):
    model, x = model_and_inputs
    weights, before = values(model), model.predict(x, verbose=0)
    config = str(model.get_config())
    small, report = keras_dss.compress_model(model, rank=3, return_report=True)

    assert all(layer.state_size == 3 for layer in find_dss_layers(small).values())
    assert all((row.rank_before, row.rank_after) == (8, 3) for row in report.layers)
    assert report.parameters_after == small.count_params()
    assert report.states_before == 8 * report.states_after / 3

    assert str(model.get_config()) == config
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    for old, new in zip(weights, values(model), strict=True):
        np.testing.assert_array_equal(old, new)

    reduced = {"lambda_log_neg_re", "lambda_re", "lambda_im", "W"}
    for old, new in zip(model.weights, small.weights, strict=True):
        assert old.name == new.name
        if old.name not in reduced:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(old), ops.convert_to_numpy(new), err_msg=old.path
            )

    after = small.predict(x, verbose=0)
    assert np.isfinite(after).all() and after.shape == before.shape
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), after)
    again = keras_dss.compress_model(loaded, rank=2)
    assert all(layer.state_size == 2 for layer in find_dss_layers(again).values())


def test_nearly_full_rank_nearly_keeps_the_outputs(model_and_inputs):
    model, x = model_and_inputs
    before = model.predict(x, verbose=0)
    same = keras_dss.compress_model(model, rank=8)
    np.testing.assert_allclose(same.predict(x, verbose=0), before, rtol=1e-5, atol=1e-5)
    errors = [
        np.abs(keras_dss.compress_model(model, rank=r).predict(x, verbose=0) - before).max()
        for r in (7, 1)
    ]
    assert errors[0] < errors[1]


def test_reduced_model_starts_from_its_parameters_and_trains():
    model, x = classifier(), tokens()
    small = keras_dss.compress_model(model, rank=3)
    fresh = type(small).from_config(small.get_config())
    for old, new in zip(small.weights, fresh.weights, strict=True):
        if old.name in ("lambda_log_neg_re", "lambda_im", "W", "log_dt", "D"):
            np.testing.assert_array_equal(ops.convert_to_numpy(old), ops.convert_to_numpy(new))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    small.compile(keras_dss.optimizers.DSSAdamW(1e-2), loss)
    history = small.fit(x, np.arange(4) % 3, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.predict(x, verbose=0)  # the large model keeps its own arrays


def test_error_bound_holds_for_each_layer():
    _, report = keras_dss.compress_model(classifier(), rank=4, return_report=True)
    for layer in report.layers:
        assert 0 < layer.hinf_error <= layer.error_bound
        assert layer.stable and layer.h2_error < layer.h2_norm
        assert layer.hankel_singular_values.shape == (4, 16)


@pytest.mark.parametrize("rank, expected", [(2, [2, 2]), (0.5, [4, 4]), (0.01, [1, 1])])
def test_rank_as_int_or_fraction(rank, expected):
    _, report = keras_dss.compress_model(classifier(), rank, return_report=True)
    assert [layer.rank_after for layer in report.layers] == expected


def test_rank_as_mapping_leaves_other_layers():
    model = classifier()
    small, report = keras_dss.compress_model(model, {"ssm_1": 0.25}, return_report=True)
    assert [layer.rank_after for layer in report.layers] == [8, 2]
    assert report.layers[0].reason == "not in the mapping of ranks"
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(m.blocks[0].ssm.W) for m in (model, small))
    )
    assert "ssm_1" in str(report) and "skipped" in str(report)


@pytest.mark.parametrize("method", ["modal", "modal_refit", "complex"])
def test_baselines(method):
    model, x = classifier(), tokens()
    small, report = keras_dss.compress_model(model, 4, method=method, return_report=True)
    assert np.isfinite(small.predict(x, verbose=0)).all()
    assert all(layer.hinf_error <= layer.error_bound for layer in report.layers)


def batches(x):
    return [(x[:2], np.zeros(2)), (x[2:], np.zeros(2))]


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return batches(tokens())[index]


CALIBRATIONS = {
    "array": tokens,
    "list": lambda: [tokens()],
    "generator": lambda: (batch for batch in batches(tokens())),
    "PyDataset": Pairs,
}


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_calibration_takes_what_fit_takes(kind):
    model = classifier(bidirectional=True)
    expected = keras_dss.compress_model(model, 4, calibration=tokens())
    small = keras_dss.compress_model(model, 4, calibration=CALIBRATIONS[kind](), batch_size=3)
    for old, new in zip(expected.blocks, small.blocks, strict=True):
        wanted, found = (ops.convert_to_numpy(block.ssm.kernel(30)) for block in (old, new))
        np.testing.assert_allclose(found, wanted, atol=1e-2 * np.abs(wanted).max())
    assert "call" not in vars(model.blocks[0].ssm)


def test_calibration_measures_the_states_of_both_directions():
    from keras_dss.compression.calibration import measure_gramians

    layer = DSS(3, bidirectional=True)
    model = keras.Sequential([keras.Input((20, 2)), layer])
    x = np.random.default_rng(2).standard_normal((2, 20, 2)).astype("float32")
    system = layer.to_system()
    found = measure_gramians(model, {"ssm": layer}, {"ssm": system}, x, 32)["ssm"]
    expected = [measured_gramian(system.poles[d], x[:, :: 1 - 2 * d]) for d in (0, 1)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-6, atol=1e-9)


def test_report_as_dictionary_and_picture(tmp_path):
    _, report = keras_dss.compress_model(classifier(), 4, return_report=True)
    row = report.to_dict()["layers"][0]
    assert row["rank_after"] == 4 and len(row["hankel_singular_values_max"]) == 16
    report.plot(tmp_path / "hankel.png")
    assert (tmp_path / "hankel.png").read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["hankel.png"]
    report.plot(tmp_path / "hankel.SVG")
    assert b"<svg" in (tmp_path / "hankel.SVG").read_bytes()
    with pytest.raises(ValueError, match="picture of .*png, .* Received: .*hankel.txt"):
        report.plot(tmp_path / "hankel.txt")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("rank", [0, -1, 9, 1.5, 0.0, True, "4", float("nan")])
def test_ranks_that_do_not_fit(rank):
    with pytest.raises(ValueError, match="from 1 to its state size 8.*Received: rank="):
        keras_dss.compress_model(classifier(), rank)


def test_unknown_names():
    with pytest.raises(ValueError, match="ssm_0.*Received: 'ssm_9'"):
        keras_dss.compress_model(classifier(), {"ssm_9": 2})
    with pytest.raises(ValueError, match="'balanced'.*Received: method='best'"):
        keras_dss.compress_model(classifier(), 2, method="best")
    with pytest.raises(ValueError, match="Only methods 'balanced'"):
        keras_dss.compress_model(classifier(), 2, method="modal", calibration=tokens())


def test_models_that_cannot_be_reduced():
    with pytest.raises(TypeError, match="keras.Model"):
        keras_dss.compress_model(DSS(4), 2)
    without = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="only")])
    with pytest.raises(ValueError, match="no keras_dss.layers.DSS layer.*only"):
        keras_dss.compress_model(without, 2)
    with pytest.raises(ValueError, match="call the model"):
        keras_dss.compress_model(Plain(), 2)
    hidden = Hidden()
    hidden(np.zeros((1, 5, 2), "float32"))
    with pytest.raises(ValueError, match="cannot be rebuilt around its layers .*dss"):
        keras_dss.compress_model(hidden, 2)


def test_weights_that_are_not_finite_name_the_layer():
    model = classifier()
    w = ops.convert_to_numpy(model.blocks[1].ssm.W).copy()
    w[0, 0, 0] = np.nan
    model.blocks[1].ssm.W.assign(w)
    with pytest.raises(ValueError, match="ssm_1.*finite"):
        keras_dss.compress_model(model, 2)


def test_unstable_layer_is_named():
    model = classifier()
    layer = model.blocks[0].ssm
    layer.lambda_re.assign(np.full(8, -200.0))  # exp(-exp(-200)) is one
    with pytest.raises(UnstableSystemError, match="ssm_0"):
        keras_dss.compress_model(model, 2)


def test_calibration_without_a_sequence():
    with pytest.raises(ValueError, match="at least one sequence"):
        keras_dss.compress_model(classifier(), 2, calibration=tokens(0))
