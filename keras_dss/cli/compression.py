"""The stages of `keras-dss compress`, and what they leave."""

import dataclasses
import datetime
import shlex

import keras
import numpy as np
from rich import box
from rich.table import Table

from keras_dss import zoo
from keras_dss.cli import scoring, training
from keras_dss.cli.console import print_table, set_seeds
from keras_dss.cli.evaluate import baseline_cells, metric_cells, metric_names
from keras_dss.cli.files import relative_to, replacing, write_json
from keras_dss.cli.progress import clock
from keras_dss.compression import Budget, compress_model
from keras_dss.compression.methods import check_method
from keras_dss.compression.ranks import resolve_ranks
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.compression.sensitivity import layer_costs
from keras_dss.datasets import Batches
from keras_dss.hardware import hardware
from keras_dss.scoring import are_probabilities, say, score

SEQUENCES_PER_SECOND = 200  # of training data to have for every second of training
CALIBRATION_BATCH = 8
TITLES = {"original": "original", "reduced": "reduced", "trained": "reduced + trained"}


class Compression:
    """One compression.

    Args:
        source: the `Source` of the model. model: the model. data: `Data` of its task, or None.
        values: the flags. target: what is asked for, out of them: `{"rank": ...}` or the like.
        arguments: the command line.
        stages: the `Stages` that time and show it.

    Raises:
        ValueError: for a model without DSS layers, ranks or data that do not fit it.
    """

    def __init__(self, source, model, data, values, target, arguments, stages):
        self.source, self.data, self.stages = source, data, stages
        self.values, self.arguments = values, arguments
        self.models, self.test = {"original": model}, {}
        self.report = self.training = self.timing = self.missing = None
        self.milliseconds = {}
        self.target = self._checked(model, target)
        if data:
            data.check_model(model)

    def _checked(self, model, target):
        """The target in terms of `compress_model`, if it fits the model."""
        values, layers = self.values, find_dss_layers(model)
        method = check_method(
            values.method,
            values.calibrate,
            values.horizon,
            values.refit,
            compared="budget" in target,
        )
        if "rank" in target:
            ranks = resolve_ranks(layers, target["rank"])
            if all(ranks[path] in (None, layer.state_size) for path, layer in layers.items()):
                raise ValueError(_unchanged(f"rank {target['rank']}", len(layers)))
        elif "budget" in target:
            target = {"budget": Budget(**{values.budget_of: target["budget"]})}
            layer_costs(model, layers, target["budget"], method.eigenvalues)
        return target

    def run(self, paths, out):
        """Does all stages, prints the tables, and leaves the three files."""
        set_seeds(self.values.seed)
        splits = self._read()
        self._evaluate("original", splits)
        self._reduce(splits)
        self._evaluate("reduced", splits)
        if self.values.train_minutes:
            self._train(splits)
            self._evaluate("trained", splits)
        self._time(splits)
        with replacing([*paths[1:], paths[0]]) as (json_path, picture, model_path):
            with self.stages.stage("write", "Writing"):
                list(self.models.values())[-1].save(model_path)
                self.report.plot(picture)
            write_json(json_path, self.to_dict(paths))
        for table in (self.table(), self.report.table()):
            out.print()
            print_table(out, table)
        out.print()
        out.print("\n".join(self.notes()), soft_wrap=True)
        for path, what in zip(paths, ("model", "report", "picture"), strict=True):
            out.print(f"{what:8} {path}", soft_wrap=True)

    def _read(self):
        """Arrays of the splits that are needed, by their names."""
        if not self.data:
            return {}
        wanted = {"test": None}
        if self.values.train_minutes:
            count = round(60 * SEQUENCES_PER_SECOND * self.values.train_minutes)
            count = max(count, self.values.batch_size, self.values.calibration_examples)
            wanted |= {"validation": None, "train": count}
        elif self.values.calibrate:
            wanted["train"] = self.values.calibration_examples
        with self.stages.stage("data", "Reading data") as bar:
            try:
                splits = {name: self.data.load(name, count) for name, count in wanted.items()}
            except FileNotFoundError as error:
                if len(wanted) > 1:  # without a test, a model is reduced all the same
                    raise
                self.data, self.missing = None, str(error)
                bar.result = "none: the accuracy is not measured"
                return {}
            sizes = ", ".join(f"{len(x):,} {name}" for name, (x, _) in splits.items())
            bar.result = f"{sizes} ({self.data.origin})"
        self.sizes = {name: len(x) for name, (x, _) in splits.items()}
        return splits

    def _evaluate(self, name, splits):
        if not splits:
            return
        batches = scoring.evaluation_batches(*splits["test"])
        total = len(splits["test"][0])
        with self.stages.stage(f"evaluate {name}", f"Evaluating {TITLES[name]}", total) as bar:
            self.test[name] = score(self.models[name], batches, self.data.kind, bar.advance)
            bar.result = say(self.test[name])

    def _reduce(self, splits):
        calibration, total = None, None
        if self.values.calibrate:
            x = splits["train"][0][: self.values.calibration_examples]
            calibration, total = Batches(x, batch_size=CALIBRATION_BATCH, shuffle=False), len(x)
        with self.stages.stage("reduce", "Reducing", total) as bar:
            self.models["reduced"], self.report = compress_model(
                self.models["original"],
                **self.target,
                method=self.values.method,
                refit=self.values.refit,
                horizon=self.values.horizon,
                seed=self.values.seed,
                calibration=calibration and self._watched(calibration, bar),
                return_report=True,
            )
            reduced = [layer for layer in self.report.layers if layer.reason is None]
            bar.result = f"{len(reduced)} of {len(self.report.layers)} layers"
        if not reduced:
            raise ValueError(_unchanged(self.report.target, len(self.report.layers)))

    def _watched(self, batches, bar):
        """The inputs for calibration, with the bar's progress."""
        for (inputs,) in batches:
            yield inputs
            bar.advance(len(inputs))
        self.stages.seconds["calibrate"] = bar.seconds
        bar.show(None, "systems and their errors")

    def _train(self, splits):
        values, minutes = self.values, self.values.train_minutes
        validation = scoring.evaluation_batches(*splits["validation"])
        twin = _copy(self.models["reduced"])  # compiled; the model that is saved is not
        classes = self.data.kind != "regression"
        logits = not (classes and are_probabilities(twin.predict_on_batch(validation[0][0])))
        with self.stages.stage("train", "Training", 60.0 * minutes) as bar:

            def report(seconds, result, loss):
                rate = result.sequences / max(seconds, 1e-9)
                bar.show(
                    seconds,
                    f"{clock(60.0 * minutes - seconds)} left  step {result.steps:,}  "
                    f"loss {loss:.3f}  {rate:.0f} sequences/s",
                )

            def validated(row):
                self.stages.say(f"  validation {say(row)} after {row['step']:,} steps")

            result = training.train(
                twin,
                splits["train"],
                validation,
                minutes,
                learning_rate=values.learning_rate,
                batch_size=values.batch_size,
                seed=values.seed,
                kind=self.data.kind,
                logits=logits,
                report=report,
                phase=lambda text: bar.show(0.0, text),
                validated=validated,
            )
            bar.result = f"{result.steps:,} steps, {result.sequences:,} sequences"
        self.training = result
        self.models["trained"] = _copy(self.models["reduced"], twin.get_weights())

    def _time(self, splits):
        if not splits:
            return
        batch = scoring.timing_batch(splits["test"][0])
        total = scoring.TIMED_CALLS * len(self.models)
        with self.stages.stage("time", "Timing", total) as bar:
            self.milliseconds = scoring.milliseconds(self.models, batch, bar.advance)
        self.timing = {
            "sequences": len(batch), "length": steps_of(batch), "calls": scoring.TIMED_CALLS,
            "statistic": "quartiles over calls of the time of a call, by the sequences in it",
        }  # fmt: skip

    def table(self):
        """The models beside each other."""
        test = f"{next(iter(self.test.values()))['total']:,} test sequences" if self.test else ""
        title = f"{self.source.name}, {self.report.target}{test and ', on '}{test}"
        table = Table(box=box.SIMPLE_HEAD, title=title)
        metrics = metric_names(next(iter(self.test.values()))) if self.test else []
        for name in ("model", *metrics, "parameters", "states", "ms per sequence"):
            table.add_column(name.replace("_", " "), justify="left" if name == "model" else "right")
        for name, model in self.models.items():
            test, ms = self.test.get(name), self.milliseconds.get(name)
            table.add_row(
                TITLES[name],
                *(metric_cells(test)[:-1] if test else ()),
                f"{model.count_params():,}",
                f"{zoo.count_states(model):,}",
                "{1:.2f} ({0:.2f} to {2:.2f})".format(*ms) if ms else "",
            )
        for name, value in self._baselines().items():
            table.add_row(f"baseline: {name}", *baseline_cells(name, value, metrics))
        if self.timing:
            sequences, length, calls, _ = self.timing.values()
            table.caption = (
                f"time: median (quartiles) of {calls} calls of {sequences} sequences of "
                f"{length:,} steps"
            )
        return table

    def _baselines(self):
        """What the card says of answers that take no model."""
        return self.source.card["baselines"] if self.source.card and self.test else {}

    def notes(self):
        """What the tables do not say, in sentences."""
        card, result = self.source.card, self.training
        if self.missing:
            yield f"No accuracy was measured: {self.missing}"
        elif not self.data:
            yield "No accuracy was measured: --task names the task of a file."
        elif card:
            yield f"The card of {self.source.name} says {say(card['metrics']['test'])}."
        if result is None:
            return
        if result.diverged:
            yield (
                f"The loss was not finite after {result.steps:,} steps: "
                f"try a --learning_rate below {self.values.learning_rate:g}."
            )
        rows = {row["step"]: row for row in reversed(result.history)}
        chosen = say(rows[result.best_step])
        if result.best_step:
            yield f"Validation chose the weights after {result.best_step:,} steps: {chosen}."
        else:
            yield f"Validation chose the weights from before the training: {chosen}."

    def to_dict(self, paths):
        """Everything that is printed, and how it came about."""
        flags = self.values.flag_values_dict()
        models = {
            name: {
                "parameters": model.count_params(),
                "states": zoo.count_states(model),
                "test": self.test.get(name),
                "milliseconds_per_sequence": ms and ms[1],
                "milliseconds_quartiles": ms,
            }
            for name, model in self.models.items()
            for ms in [self.milliseconds.get(name)]
        }
        card = self.source.card
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
            "task": self.data and self.data.task,
            "data": self.data and {"origin": self.data.origin, "examples": self.sizes},
            "rank": self.target.get("rank"),
            "target": self.report.target,
            "flags": {name: value for name, value in flags.items() if name != "debug"},
            "models": models,
            "baselines": self._baselines(),
            "timing": self.timing,
            "training": self.training and dataclasses.asdict(self.training),
            "compression": self.report.to_dict(),
            "notes": list(self.notes()),
            "seconds": self.stages.seconds,
            "backend": keras.backend.backend(),
            "versions": zoo.versions(),
            "hardware": hardware(),
            "files": {"model": paths[0].name, "report": paths[1].name, "picture": paths[2].name},
        }


def steps_of(batch):
    """Steps of a batch of tokens (B, L) or (B, 2, L), or of numbers (B, L, C)."""
    return batch.shape[-1] if np.issubdtype(batch.dtype, np.integer) else batch.shape[1]


def _unchanged(target, layers):
    return (
        f"Expected what reduces one layer at least. Received: {target}, with which all {layers} "
        "stay as they are"
    )


def _copy(model, weights=None):
    """The model anew from its configuration, with its weights or with others."""
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    twin.set_weights(model.get_weights() if weights is None else weights)
    return twin
