"""The stages of `keras-dss search`, and what they leave."""

import datetime
import logging
import math
import shlex

import keras
from rich import box
from rich.table import Table

from keras_dss import tuner, zoo
from keras_dss.cli import scoring
from keras_dss.cli.console import print_table, set_seeds
from keras_dss.cli.evaluate import metric_cells, metric_names
from keras_dss.cli.files import relative_to, replacing, write_json
from keras_dss.hardware import hardware
from keras_dss.scoring import are_probabilities, brief, metric_name, say, score

TRIALS = 30
COUNTS = ("correct", "total")
METRICS = ("accuracy", *COUNTS, "loss", "bits_per_character", "mse", "mae")


class Search:
    """One search.

    Args:
        source: the `Source` of the model. model: the model. data: `Data` of its task.
        values: the flags. ranks: ints out of them, or None. folder: of the search while it runs.
        arguments: the command line. stages: the `Stages` that time and show it.

    Raises:
        ValueError: for a model without DSS layers, ranks or data that do not fit it.
    """

    def __init__(self, source, model, data, values, ranks, folder, arguments, stages):
        self.source, self.model, self.data, self.values = source, model, data, values
        self.ranks, self.folder, self.arguments, self.stages = ranks, folder, arguments, stages
        self.sizes, self.test = {}, None
        data.check_model(model)

    def run(self, paths, out):
        """Does all stages, prints the tables, and leaves the three files."""
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each trial compiles anew
        set_seeds(self.values.seed)
        splits = self._read()
        self.tuner = self._make_tuner(splits)
        self._search(splits)
        self.chosen = min(self.tuner.ledger.trials, key=_worth)
        model = self._load(self.chosen)
        self._evaluate(model)
        with replacing([*paths[1:], paths[0]]) as (json_path, picture, model_path):
            with self.stages.stage("write", "Writing"):
                model.save(model_path)
                self._draw(picture)
            write_json(json_path, self.to_dict(paths))
        for table in (self.front_table(), self.table()):
            out.print()
            print_table(out, table)
        out.print()
        out.print("\n".join(self.notes()), soft_wrap=True)
        for path, what in zip(paths, ("model", "trials", "picture"), strict=True):
            out.print(f"{what:8} {path}", soft_wrap=True)

    def _read(self):
        """Arrays of the splits that the search needs; the test split is read after it."""
        values, wanted = self.values, {"validation": self.values.limit}
        if values.epochs:
            wanted["train"] = values.limit
        elif values.calibrate:
            wanted["train"] = values.calibration_examples
        with self.stages.stage("data", "Reading data") as bar:
            splits = {name: self.data.load(name, count) for name, count in wanted.items()}
            self.sizes = {name: len(x) for name, (x, _) in splits.items()}
            sizes = ", ".join(f"{count:,} {name}" for name, count in self.sizes.items())
            bar.result = f"{sizes} ({self.data.origin})"
        return splits

    def _make_tuner(self, splits):
        values = self.values
        calibration = None
        if values.calibrate:
            calibration = splits["train"][0][: values.calibration_examples]
        batch = scoring.evaluation_batches(*splits["validation"])[0][0]
        classes = self.data.kind != "regression"
        logits = not (classes and are_probabilities(self.model.predict_on_batch(batch)))
        hyperband = values.search == "hyperband"
        hypermodel = tuner.RankHyperModel(
            self.model,
            self.ranks,
            per_layer=values.per_layer,
            method=values.method,
            calibration=calibration,
            horizon=values.horizon,
            refit=values.refit,
            epochs=0 if hyperband else values.epochs,
            kind=self.data.kind,
            size_weight=values.size_weight,
            learning_rate=values.learning_rate,
            logits=logits,
            batch_size=values.batch_size,
            seed=values.seed,
        )
        trials = values.trials
        if trials is None and values.search in ("random", "bayesian"):
            trials = TRIALS
        oracle = tuner.make_oracle(
            values.search, trials, epochs=values.epochs if hyperband else None, seed=values.seed
        )
        self.total = trials
        if trials is None and not hyperband:
            ranks = hypermodel.ranks
            self.total = math.prod(map(len, ranks.values())) if values.per_layer else len(ranks)
        project = "_".join([self.data.task, *(f"{n}{name[0]}" for name, n in self.sizes.items())])
        return _ShownTuner(oracle, hypermodel, directory=self.folder, project_name=project)

    def _search(self, splits):
        done = len(self.tuner.ledger.trials)
        if done:
            self.stages.say(f"  goes on after {done:,} trials in {self.tuner.project_dir}")
        with self.stages.stage("search", "Searching", self.total) as bar:
            self.tuner.bar, self.tuner.say = bar, self.stages.say
            try:
                self.tuner.search(
                    *splits.get("train", (None, None)) if self.values.epochs else (None, None),
                    validation_data=splits["validation"],
                    verbose=0,
                )
            except KeyboardInterrupt:
                self.stages.say("  the same command goes on from here")
                raise
            bar.result = f"{len(self.tuner.oracle.trials):,} trials"
        if not self.tuner.ledger.trials:
            raise RuntimeError(self.tuner.failure)

    def _load(self, trial):
        """The model of a trial, uncompiled."""
        hp = self.tuner.oracle.get_space()
        hp.values = dict(trial["values"])
        model = self.tuner.hypermodel.reduce(hp)
        self.tuner.load_weights(model, trial["values"])
        return model

    def _evaluate(self, model):
        x, y = self.data.load("test", self.values.limit)
        self.sizes["test"] = len(x)
        with self.stages.stage("evaluate", "Evaluating the chosen model", len(x)) as bar:
            batches = scoring.evaluation_batches(x, y)
            self.test = score(model, batches, self.data.kind, bar.advance)
            bar.result = say(self.test)

    def _draw(self, path):
        trials, original = self.tuner.ledger.trials, self.tuner.ledger.original
        name = metric_name(self.data.kind)
        accuracy = self.data.kind in ("classification", "pairs")
        tuner.draw_front(
            path,
            trials,
            original,
            self.chosen,
            title=f"{self.source.name}: {len(trials)} trials, {self.sizes['validation']:,} "
            "validation sequences",
            label=name if accuracy else "- loss / loss of the original",
        )

    def front_table(self):
        """The trials that no other one beats, a row for each."""
        front = self.tuner.front()
        names = metric_names(metrics_of(front[0]["metrics"]))
        layers = list(self.tuner.hypermodel.reductions.layers)
        title = f"{self.source.name}: what no trial beats, on {self.sizes['validation']:,} "
        table = Table(box=box.SIMPLE_HEAD, title=f"{title}validation sequences")
        table.add_column("ranks")
        for name in (*names, "states", "kB", "score", ""):
            table.add_column(name.replace("_", " "), justify="right")
        for trial in front:
            mark = "chosen" if trial is self.chosen else ""
            table.add_row(*self._row(_ranks(trial["values"], layers), trial["metrics"]), mark)
        table.add_section()
        table.add_row(*self._row("original", self.tuner.ledger.original))
        return table

    @staticmethod
    def _row(name, metrics):
        return (
            name, *metric_cells(metrics_of(metrics))[:-1], f"{metrics['states']:,.0f}",
            f"{metrics['bytes'] / 1e3:,.1f}", f"{metrics['score']:.4f}",
        )  # fmt: skip

    def table(self):
        """The original and the chosen model."""
        validation = {
            "original": metrics_of(self.tuner.ledger.original),
            "chosen": metrics_of(self.chosen["metrics"]),
        }
        card = self.source.card
        test = {"original": card and card["metrics"]["test"], "chosen": self.test}
        sizes = {"original": self.tuner.ledger.original, "chosen": self.chosen["metrics"]}
        table = Table(box=box.SIMPLE_HEAD, title=f"{self.source.name} and the chosen model")
        for name in ("model", "validation", "test", "parameters", "states"):
            table.add_column(name, justify="left" if name == "model" else "right")
        for name, found in validation.items():
            table.add_row(
                name,
                brief(found),
                brief(test[name]) if test[name] else "",
                *(f"{sizes[name][size]:,.0f}" for size in ("parameters", "states")),
            )
        if card:
            table.caption = "test of the original: its card"
        return table

    def notes(self):
        """What the tables do not say, in sentences."""
        weight, seconds = self.values.size_weight, [t["seconds"] for t in self.tuner.ledger.trials]
        yield (
            f"The score is the accuracy less {weight:g} times the share of the states."
            if self.data.kind in ("classification", "pairs")
            else f"The score is minus the loss in multiples of that of the original, less "
            f"{weight:g} times the share of the states."
        )
        yield f"{sum(seconds) / len(seconds):.1f} seconds a trial, {max(seconds):.1f} at most."
        if self.values.limit:
            yield f"Each split was cut to its first {self.values.limit:,} sequences."

    def to_dict(self, paths):
        """Everything that is printed, and how it came about."""
        card = self.source.card
        flags = self.values.flag_values_dict()
        return {
            "format": 1,
            "command": shlex.join(["keras-dss", *self.arguments]),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "source": {
                "name": self.source.name,
                "file": relative_to(self.source.path, paths[1]),
                "version": card and card["version"],
                "test": card and card["metrics"]["test"],
            },
            "task": self.data.task,
            "data": {"origin": self.data.origin, "examples": self.sizes},
            "flags": {name: value for name, value in flags.items() if name != "debug"},
            "original": self.tuner.ledger.original,
            "trials": self.tuner.ledger.trials,
            "front": self.tuner.front(),
            "chosen": self.chosen | {"test": self.test},
            "notes": list(self.notes()),
            "seconds": self.stages.seconds,
            "backend": keras.backend.backend(),
            "versions": zoo.versions(),
            "hardware": hardware(),
            "files": {"model": paths[0].name, "trials": paths[1].name, "picture": paths[2].name},
        }


class _ShownTuner(tuner.CompressionTuner):
    """Shows each trial on a bar, and says the ones that are better than all before."""

    best = failure = None

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        metrics = self.ledger.find(trial.hyperparameters.values)
        if metrics is None:  # it failed
            self.failure = (trial.message or "a score is not a number").strip().splitlines()[-1]
            self.say(f"  {self.failure}")
            return
        done = len(self.oracle.trials)
        facts = f"{brief(metrics_of(metrics))}, {metrics['states']:,.0f} states"
        self.bar.show(done, f"{done:,} trials  {facts}")
        if self.best is None or metrics["score"] > self.best:
            self.best = metrics["score"]
            self.say(f"  trial {done:<4} score {self.best:.4f}  {facts}")


def _worth(trial):
    """Orders trials from the best score on, of equal ones the smallest first."""
    return -trial["metrics"]["score"], trial["metrics"]["bytes"]


def metrics_of(metrics):
    """What `keras_dss.scoring` measured, out of all metrics of a trial."""
    found = {name: metrics[name] for name in METRICS if name in metrics}
    return found | {name: int(found[name]) for name in COUNTS if name in found}


def _ranks(values, layers):
    """The ranks of a trial in few characters, a dot for a layer that stays."""
    if "rank" in values:
        return str(values["rank"])
    return " ".join(str(values.get(f"rank/{path}", "·")) for path in layers)
