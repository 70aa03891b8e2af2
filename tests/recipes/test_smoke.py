"""Every task, from its files to the zoo: trained, reduced, trained on, evaluated, published."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dss import scoring, zoo
from recipes import options
from recipes.settings import override
from recipes.stages import Stages

SHORTER = ("pretrain.epochs=1", "train.epochs=1", "children=n3_bt")
KINDS = ("lra_image", "scisumm", "etth1", "shakespeare")  # one task of each kind of model


@pytest.mark.parametrize("name", options.TASKS)
def test_every_stage(name, tmp_path, monkeypatch, capsys):
    if keras.backend.backend() != "torch" and name not in KINDS:  # which compile for long
        pytest.skip("every task on torch, one of each kind on the others")
    monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path / "zoo"))
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    settings = importlib.import_module(f"recipes.{name}").settings
    settings = override(settings, [*options.SMOKE, *SHORTER])
    stages = Stages(settings, tmp_path / "work", command="python -m recipes.run", smoke=True)
    assert all(stages.run(stage) for stage in options.STAGES)
    published = zoo.list(tmp_path / "zoo")
    assert set(published) == set(settings.models)
    printed = capsys.readouterr().out
    for model_name in published:
        card = zoo.card(model_name, root=tmp_path / "zoo")
        assert card["task"] == name and "--smoke" in card["data"]["source"]
        model = zoo.load(model_name, root=tmp_path / "zoo")
        found = scoring.score(model, stages.splits.evaluation("test"), stages.task.KIND)
        published_loss = scoring.loss_of(card["metrics"]["test"])
        np.testing.assert_allclose(scoring.loss_of(found), published_loss, rtol=1e-5)
        assert f"{model_name}  test  {scoring.say(card['metrics']['test'])}" in printed


ALONE = """
import runpy, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets", "keras_tuner", "torch"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.argv[0] = "recipes.run"
runpy.run_module("recipes.run", run_name="__main__")
"""


def test_jax_alone_with_the_data_on_its_device(tmp_path):
    if keras.backend.backend() != "jax":
        pytest.skip("for JAX")
    flags = ["--recipe=smnist", "--smoke", "--resident", f"--work_dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *flags, *(f"--set={setting}" for setting in SHORTER)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300,
        env=os.environ | {"KERAS_DSS_ZOO_DIR": str(tmp_path / "zoo")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "smnist_n3_bt  published, version 1" in done.stdout
