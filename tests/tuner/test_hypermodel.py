"""The space of reduced models: what is built from hyperparameters, and what it scores."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_dss import compress_model, scoring
from keras_dss.datasets import Batches
from keras_dss.models import DSSRegressor
from keras_dss.tuner import OBJECTIVE, CompressionTuner, RankHyperModel, make_oracle
from tests.tuner.support import PATHS, eager, make_data, make_model


def chosen(ranks, **others):
    hp = keras_tuner.HyperParameters()
    hp.values.update({f"rank/{path}": rank for path, rank in zip(PATHS, ranks, strict=True)})
    hp.values.update(others)
    return hp


def space(hypermodel):
    hp = keras_tuner.HyperParameters()
    hypermodel.choose(hp)
    return {p.name: p.values for p in hp.space}


def assert_same_weights(model, other):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        (None, [[1, 2, 4, 6], [1, 2, 4, 6]]),
        ([0.5, 2], [[2, 3], [2, 3]]),
        ({PATHS[1]: [1, 0.5]}, [[1, 3]]),
        ({"ssm_0": [2], "ssm_1": [6]}, [[2], [6]]),
    ],
)
def test_ranks_of_layers(ranks, expected):
    found = space(RankHyperModel(make_model(state_size=6), ranks))
    assert list(found.values()) == expected
    assert set(found) <= {f"rank/{path}" for path in PATHS}


def test_layers_with_fewer_modes_than_any_choice_stay():
    model = make_model(state_size=[6, 2])
    assert list(space(RankHyperModel(model, [4, 6])).values()) == [[4, 6]]
    with pytest.raises(ValueError, match="at most 6, the largest state size. .*ranks=.8"):
        RankHyperModel(model, [8])


def test_one_rank_for_all_layers():
    hypermodel = RankHyperModel(make_model(), [1, 4, 8], per_layer=False)
    assert space(hypermodel) == {"rank": [1, 4, 8]}
    hp = keras_tuner.HyperParameters()
    hp.values["rank"] = 1
    assert hypermodel.choose(hp)[0] == dict.fromkeys(PATHS, 1)
    hp.values["rank"] = 8
    assert hypermodel.choose(hp)[0] == dict.fromkeys(PATHS, 4)


def test_calibration_is_a_choice_where_a_method_uses_it():
    x, _ = make_data()
    options = {"calibration": x, "calibration_examples": [0, 4]}
    hypermodel = RankHyperModel(make_model(), [2], method=["balanced", "modal"], **options)
    hp = keras_tuner.HyperParameters()
    hypermodel.choose(hp)
    assert hp.values["calibration"] == 0
    for method, examples in (("balanced", 4), ("modal", 0)):
        hp.values.update(method=method, calibration=4)
        assert hypermodel.choose(hp)[1:] == (method, examples)


def test_builds_what_compress_model_builds():
    model, (x, _) = make_model(), make_data()
    hypermodel = RankHyperModel(model, [1, 2, 4], calibration=x, calibration_examples=[0, 8])
    for examples in (0, 8):
        found = hypermodel.build(chosen([1, 2], calibration=examples))
        ranks = dict(zip(PATHS, [1, 2], strict=True))
        calibration = x[:examples] if examples else None
        assert_same_weights(found, compress_model(model, ranks, calibration=calibration))
    assert_same_weights(hypermodel.build(chosen([4, 4], calibration=8)), model)


def test_layers_are_reduced_once_and_models_are_the_same_each_time():
    model = make_model()
    before = model.get_weights()
    hypermodel = RankHyperModel(model, [1, 2, 4])
    found = hypermodel.build(chosen([1, 2]))
    assert hypermodel.reductions.computed == 2
    hypermodel.build(chosen([1, 1]))
    assert hypermodel.reductions.computed == 3
    assert_same_weights(found, hypermodel.build(chosen([1, 2])))
    assert hypermodel.reductions.computed == 3
    assert_same_weights(found, RankHyperModel(model, [1, 2, 4]).build(chosen([1, 2])))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_score_without_training():
    model, data = make_model(), make_data()
    hypermodel = RankHyperModel(model, [1, 4], size_weight=0.5, batch_size=6)
    hp = chosen([1, 4])
    small = hypermodel.build(hp)
    weights = small.get_weights()
    found = hypermodel.fit(hp, small, validation_data=data)
    expected = scoring.score(small, Batches(*data, 6, shuffle=False))
    assert found["quality"] == found["accuracy"] == expected["accuracy"]
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["states"] == 2 * 1 + 2 * 4 and found["epochs"] == 0
    assert found["parameters"] == small.count_params()
    assert found["bytes"] == 4 * small.count_params()
    assert found["score"] == pytest.approx(found["accuracy"] - 0.5 * 10 / 16)
    for old, new in zip(weights, small.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_training_is_deterministic_and_keeps_the_best_weights():
    model, data = make_model(num_blocks=1, dropout=0.3), make_data(24)
    hypermodel = RankHyperModel(
        model, [2], epochs=2, learning_rate=0.03, batch_size=8, size_weight=0.1
    )
    hp = keras_tuner.HyperParameters()
    results, models = [], []
    for _ in range(2):
        models.append(hypermodel.build(hp))
        results.append(hypermodel.fit(hp, models[-1], *data, validation_data=data))
    assert results[0] == results[1]
    assert_same_weights(*models)
    found = scoring.score(models[0], Batches(*data, 8, shuffle=False))
    assert found["accuracy"] == results[0]["accuracy"]
    start = hypermodel.measure(hypermodel.build(hp), hypermodel.validation_batches(data))
    assert scoring.rank(results[0]) >= scoring.rank(start)


def test_training_that_diverges_gives_the_weights_from_before():
    model, data = make_model(), make_data()
    hypermodel = RankHyperModel(
        model, [2], epochs=1, compile_model=lambda small: eager(small, np.inf)
    )
    hp = chosen([2, 2])
    small = hypermodel.build(hp)
    labels = np.zeros_like(data[1])  # what NaN is taken for
    found = hypermodel.fit(hp, small, *data, validation_data=(data[0], labels))
    assert found["epochs"] == 0
    assert_same_weights(small, hypermodel.build(hp))


def test_outputs_that_are_not_finite_fail():
    hypermodel = RankHyperModel(make_model(), [2])
    small = hypermodel.build(chosen([2, 2]))
    small.set_weights([np.full_like(weight, np.nan) for weight in small.get_weights()])
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="finite"):
        hypermodel.fit(chosen([2, 2]), small, validation_data=make_data())


def test_quality_of_a_regression_is_relative_to_the_original():
    keras.utils.set_random_seed(0)
    model = DSSRegressor(1, features=2, num_blocks=1, state_size=4, horizon=3)
    model.blocks[0].ssm.W.assign(10.0 * model.blocks[0].ssm.W)
    x = make_data()[0]
    y = x[:, :3]
    hypermodel = RankHyperModel(model, [1, 4], kind="regression")
    for rank in (4, 1):
        hp = keras_tuner.HyperParameters()
        hp.values["rank/block_0/ssm_0"] = rank
        found = hypermodel.fit(hp, hypermodel.build(hp), validation_data=(x, y))
        assert found["quality"] == -found["mse"] / hypermodel.original["mse"]
        if rank == 4:
            assert found["quality"] == pytest.approx(-1.0)


@pytest.mark.parametrize("epochs", [0, 1])
def test_another_tuner_of_keras_tuner(tmp_path, epochs):
    model, data = make_model(), make_data()
    hypermodel = RankHyperModel(model, [1, 4], epochs=epochs, compile_model=eager)
    tuner = keras_tuner.RandomSearch(
        hypermodel, OBJECTIVE, max_trials=2, seed=1, directory=tmp_path
    )
    tuner.search(*data, validation_data=data, verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert trial.score == trial.metrics.get_best_value("accuracy")
    best = tuner.get_best_models()[0]
    assert best.count_params() == trial.metrics.get_best_value("parameters")
    validation = hypermodel.validation_batches(data)
    assert hypermodel.measure(best, validation)["score"] == pytest.approx(trial.score)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ranks": [0]}, "from 1 to its state size 4"),
        ({"ranks": []}, "`ranks` must be"),
        ({"ranks": [8]}, "`ranks` of at most 4"),
        ({"ranks": {"none": [2]}}, "must name DSS layers"),
        ({"ranks": {"ssm_0": [8]}}, "state size 4"),
        ({"ranks": {"ssm_0": [1]}, "per_layer": False}, "per_layer=True"),
        ({"method": "best"}, "`method` must be one of"),
        ({"epochs": -1}, "epochs=-1"),
        ({"epochs": []}, "`epochs` must be"),
        ({"size": "layers"}, "size='layers'"),
        ({"kind": "game"}, "'game'"),
        ({"calibration_examples": 4}, "Received: no inputs"),
        ({"calibration": np.zeros((3, 8, 1)), "method": "modal"}, "methods that use none"),
        (
            {"calibration": np.zeros((3, 8, 1)), "calibration_examples": 4},
            "of 0 to 3, as many as were given. Received: calibration_examples=4",
        ),
    ],
)
def test_options_that_do_not_fit(options, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        RankHyperModel(make_model(), **options)


def test_training_needs_data():
    hypermodel = RankHyperModel(make_model(), [2], epochs=1)
    with pytest.raises(ValueError, match="train on for 1 epochs"):
        hypermodel.fit(chosen([2, 2]), hypermodel.model, validation_data=make_data())


def test_a_search_without_data_to_train_on_ends_at_once(tmp_path):
    hypermodel = RankHyperModel(make_model(), [2], epochs=1)
    tuner = CompressionTuner(make_oracle("grid"), hypermodel, directory=tmp_path)
    with pytest.raises(ValueError, match="train on for 1 epochs"):
        tuner.search(validation_data=make_data(), verbose=0)
