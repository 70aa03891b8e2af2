"""The stages of a recipe: pretrain, reduce, train, evaluate, publish.

    work_dir/
      settings.json                  the settings
      comparison.png                 validation curves of the children
      evaluation.json                accuracies of all models
      NAME/initial.keras             reduced model, not yet trained (children "bt" and "h2")
      NAME/reduction.json            report of the reduction
      NAME/checkpoint.npz            the training, to go on from
      NAME/published.keras           weights and facts of the published model that the training
      NAME/published.json            goes on from (start="published")
      NAME/history.csv, curves.png
      NAME/model.keras               the weights that validated best
      NAME/training.json             facts of the finished training
      NAME/publication.json          the version it was published as, or why it was not

A stage whose last file is there is complete and is skipped.
"""

import contextlib
import dataclasses
import importlib
from pathlib import Path

import keras
import numpy as np

from keras_dss import compress_model, scoring, zoo
from keras_dss.hardware import hardware
from recipes import curves, published
from recipes.clock import Clock
from recipes.data import Splits
from recipes.files import clear, locked, read_json, replacing, sha256, write_json
from recipes.models import make_model
from recipes.options import STAGES
from recipes.origin import describe_differences, origin
from recipes.settings import REDUCTIONS
from recipes.training import Training

TRAINED = (
    "checkpoint.npz", "model.keras", "training.json", "published.json", "published.keras",
    "publication.json",
)  # fmt: skip
METHODS = {
    None: "trained from Skew-HiPPO",
    "bt": "balanced truncation of {parent}, then trained",
    "h2": "H2-optimal reduction of {parent}, then trained",
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
        replace_better: whether to publish where a better model is published.
    """

    def __init__(
        self, settings, work_dir, data_dir=None, clock=None, command="", smoke=False,
        resident=False, replace_better=False,
    ):  # fmt: skip
        self.replace_better = replace_better
        self.settings, self.work_dir = settings, Path(work_dir)
        self.clock, self.command, self.smoke = clock or Clock(), command, smoke
        self.task = importlib.import_module(f"keras_dss.datasets.{settings.task}")
        self.splits = Splits(
            self.task, data_dir, smoke, settings.model.mask_zeros, resident, settings.num_lengths,
            settings.examples,
        )  # fmt: skip

    def run(self, stage, models=()):
        """Do one stage, for the named models or for all; return whether it is complete.

        Raises:
            ValueError: an unknown stage or model.
            StageError: an earlier stage is missing.
        """
        if stage not in STAGES:
            raise ValueError(f"Expected a stage of {', '.join(STAGES)}. Received: {stage!r}")
        names = self.settings.select(models)
        with locked(self.work_dir, wait=True):
            write_json(self.work_dir / "settings.json", dataclasses.asdict(self.settings))
        return getattr(self, stage)(names)

    def pretrain(self, names):
        """Train the parent, if it is named, or if a named child can only start from this one."""
        parent = self.settings.parent
        if parent not in names:
            waiting = [n for n in names if self.settings.reduced(n) and not self._reduced(n)]
            if not waiting:
                print(f"{parent}  not needed")
                return True
            card = published.card_of(parent)
            if card and not self._file(parent, "model.keras").exists():
                print(f"{parent}  not trained: version {card['version']} is published")
                return True
        return self._train(parent, self.settings.pretrain)

    def reduce(self, names):
        """Reduce the parent's DSS layers to the state size of each child that starts from it.

        The parent is that of the work dir, or else the published one.
        """
        for name in filter(self.settings.reduced, names):
            with locked(self.work_dir / name):
                self._reduce(name)
        return True

    def _reduce(self, name):
        settings, parent = self.settings, self.settings.parent
        done = self._reduced(name)
        if done and "version" in done["origin"]:  # of a published parent, which is there no more
            expected = done["origin"] | {"calibration": settings.calibration}
            self._check(name, expected, done["origin"], "reduce")
            print(f"{name}  reduced already, from version {expected['version']} of {parent}")
            return
        model, found = self._parent()
        found["calibration"] = settings.calibration
        if done:
            self._check(name, found, done["origin"], "reduce")
            print(f"{name}  reduced already")
            return
        if "version" in found:
            print(f"{name}  reduced from the published {parent}, version {found['version']}")
        calibration = settings.calibration
        model, report = compress_model(
            model, rank=settings.models[name].state_size, return_report=True,
            method=REDUCTIONS[settings.models[name].start],
            calibration=self.splits.get("train", calibration)[0] if calibration else None,
        )  # fmt: skip
        print(report)
        self._write(model, name, "initial.keras")
        write_json(self._file(name, "reduction.json"), {"origin": found, "report": _plain(report)})

    def _reduced(self, name):
        """Return what is known of a child's reduction, or None before it."""
        path = self._file(name, "reduction.json")
        return read_json(path) if path.exists() else None

    def _parent(self):
        """Return the parent to reduce, and where it is from."""
        parent = self.settings.parent
        if self._file(parent, "model.keras").exists() or not published.card_of(parent):
            model = self._load(parent, "model.keras", "pretrain")
            return model, {"parent": self._digest(parent)}
        model, card = published.load(self.task, self.settings, parent)
        facts = published.facts(card)
        return model, {"parent": facts["weights"], "version": facts["version"]}

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
            with locked(self.work_dir, wait=True):
                curves.draw_comparison(histories, title, self.work_dir / "comparison.png")
        return complete

    def evaluate(self, names):
        """Measure the chosen weights of each model. Only here is the test split read."""
        for name in self._with_parent(names):
            self._facts(name)
            with locked(self.work_dir / name):
                found = self._evaluations().get(name, {})
                if found.get("model") != self._digest(name):
                    found = self._evaluation(name)
                    with locked(self.work_dir, wait=True):
                        evaluations = self._evaluations() | {name: found}
                        write_json(self.work_dir / "evaluation.json", evaluations)
            for split in ("validation", "test"):
                print(f"{name}  {split}  {scoring.say(found[split])}")
            baselines = ", ".join(f"{key} {value:.4f}" for key, value in found["baselines"].items())
            print(f"{name}  test baselines  {baselines}")
        return True

    def publish(self, names):
        """Publish evaluated models, with cards that say how they came to be.

        Raises:
            StageError: some are not better than what is published; the others are published.
        """
        objections = []
        for name in self._with_parent(names):
            facts = self._facts(name)
            with locked(self.work_dir / name):
                found = self._evaluations().get(name, {})
                if found.get("model") != self._digest(name):
                    raise StageError(
                        f"Expected an evaluation of {name}: run --stage=evaluate first."
                    )
                publication = self._publish(name, facts, found)
                write_json(
                    self._file(name, "publication.json"), {"model": found["model"], **publication}
                )
            objections += [publication["refused"]] if "refused" in publication else []
        if objections:
            raise StageError("\n".join(objections))
        return True

    def _publish(self, name, facts, found):
        """Publish one model; return its version, or why it is refused."""
        model, former = self._load(name, "model.keras"), published.card_of(name)
        if former and not self.replace_better:
            if published.has_weights(name, model):
                print(f"{name}  published already, version {former['version']}")
                return {"version": former["version"]}
            refused = published.objection(former, found["validation"], facts["data"])
            if refused:
                return {"refused": refused}
        pin = next(iter(self.splits.evaluation("test", batch_size=4)))[0]
        card = zoo.publish(model, name, self._card(name, facts, found), pin)
        print(f"{name}  published, version {card['version']}")
        return {"version": card["version"]}

    def _with_parent(self, names):
        """Return the names, and the parent's if children were reduced from one not published."""
        parent = self.settings.parent
        needed = parent not in names and any(map(self.settings.reduced, names))
        if needed and self._file(parent, "training.json").exists():
            return names if published.card_of(parent) else [parent, *names]
        return names

    def restart(self, stage, models=()):
        """Throw away what `stage` (or "all") made of the models, and all that follows from it.

        Raises:
            ValueError, OSError: an unknown model, or data or settings that no training takes; then,
                too, nothing is thrown away.
            FolderInUse: another process is at work on one of the models; then nothing is thrown
                away.
        """
        names, parent = self.settings.select(models), self.settings.parent
        for_child, for_parent = ("all", "reduce", "train"), ("all", "pretrain")
        begun = [
            self.work_dir / name
            for name in names
            if stage in (for_parent if name == parent else for_child)
            and (self.work_dir / name).exists()
        ]
        with contextlib.ExitStack() as locks:
            for folder in begun:
                locks.enter_context(locked(folder))
            if begun:
                self._check_beginning(stage)
            for folder in begun:
                clear(folder, TRAINED if stage == "train" else None)
        if stage == "evaluate":
            with locked(self.work_dir, wait=True):
                found = self._evaluations()
                kept = {key: value for key, value in found.items() if key not in names}
                write_json(self.work_dir / "evaluation.json", kept)

    def _check_beginning(self, stage):
        """Raise what a training would, of its data and settings, before anything is lost."""
        sizes = self._sizes(self.settings.parent)
        make_model(self.task, self.settings.model, **sizes)
        if stage != "train":
            self._batches(self.settings.pretrain)
        if stage in ("train", "all"):
            self._batches(self.settings.train)

    def _train(self, name, settings):
        with locked(self.work_dir / name):
            if self._file(name, "training.json").exists():
                print(f"{name}  trained already ({self._facts(name)['minutes']:.1f} minutes)")
                return True
            if self.settings.start == "published":
                self._take_published(name)
            keras.utils.set_random_seed(self.settings.seed)
            model = self._start(name)
            config, source = model.get_config(), origin(self.settings, name, self.work_dir)
            training = Training(
                model, self._batches(settings),
                lambda: self.splits.evaluation(
                    "validation", examples=self.settings.validation_examples
                ), settings,
                seed=self.settings.seed, folder=self.work_dir / name, name=name,
                identity={**source, "data": self.splits.digest()}, kind=self.task.KIND,
                step_weights=getattr(self.task, "STEP_WEIGHTS", ()),
                checkpoint_minutes=self.settings.checkpoint_minutes,
            )  # fmt: skip
            if not training.run(self.clock):
                return False
            best = type(model).from_config(config)  # not compiled: the model alone is kept
            best.set_weights(training.best)
            self._write(best, name, "model.keras")
            state = training.state
            write_json(self._file(name, "training.json"), {
                "origin": source, "data": self.splits.digest(), "seed": self.settings.seed,
                "epochs": settings.epochs, "steps": state.step, "best_step": state.best_step,
                "validation": state.best, "minutes": state.seconds / 60.0,
                "provenance": dataclasses.asdict(self.splits.provenance()),
                "backend": keras.backend.backend(), "versions": zoo.versions(),
                "hardware": hardware(), "command": self.command, "history": state.history,
            })  # fmt: skip
        return True

    def _batches(self, settings):
        return self.splits.training(
            settings.batch_size, self.settings.seed, settings.augmentation, settings.curriculum,
            step_labels=settings.step_labels > 0.0,
        )  # fmt: skip

    def _facts(self, name):
        """Return the facts of a finished training."""
        path = self._file(name, "training.json")
        if not path.exists():
            stage = "train" if self.settings.models[name] else "pretrain"
            raise StageError(f"Expected the training of {name} to be complete: --stage={stage}.")
        facts = read_json(path)
        self._check(name, origin(self.settings, name, self.work_dir), facts["origin"], "train")
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

    def _take_published(self, name):
        """Copy the published model into the work dir: a training starts from one version only."""
        path = self._file(name, "published.json")
        if not path.exists():
            model, card = published.load(self.task, self.settings, name)
            self._write(model, name, "published.keras")
            write_json(path, published.facts(card))
        print(f"{name}  goes on from its published version {read_json(path)['version']}")

    def _start(self, name):
        """Return the model that a training begins with: published, reduced, or of Skew-HiPPO."""
        settings = self.settings
        if settings.start == "published":
            return self._load(name, "published.keras")
        if settings.reduced(name):
            return self._load(name, "initial.keras", "reduce")
        return make_model(self.task, settings.model, **self._sizes(name))

    def _sizes(self, name):
        architecture = self.settings.architecture(name)
        return {key: architecture[key] for key in ("state_size", "eigenvalues")}

    def _evaluations(self):
        path = self.work_dir / "evaluation.json"
        return read_json(path) if path.exists() else {}

    def _card(self, name, facts, found):
        settings, data = self.settings, dict(facts["provenance"])
        if settings.examples and not self.smoke:
            data["description"] += f" The first {settings.examples:,} are trained on."
        data["description"] += f" SHA-256 of the training arrays: {facts['data']}."
        if self.smoke:
            data["source"] = "The fixture files of the tests (--smoke): a few examples, no task."
        return {
            "task": settings.task, "data": data, "architecture": settings.architecture(name),
            "recipe": settings.recipe, "licence": "Apache-2.0",
            "metrics": {split: found[split] for split in ("validation", "test")},
            "baselines": found["baselines"],
            **{key: facts[key] for key in ("command", "seed", "backend", "versions")},
            **self._account(name, facts),
        }  # fmt: skip

    def _account(self, name, facts):
        """Return what a card says of the training, and of that before it."""
        training, told = facts["origin"]["training"], []
        if training.get("curriculum"):
            grades = ", ".join(str(grade or "the task's own") for grade in training["curriculum"])
            if any(training["curriculum"]):
                told.append(f"first epochs on {self.task.GRADES.meaning}: {grades}")
        if training.get("step_labels"):
            grades, labelled = getattr(self.task, "GRADES", None), len(training["curriculum"] or ())
            within = ""
            if grades and grades.drawn_labels and labelled < training["epochs"]:
                within = f" in the first {labelled} epochs"
            told.append(f"the data's labels of steps as further targets{within}")
        count = self.settings.validation_examples
        within = f" on {count:,} examples" if count and not self.smoke else ""
        told.append(f"the best of {counted(len(facts['history']), 'validation')}{within} is kept")
        chosen = "; ".join(told)
        found = {key: facts[key] for key in ("epochs", "minutes", "hardware")}
        if self.settings.start == "recipe":
            child, parent = self.settings.models[name], self.settings.parent
            reduced = self.settings.reduced(name)
            version = self._reduced(name)["origin"].get("version") if reduced else None
            told = f"{parent}, version {version}" if version else parent
            method = METHODS[child and child.start].format(parent=told)
            return found | {"method": f"{method}; {chosen}", "parent": parent if reduced else None}
        former = read_json(self._file(name, "published.json"))
        if former["hardware"] != found["hardware"]:
            found["hardware"] = f"{former['hardware']}; then {found['hardware']}"
        more = f"{counted(found['epochs'], 'epoch')} and {found['minutes']:.1f} minutes more"
        return found | {
            "method": f"version {former['version']} ({former['method']}), trained on for {more}; "
            f"{chosen}",
            "epochs": former["epochs"] + found["epochs"],
            "minutes": former["minutes"] + found["minutes"],
            "parent": former["parent"],
        }

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


def counted(count, what):
    """`1 epoch`, `2 epochs`."""
    return f"{count:g} {what}" + "s" * (count != 1)


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
