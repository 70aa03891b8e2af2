"""Scores of a published model after reduction, without training: every method, modes kept.

    KERAS_DSS_DATA_DIR=... python -m benchmarks.reduction_methods --model=smnist_n64 \
        --write=docs/compression.md

Every entry is the score on the whole test set: accuracy, or the mean squared error of forecasts.
Methods that use measured inputs get unlabelled training sequences, three draws of them; the random
choice of modes is drawn three times too. Each entry is written to `--results` as soon as it is
there, and entries that are there for the same model are not computed again: a run that was killed
goes on where it was. With `--write` the tables and the picture take the place of those between the
markers `<!-- NAME -->` and `<!-- /NAME -->` of the file; `--limit` is for a quick look, its results
are files of their own and never written to a document.
"""

import functools
import importlib
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from rich.console import Console

from benchmarks import reduction_tables
from benchmarks.documents import replace_between_markers, write_results

METHODS = {
    "random modes": {"method": "random"},
    "modal, H-infinity score (LAST)": {"method": "modal_hinf"},
    "modal, H2 energy (AIRE-Prune)": {"method": "modal"},
    "modal, residues refitted in H2": {"method": "modal_refit"},
    "balanced, complex modes only": {"method": "complex"},
    "singular perturbation": {"method": "singular_perturbation"},
    "balanced, real system": {"method": "balanced"},
    "balanced, finite horizon": {"method": "finite_horizon", "horizon": "length"},
    "H2-optimal": {"method": "h2_optimal"},
    "shared eigenvalues": {"method": "shared"},
    "modal, residues refitted on inputs": {"method": "modal", "refit": "calibration"},
    "singular perturbation, measured inputs": {"method": "singular_perturbation", "inputs": True},
    "shared eigenvalues, measured inputs": {"method": "shared", "inputs": True},
    "balanced, measured inputs": {"method": "balanced", "inputs": True},
    "the same, residues refitted": {"method": "balanced", "refit": "calibration"},
    "H2-optimal, measured inputs": {"method": "h2_optimal", "inputs": True},
}
BATCH_SIZE, BOUNDARIES = 100, 32  # of the test set: examples, lengths that batches are cut to
SIZED = ("balanced, measured inputs", "H2-optimal, measured inputs")

_MODEL = flags.DEFINE_string("model", "smnist_n64", "Name in the zoo.")
_RANKS = flags.DEFINE_list("ranks", ["32", "16", "8", "4", "2", "1"], "Modes to keep.")
_METHODS = flags.DEFINE_multi_enum("method", None, list(METHODS), "Only these (repeat the flag).")
_CALIBRATION = flags.DEFINE_integer("calibration", 32, "Training sequences that are measured.")
_SIZES = flags.DEFINE_list("sizes", ["8", "16", "32", "64", "128", "256"], "Numbers of sequences.")
_SIZE_RANK = flags.DEFINE_integer("size_rank", 4, "Modes kept where those numbers are compared.")
_DRAWS = flags.DEFINE_integer("draws", 3, "Draws of sequences and of random modes.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only so many test examples.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data; KERAS_DSS_DATA_DIR if unset.")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "Folder of the results as JSON.")
_WRITE = flags.DEFINE_string("write", None, "Markdown file that holds the tables.")


class Experiment:
    """A published model with its data, and what was measured on it so far.

    Args:
        name: in the zoo. limit: test examples, None for all. data_dir, results: folders.
    """

    def __init__(self, name, limit, data_dir, results):
        import keras_dss
        from keras_dss.compression.rebuild import find_dss_layers

        card = keras_dss.zoo.card(name)
        task = importlib.import_module(f"keras_dss.datasets.{card['task']}")
        self.kind = task.KIND
        x, y = task.load("test", data_dir)
        self.test = x[:limit], y[:limit]
        self.train = task.load("train", data_dir)[0]
        self.length = x.shape[1]
        self.model = keras_dss.zoo.load(name)
        self.layers = find_dss_layers(self.model)
        self.systems = {path: layer.to_system() for path, layer in self.layers.items()}
        self.scored = FixedKernels(keras_dss.zoo.load(name), self.length)
        self.inputs = functools.cache(self._inputs)
        self.file = f"reduction_methods_{name}" + (f"_{limit}" if limit else "")
        self.folder = results
        self.content = {
            "model": name,
            "weights": card["files"]["model.weights.h5"],
            "kind": self.kind,
            "total": len(self.test[0]),
        }
        path = Path(results) / f"{self.file}.json"
        found = reduction_tables.read(path) if path.exists() else {}
        same = all(found.get(key) == value for key, value in self.content.items())
        self.content["entries"] = found["entries"] if same else []

    def score(self, label, rank, count=0, draw=0):
        """The entry of a method at a rank, computed where it is not there yet."""
        key = {"method": label, "rank": rank, "sequences": count, "draw": draw}
        for entry in self.content["entries"]:
            if all(entry[name] == value for name, value in key.items()):
                return entry
        began = time.monotonic()
        for path, layer in self.layers.items():
            if rank:
                layer = self._reduced(path, METHODS[label], rank, count, draw)
            self.scored.assign(path, layer)
        entry = key | self._measure() | {"seconds": round(time.monotonic() - began, 1)}
        self.content["entries"].append(entry)
        write_results(self.folder, self.file, self.content)
        return entry

    def _reduced(self, path, options, rank, count, draw):
        """The layer that `compress_model` would put in the place of one."""
        from keras_dss.compression.methods import reduce_layer

        layer = self.layers[path]
        options = {key: value for key, value in options.items() if key != "inputs"}
        if options.get("horizon") == "length":
            options["horizon"] = self.length
        if count:
            options["inputs"] = self.inputs(count, draw)[path]
        found = reduce_layer(path, layer, self.systems[path], rank, seed=draw, **options)
        small = type(layer).from_config(found.config(layer))
        small.build((None, None, layer.log_dt.shape[0]))
        return small

    def _inputs(self, count, draw):
        from keras_dss.compression.calibration import measure_inputs

        order = np.random.default_rng(draw).permutation(len(self.train))
        given = self.train[order[:count]]
        return measure_inputs(self.model, self.layers, self.systems, given, 32)

    def _measure(self):
        from keras_dss import scoring
        from keras_dss.datasets import Batches

        batches = Batches(*self.test, BATCH_SIZE, shuffle=False, boundaries=BOUNDARIES)
        metrics = scoring.score(self.scored.model, batches, self.kind)
        return {key: metrics[key] for key in ("accuracy", "mse", "loss") if key in metrics}


class FixedKernels:
    """A model whose DSS layers take impulse responses that are given: it is traced only once.

    Args:
        model: a built model. length: of all its inputs, the most that a layer sees.
    """

    def __init__(self, model, length):
        import keras

        from keras_dss.compression.outputs import give_kernel
        from keras_dss.compression.rebuild import find_dss_layers

        if keras.backend.backend() == "jax":
            raise ValueError(
                "Expected TensorFlow or torch, which see variables change. Received: jax"
            )
        self.model, self.length, self.taps = model, length, {}
        self.layers = find_dss_layers(model)
        for path, layer in self.layers.items():
            taps = keras.Variable(layer.kernel(length), trainable=False)
            self.taps[path] = taps
            give_kernel(layer, lambda length, taps=taps: taps.value[..., :length])

    def assign(self, path, layer):
        """Let the layer at a path compute what another one does."""
        self.taps[path].assign(layer.kernel(self.length))
        self.layers[path].D.assign(layer.D)


def main(_):
    console = Console()
    experiment = Experiment(_MODEL.value, _LIMIT.value, _DATA_DIR.value, _RESULTS.value)
    ranks, draws = [int(rank) for rank in _RANKS.value], range(_DRAWS.value)

    def show(label, rank, count=0, draw=0):
        entry = experiment.score(label, rank, count, draw)
        value = entry.get("accuracy", entry.get("mse"))
        console.print(f"{label}, {rank} modes, {count} sequences, draw {draw}: {value:.4f}")

    show("original", 0)
    for label in _METHODS.value or METHODS:
        options = METHODS[label]
        measured = options.get("inputs") or options.get("refit") == "calibration"
        drawn = measured or options["method"] == "random"
        for draw in draws if drawn else [0]:
            for rank in ranks:
                show(label, rank, _CALIBRATION.value if measured else 0, draw)
    for label in SIZED if not _METHODS.value else []:
        for count in map(int, _SIZES.value):
            for draw in draws:
                show(label, _SIZE_RANK.value, count, draw)
    found = reduction_tables.Tables(experiment.content, list(METHODS), _CALIBRATION.value)
    console.print(found.rich())
    if _WRITE.value and not _LIMIT.value:
        name = _MODEL.value
        text = found.markdown()
        if len(found.ranks) > 1:
            picture = Path(_WRITE.value).parent / f"reduction_{name}.png"
            found.plot(picture)
            text += f"\n\n![{name} after reduction]({picture.name})"
        replace_between_markers(_WRITE.value, name, text)


if __name__ == "__main__":
    app.run(main)
