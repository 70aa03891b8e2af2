"""A tiny model and data that the tests of the tuner share."""

import keras
import keras_tuner
import numpy as np

from keras_dss import scoring
from keras_dss.models import DSSClassifier
from keras_dss.tuner import OBJECTIVE, CompressionTuner, RankHyperModel, make_oracle

PATHS = ("block_0/ssm_0", "block_1/ssm_1")


def make_model(**options):
    options = {"features": 2, "num_blocks": 2, "state_size": 4, "channels": 1} | options
    return eager(DSSClassifier(2, **options))


def eager(model, learning_rate=0.03):
    """Compiled so that nothing is compiled: these tests build many models."""
    loss = scoring.make_loss("classification")
    model.compile(keras.optimizers.SGD(learning_rate), loss, run_eagerly=True)
    return model


def make_data(examples=12, length=8):
    x = np.random.default_rng(0).normal(size=(examples, length, 1)).astype("float32")
    return x, (x.mean(axis=(1, 2)) > 0).astype("int64")


def make_tuner(folder, search="grid", *, model=None, oracle=None, trials=None, **options):
    """A tuner of the same model each time, unless one is given."""
    keras.utils.set_random_seed(7)
    model = model or make_model()
    options = {"ranks": [1, 4], "size_weight": 0.1, "compile_model": eager} | options
    if search == "bayesian":
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            OBJECTIVE, trials, num_initial_points=2, seed=1
        )
    if oracle is None:
        epochs = 2 if search == "hyperband" else None
        oracle = make_oracle(search, trials, epochs=epochs)
    return CompressionTuner(oracle, RankHyperModel(model, **options), directory=folder)


def search(tuner):
    data = make_data()
    tuner.search(*data, validation_data=data, verbose=0)
    return tuner


def values(tuner):
    return [trial["values"] for trial in tuner.ledger.trials]
