"""The models: padding, configurations, files, other backends."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss import compress_model
from keras_dss.layers import DSS, DSSBlock
from keras_dss.layers.padding import TrailingZeros
from keras_dss.models import (
    DSSClassifier,
    DSSLanguageModel,
    DSSPairClassifier,
    DSSRegressor,
)
from keras_dss.optimizers import DSSAdamW
from tests.layers.oracles import numpy

REPOSITORY = Path(__file__).resolve().parents[1]
VARIANTS = {
    "tokens": {"vocabulary_size": 7},
    "floats": {"channels": 2, "bidirectional": True, "readout": "last"},
    "batch": {"vocabulary_size": 7, "normalization": "batch", "prenorm": False, "glu": True},
    "softmax": {
        "vocabulary_size": 7,
        "parameterization": "softmax",
        "kernel_length": 32,
        "eigenvalues": "per_feature",
        "state_size": [4, 3],
        "normalization": None,
        "dropout": 0.1,
        "rate": 2.0,
    },
}

# Models of the other classes: class, positional argument, options.
OTHERS = {
    "zeros": (DSSClassifier, 3, {"channels": 2, "mask_zeros": True, "bidirectional": True}),
    "pairs": (DSSPairClassifier, 2, {"vocabulary_size": 7, "bidirectional": True, "glu": True}),
    "fewer": (DSSClassifier, 3, {"vocabulary_size": 7, "downsampling": (2, 3), "glu": True}),
    "fewer_pairs": (DSSPairClassifier, 2, {"vocabulary_size": 7, "downsampling": [1, 4]}),
    "class_pairs": (
        DSSPairClassifier,
        2,
        {"vocabulary_size": 7, "classes": 6, "standardize": True},
    ),
    "vector": (DSSRegressor, 3, {"channels": 2, "mask_zeros": True, "readout": "mean"}),
    "fewer_zeros": (
        DSSRegressor,
        3,
        {"channels": 2, "mask_zeros": True, "downsampling": [1, 2]},
    ),
    "steps": (DSSRegressor, 3, {"channels": 2, "readout": None}),
    "forecast": (DSSRegressor, 2, {"channels": 2, "horizon": 6, "relative": True, "glu": True}),
    "language": (DSSLanguageModel, 7, {"normalization": "batch", "prenorm": False}),
}
ALL = [*VARIANTS, *OTHERS]
SHAPES = {
    "pairs": (4, 2),
    "fewer": (4, 3),
    "vector": (4, 3),
    "steps": (4, 12, 3),
    "forecast": (4, 6, 2),
}
SHAPES |= {"language": (4, 12, 7)}


def make_model(variant, **kwargs):
    small = {"features": 5, "num_blocks": 2, "state_size": 4}
    kind, outputs, options = OTHERS.get(variant) or (DSSClassifier, 3, VARIANTS[variant])
    return kind(outputs, **small | options | kwargs)


def make_inputs(variant, length=12, batch=4):
    generator = np.random.default_rng(0)
    if variant in ("floats", "zeros", "vector", "fewer_zeros", "steps", "forecast"):
        return generator.normal(size=(batch, length, 2)).astype("float32")
    shape = (batch, 2, length) if "pairs" in variant else (batch, length)
    return generator.integers(1, 7, shape, dtype="int32")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", ["mean", "last", "first"])
@pytest.mark.parametrize("variant", ["tokens", "batch"])
def test_padding_changes_no_logit(variant, readout, bidirectional):
    model = make_model(variant, readout=readout, bidirectional=bidirectional)
    x = make_inputs(variant)
    for before, after in ((0, 5), (5, 0), (2, 2)):
        padded = np.pad(x, ((0, 0), (before, after)))
        np.testing.assert_allclose(numpy(model(padded)), numpy(model(x)), atol=2e-5)
    ragged = x.copy()
    ragged[0, 7:] = 0
    np.testing.assert_allclose(numpy(model(ragged))[0], numpy(model(x[:1, :7]))[0], atol=2e-5)


@pytest.mark.parametrize(
    "variant", ["zeros", "pairs", "vector", "fewer", "fewer_pairs", "class_pairs", "fewer_zeros"]
)
def test_padding_at_the_end_changes_no_output(variant):
    model, x = make_model(variant), make_inputs(variant)
    if x.dtype == "float32":
        x[:, 3] = 0.0  # zeros before other values are data
    width = [(0, 0)] * x.ndim
    width[2 if "pairs" in variant else 1] = (0, 5)
    np.testing.assert_allclose(numpy(model(np.pad(x, width))), numpy(model(x)), atol=2e-5)


def test_pairs_are_told_apart_by_their_own_sequences_alone():
    model, x = make_model("pairs"), make_inputs("pairs")
    np.testing.assert_allclose(numpy(model(x))[1:2], numpy(model(x[1:2])), atol=2e-5)
    assert np.abs(numpy(model(x[:, ::-1])) - numpy(model(x))).max() > 1e-4


def test_relative_forecasts_move_with_the_inputs():
    model, x = make_model("forecast"), make_inputs("forecast")
    np.testing.assert_allclose(numpy(model(x + 3.0)), numpy(model(x)) + 3.0, atol=2e-5)


def test_a_language_model_sees_no_later_token():
    model, x = make_model("language", normalization="layer"), make_inputs("language")
    before = numpy(model(x))
    x[:, 8:] = 1
    np.testing.assert_allclose(numpy(model(x))[:, :8], before[:, :8], atol=2e-5)


@pytest.mark.parametrize("variant", SHAPES)
def test_shapes(variant):
    model, x = make_model(variant), make_inputs(variant)
    assert tuple(model(x).shape) == SHAPES[variant]
    assert model.output_shape[2:] == SHAPES[variant][2:]


@pytest.mark.parametrize("variant", ALL)
def test_round_trip(variant, tmp_path):
    model, x = make_model(variant, name="some_name"), make_inputs(variant)
    config = json.dumps(model.get_config())
    again = type(model).from_config(json.loads(config))
    assert json.dumps(again.get_config()) == config and again.name == "some_name"
    again.set_weights(model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = make_model(variant)
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert type(loaded) is type(model)
    for other in (again, loaded, clone, fresh):
        np.testing.assert_array_equal(numpy(other(x)), numpy(model(x)))


def test_state_sizes_of_the_blocks():
    model = make_model("softmax")
    assert [block.ssm.state_size for block in model.blocks] == [4, 3]
    assert [tuple(block.ssm.W.shape) for block in model.blocks] == [(5, 4, 2), (5, 3, 2)]


def test_sizes_may_be_integers_of_numpy():
    model = make_model("tokens", num_blocks=np.int64(2), downsampling=(np.int64(1), 2))
    again = type(model).from_config(model.get_config())
    assert (
        again.get_config()
        == make_model("tokens", downsampling=(1, 2), name=model.name).get_config()
    )


@pytest.mark.parametrize("factors", [[2], 2, [1, 0], [1, 2.0], "12"])
def test_other_downsampling(factors):
    with pytest.raises(ValueError, match="positive int.* Received: downsampling"):
        make_model("tokens", downsampling=factors)


def test_an_output_at_every_step_needs_every_step():
    with pytest.raises(ValueError, match="needs every step of the input. Received"):
        make_model("steps", downsampling=[1, 2])


def test_given_blocks():
    blocks = [DSSBlock(DSS(6), glu=True), DSSBlock(DSS(2, bidirectional=True), prenorm=False)]
    model = DSSClassifier(3, features=5, blocks=blocks)
    again = DSSClassifier.from_config(model.get_config())
    assert [block.ssm.state_size for block in again.blocks] == [6, 2]
    assert again.blocks[0].glu and again.blocks[1].ssm.bidirectional


PARTS = {
    "model": lambda model: model,
    "encoder": lambda model: model.get_layer("encoder"),
    "norm": lambda model: model.layers[-3],
    "downsample": lambda model: model.get_layer("downsample_1"),
    "ssm": lambda model: model.blocks[0].ssm,
    "mix": lambda model: model.blocks[0].mix,
    "block": lambda model: model.blocks[1],
}


@pytest.mark.parametrize("trainable", PARTS)
def test_frozen_parts_come_back_frozen(trainable, tmp_path):
    model = make_model("fewer", downsampling=[1, 2])
    part = PARTS[trainable](model)
    part.trainable = False
    names = [w.path for w in model.trainable_weights]
    assert len(names) == len(model.weights) - len(part.weights)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == len(names)
    assert [w.trainable for w in loaded.weights] == [w.trainable for w in model.weights]


def test_quantised_models_are_loaded(tmp_path):
    model, x = make_model("fewer_zeros"), make_inputs("fewer_zeros")
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (loaded, clone):
        assert other.get_layer("encoder").quantization_mode == "int8"
        np.testing.assert_array_equal(numpy(other(x)), numpy(model(x)))
    small = compress_model(model, rank=2)
    assert small.blocks[0].mix.quantization_mode == "int8"
    np.testing.assert_array_equal(numpy(small.layers[-1].kernel), numpy(model.layers[-1].kernel))


@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_dtype_policies(policy, tmp_path):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float32 alone")
    model, x = make_model("tokens", dtype=policy), make_inputs("tokens")
    logits = model(x)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.isfinite(numpy(logits)).all()
    assert {block.ssm.dtype_policy.name for block in model.blocks} == {policy}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert {layer.dtype_policy.name for layer in loaded.blocks} == {policy}
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(logits))


def test_global_dtype_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_model("tokens")
    finally:
        keras.config.set_dtype_policy("float32")
    assert DSSClassifier.from_config(model.get_config()).blocks[0].compute_dtype == "bfloat16"


@pytest.mark.parametrize("variant", ["tokens", "softmax"])
def test_training(variant):
    """Tells sequences that end in 1 from those that end in 2 or 3."""
    x = np.random.default_rng(0).integers(1, 4, (48, 10), dtype="int32")
    y = x[:, -1] - 1
    model = make_model(variant, dropout=0.0, state_size=4, readout="last", dt_max=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(DSSAdamW(3e-2, weight_decay=0.01), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=20, batch_size=16, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.9


def test_another_backend_gives_the_same_logits(tmp_path):
    running = keras.backend.backend()
    others = [name for name in ("jax", "torch", "tensorflow") if name != running]
    others = [name for name in others if importlib.util.find_spec(name)]
    if not others:
        pytest.skip("only one backend is installed")
    for variant in ALL:
        model, x = make_model(variant), make_inputs(variant)
        model.save(tmp_path / f"{variant}.keras")
        np.savez(tmp_path / f"{variant}.npz", x=x, y=numpy(model(x)))
    code = (
        "import sys, pathlib, keras, numpy as np\n"
        "import keras_dss.models\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.keras'):\n"
        "    data = np.load(path.with_suffix('.npz'))\n"
        "    y = keras.models.load_model(path).predict(data['x'], verbose=0)\n"
        "    assert np.abs(y - data['y']).max() < 2e-5, (path, y, data['y'])\n"
        "print(keras.backend.backend())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"KERAS_BACKEND": others[-1]},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == others[-1]


BAD = [
    ({"num_blocks": 0}, "`num_blocks` must be a positive integer. Received: num_blocks=0"),
    ({"num_blocks": True}, "`num_blocks` must be a positive integer. Received: num_blocks=True"),
    ({"state_size": [4]}, r"one int for each of 2 blocks. Received: state_size=\[4\]"),
    ({"state_size": 0}, "`state_size` must be a positive integer. Received: state_size=0"),
    ({"normalization": "group"}, "`normalization` must be one of"),
    ({"readout": "max"}, "`kind` must be one of"),
    ({"parameterization": "softmax"}, "`kernel_length` must be a positive integer"),
    ({"blocks": []}, "at least one block"),
    ({"blocks": DSSBlock(DSS(4))}, "a list of at least one block. Received: blocks=<DSSBlock"),
    ({"blocks": [DSS(4)]}, "DSSBlock layers alone. Received: <DSS"),
    ({"blocks": [DSSBlock(DSS(4))] * 2}, "a DSS layer of their own. Received: layers"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_model("tokens", **options)


BAD_OTHERS = [
    ("language", {"bidirectional": True}, "bidirectional blocks block_0, block_1"),
    ("steps", {"horizon": 3}, "readout=None, horizon=3"),
    ("forecast", {"channels": 3}, "num_outputs=2, channels=3"),
    ("vector", {"relative": True}, "mask_zeros=True"),
    ("forecast", {"horizon": 0}, "`horizon` must be a positive integer. Received: horizon=0"),
    ("pairs", {"readout": "max"}, "`kind` must be one of"),
    ("pairs", {"classes": 0}, "`classes` must be a positive integer. Received: classes=0"),
    ("pairs", {"standardize": "batch"}, "`standardize` must be one of"),
]


@pytest.mark.parametrize(("variant", "options", "message"), BAD_OTHERS)
def test_bad_options_of_other_models(variant, options, message):
    with pytest.raises(ValueError, match=message):
        make_model(variant, **options)


@pytest.mark.parametrize("variant", ["tokens", "pairs", "forecast", "language"])
def test_unknown_options(variant):
    with pytest.raises(TypeError, match="state_sizes"):
        make_model(variant, state_sizes=3)


@pytest.mark.parametrize("kind", [DSSClassifier, DSSPairClassifier, DSSRegressor, DSSLanguageModel])
def test_options_beside_blocks(kind):
    options = {"num_classes": 3} if kind in (DSSClassifier, DSSPairClassifier) else {}
    options |= {"vocabulary_size": 7} if kind in (DSSPairClassifier, DSSLanguageModel) else {}
    with pytest.raises(TypeError, match="no others beside them. Received: bidirectonal"):
        kind(features=4, blocks=[DSSBlock(DSS(4))], bidirectonal=True, **options)


def test_wrong_rank_of_input():
    with pytest.raises(ValueError):
        make_model("floats")(ops.ones((2, 12)))


def test_trailing_zeros_keep_what_a_mask_leaves_out():
    layer, x = TrailingZeros(), ops.convert_to_tensor([[[1.0], [2.0], [0.0]]])
    mask = ops.convert_to_tensor([[True, False, True]])
    assert numpy(layer.compute_mask(x, mask)).tolist() == [[True, False, False]]
