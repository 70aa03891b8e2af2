"""`CompressionTuner`: a keras-tuner search over reduced models that survives being killed."""

import contextlib
import gc
import hashlib
import io
import os
import time
from pathlib import Path

import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_dss.tuner.ledger import Ledger, key
from keras_dss.tuner.oracles import reseed
from keras_dss.tuner.pareto import pareto_front


class CompressionTuner(keras_tuner.Tuner):
    """Searches the models of a `RankHyperModel`, without training or with it.

    A trial reduces the layers whose rank is new, scores the model on the validation data and lets
    go of it. With epochs (of the hypermodel, or from Hyperband) it is trained on as well, and its
    best weights are kept. Hyperparameters that were scored before cost nothing.

    The search may be killed at any moment. Each score is in one file, replaced as a whole; a tuner
    made again with the same arguments replays them to its oracle, which proposes as before, and
    goes on with the trial that was cut off. The files that keras-tuner writes beside it are not
    read.

    Args:
        oracle: a `keras_tuner.Oracle`, see `make_oracle`; its objective is `score` or a metric.
        hypermodel: a `RankHyperModel`.
        directory, project_name, overwrite: as `keras_tuner.Tuner` takes them.

    Attributes:
        ledger: the scores so far: `ledger.original` and `ledger.trials`.

    Raises:
        ValueError: for a directory that holds the search of another model, or with other options.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from keras_dss.models import DSSClassifier
    >>> from keras_dss.tuner import CompressionTuner, RankHyperModel, make_oracle
    >>> model = DSSClassifier(2, features=4, num_blocks=2, state_size=4, channels=1)
    >>> x, y = np.random.default_rng(0).normal(size=(8, 16, 1)), np.zeros(8, int)
    >>> hypermodel = RankHyperModel(model, ranks=[1, 4], size_weight=2.0)
    >>> tuner = CompressionTuner(make_oracle("grid"), hypermodel, directory=tempfile.mkdtemp())
    >>> tuner.search(validation_data=(x, y), verbose=0)
    >>> len(tuner.ledger.trials)
    4
    >>> tuner.get_best_hyperparameters()[0].values
    {'rank/block_0/ssm_0': 1, 'rank/block_1/ssm_1': 1}
    >>> small = tuner.get_best_models()[0]
    """

    def __init__(self, oracle, hypermodel, **kwargs):
        super().__init__(oracle, hypermodel, **kwargs)
        self.ledger = Ledger(Path(self.project_dir) / "scores.json", hypermodel.subject())
        name = type(oracle).__name__
        if self.ledger.seeds.setdefault(name, oracle.seed) != oracle.seed:
            reseed(oracle, self.ledger.seeds[name])
        self.reload()

    def search(self, x=None, y=None, *, validation_data, **kwargs):
        """Runs the trials that are left.

        Args:
            x, y: arrays to train on, or batches `x` alone; not needed without epochs.
            validation_data: arrays `(x, y)` or batches of such pairs, which give the score.
            **kwargs: `verbose` of the search, and what else `RankHyperModel.fit` takes.
        """
        validation = self.hypermodel.validation_batches(validation_data)
        if self.ledger.original is None:
            self.ledger.original = self.hypermodel.measure(self.hypermodel.model, validation)
            self.ledger.write()
        self.hypermodel.original = self.ledger.original
        super().search(x, y, validation_data=validation, **kwargs)

    def run_trial(self, trial, x=None, y=None, *, verbose=0, **kwargs):
        values = trial.hyperparameters.values
        found = self.ledger.find(values)
        if found is not None:
            return self._results(found)
        began = time.monotonic()
        kwargs = kwargs | self._epochs(values)
        model = self._build(trial.hyperparameters)
        metrics = self.hypermodel.fit(trial.hyperparameters, model, x, y, **kwargs)
        if metrics["epochs"]:
            self._save_weights(values, model)
        del model
        gc.collect()  # and not `clear_session`, which would clear the user's settings as well
        self.ledger.add(values, metrics, time.monotonic() - began)
        return self._results(metrics)

    def load_model(self, trial):
        """The model of a trial with the best weights it had, compiled and ready for `fit`."""
        model = self.hypermodel.build(trial.hyperparameters)
        self.load_weights(model, trial.hyperparameters.values)
        return model

    def load_weights(self, model, values):
        """Gives a model the best weights of the trial with some hyperparameters, if it trained."""
        path = self._weights(values)
        if path.exists():
            model.load_weights(path)

    def front(self):
        """The trials that no other one beats in quality, states and bytes; see `pareto_front`."""
        return pareto_front(self.ledger.trials)

    def save(self):
        """Writes the scores; `search` does so after each trial."""
        self.ledger.write()

    def reload(self):
        """Replays the scores to an oracle that has made no trial yet."""
        if self.oracle.trials:
            raise RuntimeError("A search is resumed by a new CompressionTuner and a new oracle.")
        with contextlib.redirect_stdout(io.StringIO()):
            while self.ledger.trials:
                trial = self.oracle.create_trial(self.tuner_id)
                metrics = self.ledger.find(trial.hyperparameters.values)
                if trial.status != TrialStatus.RUNNING or metrics is None:
                    return
                self.oracle.update_trial(trial.trial_id, self._results(metrics))
                trial.status = TrialStatus.COMPLETED
                self.oracle.end_trial(trial)

    def _results(self, metrics):
        """The metrics with the one that several objectives make together."""
        objective = self.oracle.objective
        if objective.name in metrics or not objective.has_value(metrics):
            return metrics
        return metrics | {objective.name: objective.get_value(metrics)}

    def _epochs(self, values):
        """What Hyperband says of the training."""
        names = {"epochs": "tuner/epochs", "initial_epoch": "tuner/initial_epoch"}
        return {name: values[hp] for name, hp in names.items() if hp in values}

    def _build(self, hp):
        """The model of a trial, with the weights that Hyperband goes on from."""
        model = self.hypermodel.build(hp)
        if "tuner/trial_id" in hp.values:
            past = self.oracle.get_trial(hp.values["tuner/trial_id"])
            self.load_weights(model, past.hyperparameters.values)
        return model

    def _weights(self, values):
        name = hashlib.sha256(key(values).encode()).hexdigest()[:16]
        return Path(self.project_dir) / "weights" / f"{name}.weights.h5"

    def _save_weights(self, values, model):
        path = self._weights(values)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}.{path.name}")
        model.save_weights(temporary)
        os.replace(temporary, path)
