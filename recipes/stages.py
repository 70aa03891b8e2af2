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
import shutil
from pathlib import Path

import keras
import numpy as np

from keras_dss import compress_model, scoring, zoo
from keras_dss.hardware import hardware
from recipes import curves
from recipes.data import Splits
from recipes.files import locked, read_json, replacing, sha256, write_json
from recipes.models import make_model
from recipes.training import Clock, Training, describe_differences

STAGES = ("pretrain", "reduce", "train", "evaluate", "publish")
METHODS = {
    None: "trained from Skew-HiPPO",
    "bt": "balanced truncation of {parent}, then trained",
    "skew_hippo": "trained from Skew-HiPPO, with the training budget of the reduced models",
}


class StageError(RuntimeError):
    """A stage that needs another one first, or that was done with other settings."""


class Stages:
    """The stages of one recipe, in one folder.

    Args:
        settings: the recipe's `Settings`.
        work_dir: folder of everything that is made.
        data_dir: folder of the data, handed to the data set.
        clock: the time there is for training.
        command: the command line, for the cards.
        smoke: whether to use the few examples of the task's fixture files.
        resident: whether training data is held in the memory of the backend's device.
    """

    def __init__(
        self, settings, work_dir, data_dir=None, clock=None, command="", smoke=False,
        resident=False,
    ):  # fmt: skip
        self.settings, self.work_dir = settings, Path(work_dir)
        self.clock, self.command, self.smoke = clock or Clock(), command, smoke
        self.task = importlib.import_module(f"keras_dss.datasets.{settings.task}")
        self.splits = Splits(
            self.task, data_dir, smoke, settings.model.mask_zeros, resident, settings.num_lengths
        )

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
        found = [name if name in known else f"{self.settings.recipe}_{name}" for name in models]
        for name, full in zip(models, found, strict=True):
            if full not in known:
                raise ValueError(f"Expected models of {', '.join(known)}. Received: {name!r}")
        return found or list(known)

    def pretrain(self, names):
        """Train the parent from Skew-HiPPO."""
        return self._train(self.settings.parent, self.settings.pretrain)

    def reduce(self, names):
        """Reduce the parent's DSS layers to the state size of each child "bt"."""
        for name in names:
            child = self.settings.models[name]
            if child is None or child.start != "bt":
                continue
            done, calibration = self._file(name, "reduction.json"), self.settings.calibration
            parent = self._load(self.settings.parent, "model.keras", "pretrain")
            origin = {"parent": self._digest(self.settings.parent), "calibration": calibration}
            if done.exists():
                self._check(name, origin, read_json(done)["origin"], "reduce")
                print(f"{name}  reduced already")
                continue
            inputs = self.splits.get("train", calibration)[0] if calibration else None
            model, report = compress_model(
                parent, rank=child.state_size, calibration=inputs, return_report=True
            )
            print(report)
            self._write(model, name, "initial.keras")
            write_json(done, {"origin": origin, "report": _plain(report)})
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
            title = f"{self.settings.recipe}: main training"
            curves.draw_comparison(histories, title, self.work_dir / "comparison.png")
        return complete

    def evaluate(self, names):
        """Measure the chosen weights of each model. Only here is the test split read."""
        evaluations = self._evaluations()
        for name in names:
            self._facts(name)
            if evaluations.get(name, {}).get("model") != self._digest(name):
                evaluations[name] = self._evaluation(name)
                write_json(self.work_dir / "evaluation.json", evaluations)
            found = evaluations[name]
            for split in ("validation", "test"):
                print(f"{name}  {split}  {scoring.say(found[split])}")
            baselines = ", ".join(f"{key} {value:.4f}" for key, value in found["baselines"].items())
            print(f"{name}  test baselines  {baselines}")
        return True

    def publish(self, names):
        """Publish evaluated models, with cards that say how they came to be."""
        evaluations = self._evaluations()
        for name in names:
            facts = self._facts(name)
            if evaluations.get(name, {}).get("model") != self._digest(name):
                raise StageError(f"Expected an evaluation of {name}: run --stage=evaluate first.")
            model = self._load(name, "model.keras")
            pin = next(iter(self.splits.evaluation("test", batch_size=4)))[0]
            card = zoo.publish(model, name, self._card(name, facts, evaluations[name]), pin)
            print(f"{name}  published, version {card['version']}")
        return True

    def restart(self, stage, models=()):
        """Throw away what `stage` (or "all") made of the models, and all that follows from it."""
        names = self.select(models)
        for name in names:
            first = "pretrain" if name == self.settings.parent else "reduce"
            if stage in ("all", first):
                shutil.rmtree(self.work_dir / name, ignore_errors=True)
            elif stage == "train" and first != "pretrain":
                for file in ("checkpoint.npz", "model.keras", "training.json"):
                    self._file(name, file).unlink(missing_ok=True)
        if stage == "evaluate":
            kept = {key: found for key, found in self._evaluations().items() if key not in names}
            write_json(self.work_dir / "evaluation.json", kept)

    def _train(self, name, settings):
        if self._file(name, "training.json").exists():
            print(f"{name}  trained already ({self._facts(name)['minutes']:.1f} minutes)")
            return True
        with locked(self.work_dir / name):
            keras.utils.set_random_seed(self.settings.seed)
            model = self._start(name)
            config, origin = model.get_config(), self._origin(name)
            training = Training(
                model, self.splits.training(settings.batch_size, self.settings.seed),
                lambda: self.splits.evaluation("validation"), settings,
                seed=self.settings.seed, folder=self.work_dir / name, name=name,
                identity={**origin, "data": self.splits.digest()}, kind=self.task.KIND,
                checkpoint_minutes=self.settings.checkpoint_minutes,
            )  # fmt: skip
            if not training.run(self.clock):
                return False
            best = type(model).from_config(config)  # not compiled: the model alone is kept
            best.set_weights(training.best)
            self._write(best, name, "model.keras")
            state = training.state
            write_json(self._file(name, "training.json"), {
                "origin": origin, "data": self.splits.digest(), "seed": self.settings.seed,
                "epochs": settings.epochs, "steps": state.step, "best_step": state.best_step,
                "validation": state.best, "minutes": state.seconds / 60.0,
                "provenance": dataclasses.asdict(self.splits.provenance()),
                "backend": keras.backend.backend(), "versions": zoo.versions(),
                "hardware": hardware(), "command": self.command, "history": state.history,
            })  # fmt: skip
        return True

    def _origin(self, name):
        """Return the settings that a training follows from."""
        child = self.settings.models[name]
        training = self.settings.train if child else self.settings.pretrain
        found = {
            "name": name, "seed": self.settings.seed, "num_lengths": self.settings.num_lengths,
            "training": dataclasses.asdict(training),
            "model": dataclasses.asdict(self.settings.model),
            "start": dataclasses.asdict(child) if child else "skew_hippo",
        }  # fmt: skip
        if child and child.start == "bt":
            path = self._file(name, "initial.keras")
            found["initial"] = sha256(path) if path.exists() else None
        return found

    def _facts(self, name):
        """Return the facts of a finished training."""
        path = self._file(name, "training.json")
        if not path.exists():
            stage = "train" if self.settings.models[name] else "pretrain"
            raise StageError(f"Expected the training of {name} to be complete: --stage={stage}.")
        facts = read_json(path)
        self._check(name, self._origin(name), facts["origin"], "train")
        return facts

    def _check(self, name, expected, received, stage):
        differences = describe_differences(expected, received)
        if differences:
            raise StageError(
                f"Expected what is there of {name} (stage {stage}) to be made with these settings; "
                "take the former settings, another --work_dir, or --restart. "
                f"Received: {'; '.join(differences)}"
            )

    def _evaluation(self, name):
        model = self._load(name, "model.keras")
        found = {"model": self._digest(name), "parameters": model.count_params()}
        for split in ("validation", "test"):
            found[split] = scoring.score(model, self.splits.evaluation(split), self.task.KIND)
        found["baselines"] = scoring.baselines(
            self.task.KIND, self.splits.get("train"), self.splits.get("test"), self._classes()
        )
        return found

    def _classes(self):
        if self.task.KIND == "language":
            return self.task.VOCABULARY_SIZE
        return getattr(self.task, "NUM_CLASSES", None)

    def _start(self, name):
        """Return the model that a training begins with: reduced, or from Skew-HiPPO."""
        child = self.settings.models[name]
        if child and child.start == "bt":
            return self._load(name, "initial.keras", "reduce")
        small = {"state_size": child.state_size, "eigenvalues": child.eigenvalues} if child else {}
        size = {"state_size": self.settings.state_size} | small
        return make_model(self.task, self.settings.model, **size)

    def _evaluations(self):
        path = self.work_dir / "evaluation.json"
        return read_json(path) if path.exists() else {}

    def _card(self, name, facts, found):
        settings, child = self.settings, self.settings.models[name]
        reduced = child is not None and child.start == "bt"
        data = dict(facts["provenance"])
        data["description"] += f" SHA-256 of the training arrays: {facts['data']}."
        if self.smoke:
            data["source"] = "The fixture files of the tests (--smoke): a few examples, no task."
        model = dataclasses.asdict(settings.model)
        model["state_size"] = child.state_size if child else settings.state_size
        model["eigenvalues"] = child.eigenvalues if child else "shared"
        method = METHODS[child and child.start].format(parent=settings.parent)
        return {
            "task": settings.task, "data": data, "architecture": model,
            "parent": settings.parent if reduced else None,
            "method": f"{method}; the best of {len(facts['history'])} validations is kept",
            "recipe": settings.recipe, "licence": "Apache-2.0",
            "metrics": {split: found[split] for split in ("validation", "test")},
            "baselines": found["baselines"],
            **{k: facts[k] for k in (
                "command", "seed", "epochs", "minutes", "hardware", "backend", "versions"
            )},
        }  # fmt: skip

    def _file(self, name, file):
        return self.work_dir / name / file

    def _digest(self, name):
        return sha256(self._file(name, "model.keras"))

    def _load(self, name, file, stage="train"):
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
