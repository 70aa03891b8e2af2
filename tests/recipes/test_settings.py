import dataclasses
import importlib
from pathlib import Path

import pytest

import recipes
from recipes.options import RECIPES, SMOKE
from recipes.settings import Child, Settings, override

SETTINGS = Settings("lra_listops")


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("pretrain.epochs=7", ("pretrain", "epochs"), 7),
        ("train.learning_rate=1", ("train", "learning_rate"), 1.0),
        ("train.clip_norm=None", ("train", "clip_norm"), None),
        ("train.validate_every=50", ("train", "validate_every"), 50),
        ("model.readout=last", ("model", "readout"), "last"),
        ("model.readout=None", ("model", "readout"), None),
        ("model.bidirectional=True", ("model", "bidirectional"), True),
        ("model.downsampling=(1, 4)", ("model", "downsampling"), (1, 4)),
        ("children=n8_bt,n4", ("children",), (Child(8, "bt"), Child(4, "skew_hippo"))),
        ("children=n8_h2", ("children",), (Child(8, "h2"),)),
    ],
)
def test_override(assignment, path, value):
    found = override(SETTINGS, [assignment])
    for name in path:
        found = getattr(found, name)
    assert found == value and type(found) is type(value)


def test_override_leaves_the_original_alone():
    before = dataclasses.asdict(SETTINGS)
    override(SETTINGS, ["model.features=8", "seed=1"])
    assert dataclasses.asdict(SETTINGS) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        SETTINGS.seed = 1


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("pretrain.epoch=3", "pretrain.epochs.*Received: 'pretrain.epoch'"),
        ("epochs=3", "pretrain.epochs, train.epochs.*Received: 'epochs'"),
        ("xyzzy=3", "Unknown setting.*seed.*Received: 'xyzzy'"),
        ("model=3", "Unknown setting.*Received: 'model'"),
        ("task=lra_text", "Unknown setting.*Received: 'task'"),
        ("size=base", "Unknown setting.*Received: 'size'"),
        ("seed", "Expected key=value. Received: 'seed'"),
        ("seed=1.5", "seed of type int. Received: '1.5'"),
        ("model.bidirectional=1", "of type bool. Received: '1'"),
        ("train.clip_norm=much", "float or None. Received: 'much'"),
        ("children=16_bt", "such as n16_bt, n16_h2 or n16. Received: '16_bt'"),
        ("pretrain.epochs=0", "epochs of at least 1. Received: 0"),
        ("train.batch_size=-2", "batch_size of at least 1. Received: -2"),
        ("train.validate_every=0", "validate_every of at least 1. Received: 0"),
        ("state_size=0", "state_size of at least 1. Received: 0"),
        ("children=n0_bt", "state_size of at least 1. Received: 0"),
        ("model.features=0", "features of at least 1. Received: 0"),
        ("model.num_blocks=0", "num_blocks of at least 1. Received: 0"),
        ("num_lengths=0", "num_lengths of at least 1. Received: 0"),
        ("train.curriculum=(1, 5)", "whole numbers from 2 or None.*Received: \\(1, 5\\)"),
        ("train.step_labels=-1", "step_labels of at least 0. Received: -1"),
        ("train.curriculum=(2.5,)", "whole numbers from 2.*Received: \\(2.5,\\)"),
        ("train.curriculum=5", "curriculum of type tuple or None. Received: '5'"),
        ("calibration=-1", "calibration of at least 0. Received: -1"),
        ("seed=-1", "seed of at least 0. Received: -1"),
        ("pretrain.learning_rate=-1", "learning_rate of a positive number. Received: -1"),
        ("train.weight_decay=-0.1", "weight_decay of at least 0. Received: -0.1"),
        ("train.warmup=2", "warmup of 0 to 1. Received: 2"),
        ("train.label_smoothing=1", "label_smoothing of 0 to below 1. Received: 1"),
        ("train.clip_norm=0", "clip_norm above 0. Received: 0"),
    ],
)
def test_override_refuses(assignment, message):
    with pytest.raises(ValueError, match=message):
        override(SETTINGS, [assignment])


def test_child_refuses_an_unknown_start():
    with pytest.raises(ValueError, match="Received: 'random'"):
        Child(16, "random")


def test_settings_refuse_an_unknown_size():
    with pytest.raises(ValueError, match="Received: 'huge'"):
        Settings("lra_listops", size="huge")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name):
    module = importlib.import_module(f"recipes.{name}")
    settings = module.settings
    assert settings.recipe == name
    for word in ("Paper:", "Task:", f"Command:  python -m recipes.run --recipe={name} ", "Score:"):
        assert word in module.__doc__
    assert {settings.parent, f"{name}_n16_bt", f"{name}_n16"} <= set(settings.models)
    assert {"bt", "skew_hippo"} == {child.start for child in settings.children}
    assert override(settings, SMOKE).parent == f"{name}_n6"


def test_every_recipe_is_known():
    files = {path.stem for path in Path(recipes.__file__).parent.glob("*.py")}
    found = {
        name for name in files if hasattr(importlib.import_module(f"recipes.{name}"), "settings")
    }
    assert found == set(RECIPES)
