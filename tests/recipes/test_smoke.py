"""Every task, from its files to the zoo: trained, reduced, trained on, evaluated, published."""

import importlib

import keras
import numpy as np
import pytest

from keras_dss import scoring, zoo
from recipes import run
from recipes.settings import override
from recipes.stages import Stages

SHORTER = ("pretrain.epochs=1", "train.epochs=1", "children=n3_bt")


@pytest.mark.parametrize("name", run.TASKS)
def test_every_stage(name, tmp_path, monkeypatch, capsys):
    if keras.backend.backend() == "torch" and name not in ("scisumm", "etth1", "shakespeare"):
        pytest.skip("one task of each kind is enough for a third backend")
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path / "zoo"))
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    settings = importlib.import_module(f"recipes.{name}").settings
    settings = override(settings, [*run.SMOKE, *SHORTER])
    stages = Stages(settings, tmp_path / "work", command="python -m recipes.run", smoke=True)
    assert all(stages.run(stage) for stage in run.STAGES)
    published = zoo.list(tmp_path / "zoo")
    assert set(published) == {f"{name}_n6", f"{name}_n3_bt"}
    printed = capsys.readouterr().out
    for model_name in published:
        card = zoo.card(model_name, root=tmp_path / "zoo")
        assert card["task"] == name and "--smoke" in card["data"]["source"]
        model = zoo.load(model_name, root=tmp_path / "zoo")
        found = scoring.score(model, stages.splits.evaluation("test"), stages.task.KIND)
        published_loss = scoring.loss_of(card["metrics"]["test"])
        np.testing.assert_allclose(scoring.loss_of(found), published_loss, rtol=1e-5)
        assert f"{model_name}  test  {scoring.say(card['metrics']['test'])}" in printed
