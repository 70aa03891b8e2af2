"""Searches: every oracle, resumed after any end, and what they leave in memory."""

import gc
import json
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from keras_dss import scoring
from keras_dss.tuner import OBJECTIVE, SEARCHES, make_oracle
from tests.tuner.support import PATHS, make_data, make_model, make_tuner, search, values

TRIALS = {"random": 3, "bayesian": 4, "grid": None, "hyperband": None}
KILLED = """
import os, signal, sys
import keras_dss
assert not [name for name in sys.modules if name.startswith("keras_tuner")]
from tests.tuner.support import make_tuner, search
from keras_dss.tuner import ledger

tuner = make_tuner(sys.argv[1])
replace = os.replace

def killed(*paths):
    if len(tuner.ledger.trials) == 3:  # the file of the third score is written, but not in place
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

ledger.os.replace = killed
search(tuner)
"""


def interrupted(tuner, trials):
    """A search that ends while the trial after so many is being scored."""
    measure = tuner.hypermodel.measure

    def end(model, validation):
        if len(tuner.ledger.trials) == trials:
            raise KeyboardInterrupt
        return measure(model, validation)

    tuner.hypermodel.measure = end
    with pytest.raises(KeyboardInterrupt):
        search(tuner)


@pytest.mark.parametrize("kind", SEARCHES)
def test_resumed_search_is_the_search_that_was_never_cut(kind, tmp_path):
    whole = search(make_tuner(tmp_path / "whole", kind, trials=TRIALS[kind]))
    interrupted(make_tuner(tmp_path / "cut", kind, trials=TRIALS[kind]), trials=1)
    for path in (tmp_path / "cut").glob("**/*.json"):
        if path.name != "scores.json":  # as keras-tuner may leave them
            path.write_text(path.read_text()[:20])
    cut = make_tuner(tmp_path / "cut", kind, trials=TRIALS[kind])
    assert len(cut.ledger.trials) == 1
    search(cut)
    assert values(cut) == values(whole)
    for one, other in zip(cut.ledger.trials, whole.ledger.trials, strict=True):
        assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-5)
    best = cut.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(whole.oracle.get_best_trials()[0].score, rel=1e-5)


def test_grid_is_the_whole_space(tmp_path):
    tuner = search(make_tuner(tmp_path, ranks=[1, 2, 4]))
    found = {tuple(trial[f"rank/{path}"] for path in PATHS) for trial in values(tuner)}
    assert found == {(a, b) for a in (1, 2, 4) for b in (1, 2, 4)}
    assert len(values(tuner)) == 9 and tuner.hypermodel.reductions.computed == 4
    scores = [trial["metrics"]["score"] for trial in tuner.ledger.trials]
    assert tuner.oracle.get_best_trials()[0].score == max(scores)
    sizes = [trial["metrics"]["states"] for trial in tuner.front()]
    assert sizes == sorted(set(sizes)) and sizes[0] == 4


def test_killed_search(tmp_path):
    arguments = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    tuner = make_tuner(tmp_path)
    assert len(tuner.ledger.trials) == 2
    search(tuner)
    assert len({json.dumps(trial) for trial in values(tuner)}) == len(values(tuner)) == 4


def test_hyperband_trains_on_from_the_trial_before(tmp_path):
    oracle = keras_tuner.oracles.HyperbandOracle(OBJECTIVE, max_epochs=2, factor=2, seed=1)
    tuner = make_tuner(tmp_path, oracle=oracle)
    search(tuner)
    assert len(values(tuner)) == 5
    trial = next(
        t for t in tuner.oracle.trials.values() if "tuner/trial_id" in t.hyperparameters.values
    )
    assert trial.hyperparameters.values["tuner/initial_epoch"] == 1
    past = tuner.oracle.get_trial(trial.hyperparameters.values["tuner/trial_id"])
    changed = tuner.load_model(past)
    changed.set_weights([weight + 1.0 for weight in changed.get_weights()])
    tuner._save_weights(past.hyperparameters.values, changed)
    for new, old in zip(
        tuner._build(trial.hyperparameters).get_weights(), changed.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(new, old)


def test_best_model_has_the_weights_that_were_scored(tmp_path):
    tuner = search(make_tuner(tmp_path, "random", trials=2, epochs=1, batch_size=4))
    for trial in tuner.oracle.get_best_trials(2):
        model = tuner.load_model(trial)
        found = scoring.score(model, tuner.hypermodel.validation_batches(make_data()))
        assert found["accuracy"] == trial.metrics.get_best_value("accuracy")
        assert found["loss"] == pytest.approx(trial.metrics.get_best_value("loss"), rel=1e-4)


def test_same_hyperparameters_are_scored_once(tmp_path):
    tuner = make_tuner(tmp_path, ranks={"ssm_0": [1, 4]})
    search(tuner)
    assert len(values(tuner)) == 2
    built = []
    again = make_tuner(tmp_path, "random", trials=2, ranks={"ssm_0": [1, 4]})
    again.hypermodel.reduce = built.append
    search(again)
    assert not built and len(values(again)) == 2
    assert len(again.oracle.get_best_trials(5)) == 2


def test_oracle_without_a_seed_goes_on_with_its_own(tmp_path):
    def tuner():
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            OBJECTIVE, max_trials=3, num_initial_points=2
        )
        return make_tuner(tmp_path, oracle=oracle, ranks=[1, 2, 3, 4])

    cut = tuner()
    interrupted(cut, trials=2)
    resumed = tuner()
    assert resumed.oracle.seed == cut.oracle.seed
    for one, other in zip(resumed.oracle.trials.values(), cut.oracle.trials.values(), strict=True):
        assert one.hyperparameters.values == other.hyperparameters.values
    assert len(resumed.oracle.trials) == 3 and len(resumed.oracle.ongoing_trials) == 1


def test_a_folder_holds_one_search(tmp_path):
    search(make_tuner(tmp_path, ranks=[4]))
    with pytest.raises(ValueError, match="another options.*size_weight"):
        make_tuner(tmp_path, ranks=[4], size_weight=0.2)
    with pytest.raises(ValueError, match="another model"):
        make_tuner(tmp_path, model=make_model(features=3), ranks=[4])
    tuner = make_tuner(tmp_path, ranks=[4])
    with pytest.raises(RuntimeError, match="new CompressionTuner"):
        tuner.reload()


def test_nothing_of_a_trial_stays_and_the_parent_works(tmp_path):
    x = make_data()[0]
    model = make_model()
    before = model.predict(x, verbose=0)
    tuner = make_tuner(tmp_path, model=model)
    models, build = [], tuner.hypermodel.build
    tuner.hypermodel.build = lambda hp: models.append(weakref.ref(found := build(hp))) or found
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        search(tuner)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    gc.collect()
    assert len(models) == 4 and not any(model() for model in models)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    assert np.isfinite(model.train_on_batch(*make_data()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("best", 3), "search='best'"),
        (("random",), "need `trials`"),
        (("hyperband", 3), "has none"),
        (("hyperband",), "`epochs` of training"),
    ],
)
def test_oracles_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_oracle(*arguments)


def test_two_metrics_at_once(tmp_path):
    objectives = [keras_tuner.Objective("accuracy", "max"), keras_tuner.Objective("loss", "min")]
    oracle = keras_tuner.oracles.RandomSearchOracle(objectives, max_trials=2, seed=1)
    tuner = search(make_tuner(tmp_path, oracle=oracle))
    for trial in tuner.oracle.trials.values():
        metrics = trial.metrics
        expected = metrics.get_best_value("loss") - metrics.get_best_value("accuracy")
        assert trial.score == pytest.approx(expected)
