"""State space models in the zoo: counts, exact bytes, every backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dss import zoo
from keras_dss.models import DSSClassifier
from tests.zoo.support import make_card

REPOSITORY = Path(__file__).resolve().parents[2]
VARIANTS = {
    "tokens": {"vocabulary_size": 9, "state_size": [2, 8], "dropout": 0.1},
    "floats": {
        "bidirectional": True,
        "eigenvalues": "per_feature",
        "glu": True,
        "normalization": "batch",
        "num_blocks": 1,
    },
}


def make_variant(name):
    settings = {"features": 6, "num_blocks": 2, "state_size": 8} | VARIANTS[name]
    return DSSClassifier(4, **settings)


def make_inputs(name):
    generator = np.random.default_rng(0)
    if name != "tokens":
        return generator.normal(size=(3, 40, 1)).astype("float32")
    tokens = generator.integers(1, 9, (3, 40), dtype="int32")
    tokens[0, 25:] = 0
    return tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo")
    for name in VARIANTS:
        card = make_card(task=name)
        zoo.publish(make_variant(name), f"{name}_n8", card, make_inputs(name), root=root)
    return root


def test_counts(folder):
    states = {name: zoo.card(f"{name}_n8", folder)["states"] for name in VARIANTS}
    assert states == {"tokens": 6 * 2 + 6 * 8, "floats": 2 * 6 * 8}
    layers = [size + size + 6 + 6 * size * 2 + 6 for size in (2, 8)]
    assert zoo.card("tokens_n8", folder)["parameters"]["ssm"] == sum(layers)
    model = make_variant("tokens")
    (W,) = (w for w in model.blocks[0].ssm.weights if w.name == "W")
    assert W.shape == (6, 2, 2)


@pytest.mark.parametrize("name", VARIANTS)
def test_reload(folder, name):
    model = zoo.load(f"{name}_n8", root=folder)
    assert isinstance(model, DSSClassifier)
    assert zoo.verify(f"{name}_n8", root=folder)["pin_error"] <= 1e-5


@pytest.mark.parametrize("name", VARIANTS)
def test_same_weights_give_the_same_bytes(folder, tmp_path, name):
    """Layers inside layers have automatic names, which must not reach the files."""
    loaded = zoo.load(f"{name}_n8", root=folder)
    card = zoo.publish(loaded, f"{name}_n8", make_card(task=name), make_inputs(name), root=tmp_path)
    expected = zoo.card(f"{name}_n8", folder)["files"]
    assert card["files"]["model.weights.h5"] == expected["model.weights.h5"]
    again = zoo.publish(
        loaded, f"{name}_n8", make_card(task=name), make_inputs(name), root=tmp_path
    )
    assert again["files"] == card["files"] and again["version"] == 2


def test_weights_in_bfloat16(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    zoo.publish(model, "toy_n1", make_card(), np.ones((2, 3)), root=tmp_path)
    loaded = zoo.load("toy_n1", root=tmp_path)
    assert loaded.weights[0].dtype == "bfloat16"
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(np.asarray(old, "float32"), np.asarray(new, "float32"))


def test_another_process_with_other_models_on_another_backend(folder):
    running = keras.backend.backend()
    others = [name for name in ("jax", "torch", "tensorflow") if name != running]
    others = [name for name in others if importlib.util.find_spec(name)] or [running]
    code = (
        "import keras, sys\n"
        "import keras_dss.models\n"
        "from keras_dss import zoo\n"
        "keras.layers.Dense(1), keras_dss.models.DSSClassifier(2, features=4, num_blocks=1)\n"
        "errors = [zoo.verify(name)['pin_error'] for name in zoo.list()]\n"
        "assert max(errors) <= 1e-4, errors\n"
        "print(keras.backend.backend(), len(errors))\n"
    )
    environment = os.environ | {"KERAS_BACKEND": others[0], "KERAS_DSS_ZOO_DIR": str(folder)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"{others[0]} {len(VARIANTS)}"
