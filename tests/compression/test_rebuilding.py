"""Models rebuilt around reduced layers: every way to hold a layer, and what is kept of the rest."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss import compress_model
from keras_dss.compression import METHODS, quantize_model
from keras_dss.compression.copying import copy_model
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.initializers import ReducedRank
from keras_dss.layers import DSS
from keras_dss.models import DSSClassifier, ExchangedLayers
from keras_dss.ssm import balanced_truncation
from tests.compression.models import MODELS, NoConfig, PlainConfig, make_inputs
from tests.layers.oracles import numpy

REPOSITORY = Path(__file__).resolve().parents[2]


def dss_layers(model):
    found = []
    for layer in model._flatten_layers():
        if isinstance(layer, DSS) and all(layer is not other for other in found):
            found.append(layer)
    return found


def other_weights(model):
    reduced = {
        id(w) for layer in dss_layers(model) for w in layer.weights if w.name not in ("log_dt", "D")
    }
    return [ops.convert_to_numpy(w) for w in model.weights if id(w) not in reduced]


def difference(a, b, inputs):
    return np.abs(numpy(a(inputs)) - numpy(b(inputs))).max()


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(name, tmp_path):
    model, x = MODELS[name](), make_inputs()
    config = keras.saving.serialize_keras_object(model)
    before, y = [w.copy() for w in model.get_weights()], numpy(model(x))
    small, report = compress_model(model, 3, return_report=True)
    layers = dss_layers(small)
    assert [layer.state_size for layer in layers] == [3] * len(dss_layers(model))
    assert len(report.layers) == len(layers)
    for a, b in zip(other_weights(small), other_weights(model), strict=True):
        np.testing.assert_array_equal(a, b)
    for layer in layers:
        assert layer.eigenvalues == "per_feature"
        assert isinstance(layer.w_initializer, ReducedRank)
    assert small.count_params() == report.parameters_after
    assert type(small) is (ExchangedLayers if name == "plain_config" else type(model))
    # the old model is whole
    assert keras.saving.serialize_keras_object(model) == config
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(numpy(model(x)), y)
    for layer in dss_layers(model):
        assert not {"call", "get_config"} & set(vars(layer))
    # the new one saves, loads and compresses again
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(small(x)))
    smaller = compress_model(loaded, 2)
    assert [layer.state_size for layer in dss_layers(smaller)] == [2] * len(layers)


@pytest.mark.parametrize("name", MODELS)
def test_full_rank_gives_identical_outputs(name):
    model, x = MODELS[name](), make_inputs()
    same, report = compress_model(model, 8, return_report=True)
    assert same is not model
    np.testing.assert_array_equal(numpy(same(x)), numpy(model(x)))
    assert {layer.reason for layer in report.layers} == {"the rank is the state size"}
    assert report.parameters_after == report.parameters_before


@pytest.mark.parametrize("name", ["functional", "plain_config"])
def test_nearly_full_rank_gives_nearly_the_same(name):
    model, x = MODELS[name](), make_inputs()
    scale = np.abs(numpy(model(x))).max()
    errors = [difference(compress_model(model, rank), model, x) for rank in (1, 3, 7)]
    assert errors[2] < errors[0] and errors[2] < 0.1 * scale


@pytest.mark.parametrize("variant", [{}, {"bidirectional": True}, {"rate": 2.0}])
def test_reduced_layer_is_the_reduced_system(variant):
    layer = DSS(8, **variant)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    small, report = compress_model(model, 3, return_report=True)
    expected = balanced_truncation(layer.to_system(), 3)
    found = small.layers[0].to_system().impulse_response(50)
    scale = np.abs(found).max()
    np.testing.assert_allclose(found, expected.system.impulse_response(50), atol=1e-5 * scale)
    (row,) = report.layers
    np.testing.assert_allclose(row.hankel_singular_values, expected.hankel_singular_values)
    assert row.stable and np.isclose(row.error_bound, expected.error_bound.max())


def test_ranks():
    model = MODELS["functional"]()
    paths = [layer.path for layer in dss_layers(model)]
    for rank, expected in (
        (5, [5, 5, 5]),
        (np.int64(5), [5, 5, 5]),
        (0.25, [2, 2, 2]),
        (1.0, [8, 8, 8]),
        (0.01, [1, 1, 1]),
        ({"a": 2}, [2, 8, 8]),
        ({paths[1]: 0.5, "c": 3}, [8, 4, 3]),
    ):
        small, report = compress_model(model, rank, return_report=True)
        assert [layer.state_size for layer in dss_layers(small)] == expected
        assert [layer.rank_after for layer in report.layers] == expected
        for row, after in zip(report.layers, expected, strict=True):
            assert (row.reason is None) == (after < 8)
    (_, row, _) = compress_model(model, {"a": 2}, return_report=True)[1].layers
    assert row.reason == "not in the mapping of ranks"


def test_ranks_of_duplicate_names():
    model = MODELS["duplicate_names"]()
    with pytest.raises(ValueError, match="'a' is the name of .* Received: 'a'"):
        compress_model(model, {"a": 2})
    report = compress_model(model, 3, return_report=True)[1]
    paths = [row.path for row in report.layers]
    assert len(set(paths)) == 2
    small = compress_model(model, {paths[1]: 2})
    assert [layer.state_size for layer in dss_layers(small)] == [8, 2]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "plain_config"])
def test_paths_are_those_of_saved_and_reduced_models(name, tmp_path):
    model = MODELS[name]()
    paths = list(find_dss_layers(model))
    assert len(set(paths)) == len(dss_layers(model))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for other in (loaded, compress_model(model, 3), compress_model(loaded, 3)):
        assert list(find_dss_layers(other)) == paths
        small = compress_model(other, {paths[-1]: 2})
        assert [layer.state_size for layer in dss_layers(small)][-1] == 2


def test_paths():
    assert list(find_dss_layers(MODELS["classifier"]())) == ["block_0/ssm_0", "block_1/ssm_1"]
    assert list(find_dss_layers(MODELS["duplicate_names"]())) == ["part/a", "other/part/a"]
    model = MODELS["plain_config"]()
    small = compress_model(model, 3)
    assert isinstance(small, ExchangedLayers)
    assert not any("/" in path for path in find_dss_layers(compress_model(small, 2)))


@keras.saving.register_keras_serializable(package="tests")
class Twice(DSS):
    """Another layer with the parameters of a DSS layer."""

    def call(self, inputs, mask=None):
        return 2.0 * super().call(inputs, mask=mask)


@keras.saving.register_keras_serializable(package="tests")
class MakesTwice(PlainConfig):
    ssm = Twice


def test_subclasses_in_models_that_make_their_layers(tmp_path):
    model = MakesTwice()
    model.build((None, 20, 3))
    small, x = compress_model(model, 3), make_inputs()
    assert [type(layer) for layer in dss_layers(small)] == [Twice] * 3
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(small(x)))
    expected = numpy(model(x))
    nearly = compress_model(model, 7)
    assert np.abs(numpy(nearly(x)) - expected).max() < 0.1 * np.abs(expected).max()


def test_exchanged_layers_of_bare_configurations():
    model = MODELS["plain_config"]()
    small = compress_model(model, 3)
    config = small.get_config()
    bare = {path: layer["config"] for path, layer in config["layer_configs"].items()}
    old = ExchangedLayers.from_config(config | {"layer_configs": bare})
    old.build((None, 20, 3))
    assert [layer.state_size for layer in dss_layers(old)] == [3] * 3


def test_a_path_comes_before_names():
    inner = keras.Sequential([keras.Input((None, 3)), DSS(8, name="a")], name="inner")
    model = keras.Sequential([keras.Input((None, 3)), inner, DSS(8, name="a")])
    small = compress_model(model, {"a": 3, "inner/a": 2})
    assert [layer.state_size for layer in dss_layers(small)] == [2, 3]
    small = compress_model(model, {model.layers[1].path: 4})  # Keras' own path
    assert [layer.state_size for layer in dss_layers(small)] == [8, 4]


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    model = MODELS["classifier"]()
    horizon = 50 if method == "finite_horizon" else None
    small, report = compress_model(model, 4, method=method, horizon=horizon, return_report=True)
    assert report.method == method
    for row in report.layers:
        assert (row.rank_before, row.rank_after) == (8, 4)
        if row.stable:
            assert row.error_bound >= row.hinf_error > 0
            assert row.hinf_norm > 0 and row.h2_norm > 0 and row.h2_error > 0
            if method not in ("singular_perturbation", "random"):
                assert row.h2_norm >= row.h2_error
    errors = [row.h2_error for row in report.layers]
    modal = compress_model(model, 4, method="modal", return_report=True)[1]
    if method in ("modal_refit", "balanced"):
        assert sum(errors) <= sum(row.h2_error for row in modal.layers)


def test_error_bound_of_the_balanced_model():
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        report = compress_model(MODELS["functional"](), 3, return_report=True)[1]
        for row in report.layers[:2]:
            assert row.error_bound >= row.hinf_error
        assert report.layers[2].hinf_error is None or report.layers[2].error_bound > 0


def test_frozen_layers_stay_frozen():
    model = MODELS["classifier"]()
    model.get_layer("encoder").trainable = False
    model.blocks[0].mix.trainable = False
    model.blocks[1].ssm.trainable = False
    small = compress_model(model, 3)
    names = [w.name for w in model.trainable_weights]
    assert [w.name for w in small.trainable_weights] == names
    assert not small.get_layer("encoder").trainable


def test_frozen_weights_stay_frozen():
    model = keras.Sequential([keras.Input((None, 3)), DSS(8, name="a"), keras.layers.Dense(2)])
    model.layers[0].W.trainable = model.layers[1].bias.trainable = False
    model.layers[0].lambda_im.trainable = False
    for new in (compress_model(model, 3), quantize_model(model)):
        assert [w.trainable for w in new.weights] == [w.trainable for w in model.weights]
        assert new.layers[0].trainable and len(new.trainable_weights) == 4


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs


class MainClass(keras.Model):
    """Makes its layer itself; not registered."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ssm = DSS(8, name="a")

    def call(self, inputs):
        return self.ssm(inputs)


def unregistered():
    class Local(MainClass):
        pass

    model = Local()
    model(make_inputs())
    return model, {"Local": Local}


LIVE = {
    "local_class": unregistered,
    "custom_layer": lambda: (
        keras.Sequential([keras.Input((20, 3)), DSS(8, name="a"), Doubled()]),
        {"Doubled": Doubled},
    ),
    "lambda": lambda: (
        keras.Sequential(
            [keras.Input((20, 3)), DSS(8, name="a"), keras.layers.Lambda(lambda x: 2.0 * x)]
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", LIVE)
def test_classes_that_are_not_registered(name, tmp_path):
    (model, classes), x = LIVE[name](), make_inputs()
    full, small, copied = compress_model(model, 8), compress_model(model, 3), copy_model(model)
    for same in (full, copied):
        np.testing.assert_array_equal(numpy(same(x)), numpy(model(x)))
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(
        tmp_path / "small.keras", custom_objects=classes, safe_mode=name != "lambda"
    )
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(small(x)))
    assert [layer.state_size for layer in dss_layers(compress_model(loaded, 2))] == [2]


class NoOptions(MainClass):
    """Its configuration says more than it takes."""

    def __init__(self):
        super().__init__()


def test_a_class_that_its_configuration_does_not_make():
    model = NoOptions()
    model(make_inputs())
    message = "layers a.*: .* got an unexpected keyword argument"
    with pytest.raises(ValueError, match=f"cannot be rebuilt around its {message}"):
        compress_model(model, 3)
    with pytest.raises(ValueError, match=f"of the {message}"):
        copy_model(model)


def test_dtype_policies():
    for policy in ("mixed_bfloat16", "bfloat16"):
        model = DSSClassifier(3, features=4, num_blocks=1, state_size=8, channels=3, dtype=policy)
        small = compress_model(model, 3)
        assert small.blocks[0].ssm.dtype_policy.name == policy
        np.testing.assert_allclose(numpy(small(make_inputs())), numpy(model(make_inputs())), atol=2)


def test_reduced_layers_inside_a_user_class_train():
    model = compress_model(MODELS["plain_config"](), 3)
    x = make_inputs(8)
    y = np.random.default_rng(1).normal(size=numpy(model(x)).shape)
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


def test_compiled_model_gives_an_uncompiled_one():
    model = MODELS["sequential"]()
    model.compile("adam", "mse")
    small = compress_model(model, 3)
    assert model.compiled and not small.compiled


def test_loads_without_the_compressor(tmp_path):
    model, x = compress_model(MODELS["classifier"](), 3), make_inputs()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=numpy(model(x)))
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('keras_dss.compression'):\n"
        "            raise ImportError(name)\n"
        "sys.modules['keras_dss'] = package = type(sys)('keras_dss')\n"
        "package.__path__ = ['keras_dss']\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import keras, numpy as np\n"
        "import keras_dss.models\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "data = np.load(sys.argv[1] + '/data.npz')\n"
        "y = keras.ops.convert_to_numpy(model(data['x']))\n"
        "assert np.abs(y - data['y']).max() < 1e-6\n"
        "assert not any(name.startswith('keras_dss.compression') for name in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_report(tmp_path):
    report = compress_model(MODELS["functional"](), {"a": 3, "b": 3}, return_report=True)[1]
    values = report.to_dict()
    assert [layer["rank_after"] for layer in values["layers"]] == [3, 3, 8]
    assert values["layers"][0]["parameters_after"] == 4 * 3 * 3 + 2 * 3
    assert report.states_before == 3 * 8 * 4 and report.states_after == 3 * (3 + 6 + 8)
    text = str(report)
    assert "8 -> 3" in text and "skipped: not in the mapping of ranks" in text
    report.plot(tmp_path / "hankel.png")
    assert (tmp_path / "hankel.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["hankel.png"]


def test_model_without_a_configuration():
    model = NoConfig([DSS(4)])
    model.build((None, 20, 3))
    with pytest.raises(ValueError, match="cannot be rebuilt.*NoConfig"):
        compress_model(model, 3)


@pytest.mark.parametrize("rank", [8.5, -0.5, 2.0, [3], np.nan])
def test_bad_ranks_in_a_mapping(rank):
    message = "must be an integer from 1 to its state size 8, or a fraction"
    with pytest.raises(ValueError, match=rf"'.*a' {message} in \(0, 1\]. Received: rank="):
        compress_model(MODELS["sequential"](), {"a": rank})


def test_failures_leave_the_model_whole():
    model = MODELS["functional"]()
    layer = dss_layers(model)[1]
    layer.D.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="Layer '.*b' cannot be reduced: Weight 'D' .* 1 of 3"):
        compress_model(model, 3)
    assert not {"call", "get_config"} & set(vars(layer))
    compress_model(model, {"a": 3, "c": 3})


def test_nothing_to_draw(tmp_path):
    report = compress_model(MODELS["sequential"](), 8, return_report=True)[1]
    with pytest.raises(ValueError, match="nothing to draw"):
        report.plot(tmp_path / "hankel.png")
    assert not list(tmp_path.iterdir())


class Training(keras.layers.Layer):
    """Remembers whether it was called for training."""

    seen = False

    def call(self, inputs, training=None):
        self.seen = self.seen or training is True
        return inputs


@keras.saving.register_keras_serializable(package="tests")
class MakesTraining(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ssm, self.observer, self.head = DSS(4), Training(), keras.layers.Dense(1)

    def call(self, inputs, training=False):
        return self.head(self.observer(self.ssm(inputs), training=training))

    def get_config(self):
        return {}


def test_exchanged_layers_train():
    """Layers that behave otherwise in training do so in `fit` of the reduced model."""
    x = np.ones((2, 5, 3), "float32")
    model = MakesTraining()
    model(x)
    small = compress_model(model, 2)
    assert isinstance(small, ExchangedLayers)
    small.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "jax")
    small.fit(x, np.zeros((2, 5, 1), "float32"), verbose=0)
    assert small.model.observer.seen
    small.trainable = False
    assert not ExchangedLayers.from_config(small.get_config()).trainable
