"""The stages of a recipe: pretrain, reduce, train, evaluate, publish.

    work_dir/
      settings.json                  the settings
      comparison.png                 validation curves of the children
      evaluation.json                accuracies of all models
      NAME/initial.keras             reduced model, not yet trained (children "bt")
      NAME/reduction.json            report of the reduction
      NAME/checkpoint.npz            the training, to go on from
      NAME/history.csv, curves.png
      NAME/model.keras               the weights that validated best
      NAME/training.json             facts of the finished training

A stage whose last file is there is complete and is skipped.
"""

import dataclasses
import importlib
import os
import shutil
from pathlib import Path

import keras
import numpy as np

from keras_dss.models import DSSClassifier
from keras_dss.zoo import versions
from recipes import curves
from recipes.data import Splits
from recipes.files import read_json, replacing, write_json
from recipes.hardware import hardware
from recipes.training import Clock, Training, score

STAGES = ("pretrain", "reduce", "train", "evaluate", "publish")
METHODS = {
    None: "trained from Skew-HiPPO",
    "bt": "balanced truncation of {parent}, then trained",
    "skew_hippo": "trained from Skew-HiPPO, with the training budget of the reduced models",
}


class StageError(RuntimeError):
    """A stage that needs another one first."""


class Stages:
    """The stages of one recipe, in one folder.

    Args:
        settings: the recipe's `Settings`.
        work_dir: folder of everything that is made.
        data_dir: folder of the data, handed to the data set.
        clock: the time there is for training.
        command: the command line, for the cards.
        smoke: whether to use a few random examples.
    """

    def __init__(self, settings, work_dir, data_dir=None, clock=None, command="", smoke=False):
        self.settings, self.work_dir = settings, Path(work_dir)
        self.clock, self.command, self.smoke = clock or Clock(), command, smoke
        self.task = importlib.import_module(f"keras_dss.datasets.{settings.task}")
        self.splits = Splits(self.task, data_dir, smoke)
        self.own_data = bool(data_dir or os.environ.get("KERAS_DSS_DATA_DIR")) and not smoke

    def run(self, stage, models=()):
        """Do one stage, for the named models or for all; return whether it is complete.

        Raises:
            ValueError: an unknown stage or model.
            StageError: an earlier stage is missing.
        """
        if stage not in STAGES:
            raise ValueError(f"Expected a stage of {', '.join(STAGES)}. Received: {stage!r}")
        names = self.select(models)
        write_json(self.work_dir / "settings.json", dataclasses.asdict(self.settings))
        return getattr(self, stage)(names)

    def select(self, models=()):
        """Return the full names of the named models (`n16_bt` will do), or of all."""
        known = self.settings.models
        found = [name if name in known else f"{self.settings.task}_{name}" for name in models]
        for name, full in zip(models, found, strict=True):
            if full not in known:
                raise ValueError(f"Expected models of {', '.join(known)}. Received: {name!r}")
        return found or list(known)

    def pretrain(self, names):
        """Train the parent from Skew-HiPPO."""
        return self._train(self.settings.parent, self.settings.pretrain)

    def reduce(self, names):
        """Reduce the parent's DSS layers to the state size of each child "bt"."""
        from keras_dss import compress_model

        for name in names:
            child = self.settings.models[name]
            if child is None or child.start != "bt":
                continue
            if self._file(name, "reduction.json").exists():
                print(f"{name}  reduced already")
                continue
            parent = self._load(self.settings.parent, "model.keras", "pretrain")
            calibration = self.settings.calibration
            inputs = self.splits.get("train", calibration)[0] if calibration else None
            model, report = compress_model(
                parent, rank=child.state_size, calibration=inputs, return_report=True
            )
            print(report)
            self._write(model, name, "initial.keras")
            write_json(self._file(name, "reduction.json"), _plain(report))
        return True

    def train(self, names):
        """Train the children, all with the same budget, seed and order of the data."""
        children = [name for name in names if name != self.settings.parent]
        complete = all(self._train(name, self.settings.train) for name in children)
        histories = {
            name: read_json(self._file(name, "training.json"))["history"]
            for name, child in self.settings.models.items()
            if child and self._file(name, "training.json").exists()
        }
        if histories:
            title = f"{self.settings.task}: main training"
            curves.draw_comparison(histories, title, self.work_dir / "comparison.png")
        return complete

    def evaluate(self, names):
        """Measure the chosen weights of each model. Only here is the test split read."""
        evaluations = self._evaluations()
        for name in names:
            model = self._load(name, "model.keras", self._origin(name))
            if name not in evaluations:
                found = {"parameters": model.count_params(), "baselines": self._baselines()}
                for split in ("validation", "test"):
                    loss, correct, total = score(model, self.splits.evaluation(split))
                    accuracy = {"accuracy": correct / total, "correct": correct, "total": total}
                    found[split] = accuracy | {"loss": loss}
                evaluations[name] = found
                write_json(self.work_dir / "evaluation.json", evaluations)
            for split in ("validation", "test"):
                found = evaluations[name][split]
                print(f"{name}  {split}  {found['accuracy']:.2%} ({found['correct']}/{found['total']})")
            print(f"{name}  baselines on test", evaluations[name]["baselines"])
        return True

    def publish(self, names):
        """Publish evaluated models, with cards that say how they came to be."""
        from keras_dss import zoo

        evaluations = self._evaluations()
        for name in names:
            if name not in evaluations:
                raise StageError(f"Expected an evaluation of {name}: run --stage=evaluate first.")
            model = self._load(name, "model.keras", self._origin(name))
            pin = next(iter(self.splits.evaluation("test", batch_size=4)))[0]
            card = zoo.publish(model, name, self._card(name, evaluations[name]), pin)
            print(f"{name}  published, version {card['version']}")
        return True

    def restart(self, stage, models=()):
        """Throw away what `stage` (or "all") and the stages after it made of the models."""
        for name in self.select(models):
            first = "pretrain" if name == self.settings.parent else "reduce"
            if stage in ("all", first):
                shutil.rmtree(self.work_dir / name, ignore_errors=True)
            elif stage == "train" and first != "pretrain":
                for file in ("checkpoint.npz", "model.keras", "training.json"):
                    self._file(name, file).unlink(missing_ok=True)
            if stage != "publish":
                kept = {key: found for key, found in self._evaluations().items() if key != name}
                write_json(self.work_dir / "evaluation.json", kept)

    def _train(self, name, settings):
        done = self._file(name, "training.json")
        if done.exists():
            print(f"{name}  trained already ({read_json(done)['minutes']:.1f} minutes)")
            return True
        keras.utils.set_random_seed(self.settings.seed)
        model = self._start(name)
        config = model.get_config()
        training = Training(
            model, self.splits.training(settings.batch_size, self.settings.seed),
            lambda: self.splits.evaluation("validation"), settings,
            seed=self.settings.seed, folder=self.work_dir / name, name=name,
            identity={"name": name, "data": self.splits.digest(), "model": _plain(config)},
            checkpoint_minutes=self.settings.checkpoint_minutes,
        )  # fmt: skip
        if not training.run(self.clock):
            return False
        best = DSSClassifier.from_config(config)  # not compiled: the file holds the model alone
        best.set_weights(training.best)
        self._write(best, name, "model.keras")
        state = training.state
        write_json(done, {
            "epochs": settings.epochs, "steps": state.step, "minutes": state.seconds / 60.0,
            "best_step": state.best_step, "validation_accuracy": state.best_accuracy,
            "settings": dataclasses.asdict(settings), "seed": self.settings.seed,
            "backend": keras.backend.backend(), "versions": versions(), "hardware": hardware(),
            "command": self.command, "data": self.splits.digest(), "history": state.history,
        })  # fmt: skip
        return True

    def _start(self, name):
        """Return the model that a training begins with: reduced, or from Skew-HiPPO."""
        child = self.settings.models[name]
        if child and child.start == "bt":
            return self._load(name, "initial.keras", "reduce")
        small = {"state_size": child.state_size, "eigenvalues": child.eigenvalues} if child else {}
        return DSSClassifier(
            self.task.NUM_CLASSES, vocabulary_size=getattr(self.task, "VOCABULARY_SIZE", None),
            **({"state_size": self.settings.state_size} | small),
            **dataclasses.asdict(self.settings.model),
        )  # fmt: skip

    def _evaluations(self):
        path = self.work_dir / "evaluation.json"
        return read_json(path) if path.exists() else {}

    def _baselines(self):
        """Accuracy on test of guessing, and of always answering training's commonest class."""
        commonest = np.bincount(self.splits.get("train")[1]).argmax()
        majority = np.mean(self.splits.get("test")[1] == commonest)
        return {"chance": 1.0 / self.task.NUM_CLASSES, "majority": float(majority)}

    def _card(self, name, found):
        settings, facts = self.settings, read_json(self._file(name, "training.json"))
        child = settings.models[name]
        reduced = child is not None and child.start == "bt"
        data = dataclasses.asdict(settings.data)
        data["description"] += f" SHA-256 of the training arrays: {facts['data']}."
        if self.own_data:
            data["source"] += " A data folder was given: official files in it were read instead."
        if self.smoke:
            data = {"description": "Random examples.", "source": "--smoke", "defects": ["no task"]}
        model = dataclasses.asdict(settings.model)
        model["state_size"] = child.state_size if child else settings.state_size
        model["eigenvalues"] = child.eigenvalues if child else "shared"
        keys = ("accuracy", "correct", "total", "loss")
        method = METHODS[child and child.start].format(parent=settings.parent)
        return {
            "task": settings.task, "data": data, "architecture": model,
            "parent": settings.parent if reduced else None,
            "method": f"{method}; the best of {len(facts['history'])} validations is kept",
            "recipe": settings.task, "licence": "Apache-2.0",
            "metrics": {s: {k: found[s][k] for k in keys} for s in ("validation", "test")},
            "baselines": found["baselines"],
            **{k: facts[k] for k in (
                "command", "seed", "epochs", "minutes", "hardware", "backend", "versions"
            )},
        }  # fmt: skip

    def _origin(self, name):
        return "pretrain" if name == self.settings.parent else "train"

    def _file(self, name, file):
        return self.work_dir / name / file

    def _load(self, name, file, stage):
        path = self._file(name, file)
        if not path.exists():
            raise StageError(f"Expected {path}: run --stage={stage} first.")
        return keras.saving.load_model(path, compile=False)

    def _write(self, model, name, file):
        with replacing(self._file(name, file)) as temporary:
            model.save(temporary)


def _plain(value):
    """Return reports, configs, arrays and NumPy numbers as JSON holds them."""
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
