import dataclasses
import importlib

import pytest

from recipes.run import RECIPES, SMOKE
from recipes.settings import Child, DataFacts, Settings, override

SETTINGS = Settings("lra_listops", DataFacts("expressions", "generated"))


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("seed=3", ("seed",), 3),
        ("pretrain.epochs=7", ("pretrain", "epochs"), 7),
        ("train.learning_rate=1", ("train", "learning_rate"), 1.0),
        ("train.clip_norm=None", ("train", "clip_norm"), None),
        ("train.validate_every=50", ("train", "validate_every"), 50),
        ("model.readout=last", ("model", "readout"), "last"),
        ("model.bidirectional=True", ("model", "bidirectional"), True),
        ("children=n8_bt,n4", ("children",), (Child(8, "bt"), Child(4, "skew_hippo"))),
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
        ("data.source=me", "Unknown setting.*Received: 'data.source'"),
        ("seed", "Expected key=value. Received: 'seed'"),
        ("seed=1.5", "seed of type int. Received: '1.5'"),
        ("model.bidirectional=1", "of type bool. Received: '1'"),
        ("train.clip_norm=much", "float or None. Received: 'much'"),
        ("children=16_bt", "such as n16_bt or n16. Received: '16_bt'"),
    ],
)
def test_override_refuses(assignment, message):
    with pytest.raises(ValueError, match=message):
        override(SETTINGS, [assignment])


def test_child_refuses_an_unknown_start():
    with pytest.raises(ValueError, match="Received: 'random'"):
        Child(16, "random")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name):
    module = importlib.import_module(f"recipes.{name}")
    settings = module.settings
    assert settings.task == name and all(word in module.__doc__ for word in ("Paper:", "Command:"))
    assert {f"{name}_n64", f"{name}_n16_bt", f"{name}_n16"} <= set(settings.models)
    assert {"bt", "skew_hippo"} == {child.start for child in settings.children}
    assert override(settings, SMOKE).parent == f"{name}_n6"
