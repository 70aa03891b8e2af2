"""Trainings of a few hundred steps on the same batches, for comparisons of initial parameters."""

import dataclasses
import functools
import importlib
import itertools
from pathlib import Path

import keras

from keras_dss import scoring
from keras_dss.compression import compress_model
from keras_dss.compression.rebuild import find_dss_layers
from recipes.data import Splits
from recipes.models import make_model
from recipes.settings import Settings
from recipes.training import Training


class Steps:
    """The first `steps` training batches, in the order of a seed, as one epoch.

    Args:
        epochs: `recipes.data.Epochs`. steps: how many of its batches, over several epochs if many.
    """

    def __init__(self, epochs, steps):
        self.epochs, self.steps_per_epoch = epochs, steps

    def epoch(self, number, start=0):
        first, offset = divmod(start, self.epochs.steps_per_epoch)
        starts = itertools.chain([offset], itertools.repeat(0))
        epochs = (self.epochs.epoch(n, s) for n, s in zip(itertools.count(first), starts))
        return itertools.islice(itertools.chain.from_iterable(epochs), self.steps_per_epoch - start)

    def shapes(self):
        return self.epochs.shapes()


class Bench:
    """One recipe: its data, models and trainings; each training is done once and kept.

    Args:
        recipe: name of the recipe. data_dir: of its data. work_dir: folder of trainings.
        test: test examples that count, None for all.
    """

    def __init__(self, recipe, data_dir, work_dir, test=None):
        self.settings: Settings = importlib.import_module(f"recipes.{recipe}").settings
        self.task = importlib.import_module(f"keras_dss.datasets.{self.settings.task}")
        self.kind, self.work_dir = self.task.KIND, Path(work_dir) / recipe
        self.splits = Splits(
            self.task, data_dir, mask_zeros=self.settings.model.mask_zeros,
            num_lengths=self.settings.num_lengths, examples=self.settings.examples,
        )  # fmt: skip
        self.test = test
        self._batches = functools.cache(self.splits.training)

    def fresh(self, state_size, seed, eigenvalues="per_feature"):
        """A model from Skew-HiPPO and random weights."""
        keras.utils.set_random_seed(seed)
        options = {"state_size": state_size, "eigenvalues": eigenvalues}
        return make_model(self.task, self.settings.model, **options)

    def reduced(self, parent, rank, method="balanced"):
        """The parent reduced on measured inputs."""
        inputs = self.splits.get("train", self.settings.calibration)[0]
        return compress_model(parent, rank=rank, method=method, calibration=inputs)

    def combined(self, layers, others):
        """A model with the DSS layers of one and all other weights of another one."""
        model = type(others).from_config(layers.get_config())
        model.set_weights(layers.get_weights())
        for target, source in zip(_others(model), _others(others), strict=True):
            target.assign(source)
        return model

    def train(self, model, name, steps, seed, settings):
        """Train `model` for `steps` batches; the weights after the last of them are kept.

        Args:
            model: changed in place. name: of the training, a folder.
            seed: of the order of the batches and of dropout. settings: `TrainingSettings`.
        """
        settings = dataclasses.replace(settings, epochs=1, validate_every=None)
        batches = self._batches(
            settings.batch_size, seed, settings.augmentation,
            step_labels=settings.step_labels > 0.0,
        )  # fmt: skip
        training = Training(
            model, Steps(batches, steps),
            lambda: itertools.islice(self.splits.evaluation("validation"), 5), settings,
            seed=seed, folder=self.work_dir / name, name=name, kind=self.kind,
            identity={"name": name, "steps": steps},
            step_weights=getattr(self.task, "STEP_WEIGHTS", ()),
        )  # fmt: skip
        training.run()
        return model

    def score(self, model):
        """Metrics of a model on the test split."""
        batches = self.splits.evaluation("test")
        if self.test is not None:
            batches = itertools.islice(batches, -(-self.test // 100))
        return scoring.score(model, batches, self.kind)

    def value(self, metrics):
        """What tables show: accuracy in %, bits per character, or the mean squared error."""
        if "bits_per_character" in metrics:
            return metrics["bits_per_character"]
        return metrics["mse"] if "mse" in metrics else 100.0 * metrics["accuracy"]

    @property
    def unit(self):
        return {"language": "bits per character", "regression": "MSE"}.get(self.kind, "% accuracy")


def _others(model):
    """The weights of a model outside its DSS layers, in order."""
    inside = {id(w) for layer in find_dss_layers(model).values() for w in layer.weights}
    return [w for w in model.weights if id(w) not in inside and "seed" not in w.path]
