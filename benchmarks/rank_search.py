"""Ranks found by search against one rank for all layers and against a budget of states.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.rank_search --write=docs/search.md

For each model, trials are made by random and then by Bayesian search; they score reduced models on
validation sequences, without training. For each number of states that a uniform rank takes, the
trial with the best validation score within it stands beside the uniform rank and
`compress_model(budget=...)`, on the test split. Given again, the command goes on where it was.
With `--write` the table replaces the one between the markers of the model's name in the file.
"""

import time

import numpy as np
from absl import app, flags
from rich.console import Console
from rich.table import Table

from benchmarks.documents import replace_between_markers, write_results

_MODELS = flags.DEFINE_list("models", ["smnist_n64", "lra_listops_n64"], "Names in the zoo.")
_RANKS = flags.DEFINE_list("ranks", "1 2 3 4 5 6 8 10 12 16 24 32".split(), "Modes to choose from.")
_UNIFORM = flags.DEFINE_list("uniform", ["2", "4", "8", "16"], "Uniform ranks to compare with.")
_TRIALS = flags.DEFINE_integer("trials", 60, "Trials of each model, half of them random.", 2)
_VALIDATION = flags.DEFINE_integer("validation", 1000, "Validation sequences that score a trial.")
_TEST = flags.DEFINE_integer("test", None, "Only so many test sequences (for a quick look).")
_CALIBRATION = flags.DEFINE_integer("calibration", 64, "Training sequences that measure Gramians.")
_WEIGHT = flags.DEFINE_float("size_weight", 0.2, "What all states are worth, in quality.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the search.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_WORK_DIR = flags.DEFINE_string("work_dir", "runs/rank_search", "Folder of the searches.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the figures, JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the tables.")

COLUMNS = ("uniform", "budget", "search")


class Comparison:
    """The ways to choose ranks for one model."""

    def __init__(self, name, say):
        import keras_dss
        from keras_dss.cli.sources import Data

        self.name, self.say = name, say
        self.card = keras_dss.zoo.card(name)
        self.model = keras_dss.zoo.load(name)
        self.data = Data(self.card["task"], _DATA_DIR.value)
        self.kind = self.data.kind
        self.calibration = self.data.load("train", _CALIBRATION.value)[0]

    def run(self):
        """Figures of the model, for JSON."""
        tuner = self._search()
        test = tuner.hypermodel.validation_batches(self.data.load("test", _TEST.value))
        original = self._score(self.model, test)
        self.say(f"{self.name}: {self._quality(original):.4f} on test")
        rows = []
        for rank in map(int, _UNIFORM.value):
            row = {"rank": rank, "uniform": self._reduced(test, rank=rank)}
            states = row["uniform"]["states"]
            row["budget"] = self._reduced(test, budget=states)
            row["search"] = self._found(tuner, states, test)
            rows.append(row)
            self.say(
                f"{self.name}, rank {rank}, {states:,} states: "
                + ", ".join(f"{way} {self._quality(row[way]):.4f}" for way in COLUMNS)
            )
        seconds = [trial["seconds"] for trial in tuner.ledger.trials]
        return {
            "kind": self.kind,
            "original": original,
            "rows": rows,
            "trials": len(seconds),
            "seconds_per_trial": float(np.median(seconds)),
            "validation": tuner.ledger.trials[0]["metrics"]["total"],
        }

    def _search(self):
        from keras_dss.tuner import CompressionTuner, RankHyperModel, make_oracle

        validation = self.data.load("validation", _VALIDATION.value)
        hypermodel = RankHyperModel(
            self.model, [int(rank) for rank in _RANKS.value], calibration=self.calibration,
            kind=self.kind, size_weight=_WEIGHT.value, batch_size=50,
        )  # fmt: skip
        project = f"{self.name}_{len(validation[0])}"
        for search, trials in (("random", _TRIALS.value // 2), ("bayesian", _TRIALS.value)):
            oracle = make_oracle(search, trials, seed=_SEED.value)
            tuner = CompressionTuner(
                oracle, hypermodel, directory=_WORK_DIR.value, project_name=project
            )
            began = time.monotonic()
            tuner.search(validation_data=validation, verbose=0)
            self.say(f"{self.name}, {search} search: {time.monotonic() - began:.0f} s")
        return tuner

    def _found(self, tuner, states, test):
        """The trial of the best validation score within a number of states, on test."""
        within = [t for t in tuner.ledger.trials if t["metrics"]["states"] <= states]
        if not within:
            return None
        best = max(within, key=lambda t: (t["metrics"]["quality"], -t["metrics"]["states"]))
        hp = tuner.oracle.get_space()
        hp.values = dict(best["values"])
        found = self._score(tuner.hypermodel.reduce(hp), test)
        return found | {"ranks": list(best["values"].values()), "validation": best["metrics"]}

    def _reduced(self, test, **how):
        import keras_dss

        began = time.monotonic()
        small, report = keras_dss.compress_model(
            self.model, **how, calibration=self.calibration, return_report=True
        )
        seconds = time.monotonic() - began
        ranks = [layer.rank_after for layer in report.layers]
        return self._score(small, test) | {"ranks": ranks, "seconds": seconds}

    def _score(self, model, test):
        from keras_dss import scoring, zoo

        return scoring.score(model, test, self.kind) | {"states": zoo.count_states(model)}

    def _quality(self, found):
        if found is None:
            return float("nan")
        return found["accuracy"] if "accuracy" in found else found["mse"]


def markdown(name, figures):
    """The table of one model as Markdown."""
    accuracy = "accuracy" in figures["original"]
    metric = "accuracy in %" if accuracy else "mean squared error"

    def cell(found):
        if found is None:
            return "-"
        value = f"{found['accuracy']:.2%}" if accuracy else f"{found['mse']:.4f}"
        return f"{value.rstrip('%')} ({' '.join(map(str, found['ranks']))})"

    original = figures["original"]
    value = f"{original['accuracy']:.2%}" if accuracy else f"MSE {original['mse']:.4f}"
    lines = [
        f"`{name}`, {value} on {original['total']:,} test sequences; {metric} after reduction, and "
        f"the ranks of its layers. {figures['trials']} trials on {figures['validation']:,.0f} "
        f"validation sequences, {figures['seconds_per_trial']:.0f} s each:",
        "",
        "| states | one rank for all layers | `budget=` | search |",
        "|---|---|---|---|",
    ]
    for row in figures["rows"]:
        states = f"{row['uniform']['states']:,}"
        lines.append(f"| {states} | " + " | ".join(cell(row[way]) for way in COLUMNS) + " |")
    return "\n".join(lines)


def main(_):
    console = Console()
    results = {}
    for name in _MODELS.value:
        results[name] = Comparison(name, console.print).run()
        table = Table("states", *COLUMNS, title=f"{name} on test")
        for row in results[name]["rows"]:
            cells = markdown(name, results[name] | {"rows": [row]}).splitlines()[-1]
            table.add_row(*(cell.strip() for cell in cells.strip("|").split("|")))
        console.print(table)
        if _WRITE.value:
            replace_between_markers(_WRITE.value, name, markdown(name, results[name]))
    module = flags.FLAGS.find_module_defining_flag("size_weight")
    own = flags.FLAGS.flags_by_module_dict()[module]
    content = {"flags": {flag.name: flag.value for flag in own}, "models": results}
    write_results(_RESULTS.value, "rank_search", content)


if __name__ == "__main__":
    app.run(main)
