"""`RankHyperModel`: the reduced models of one model, as a space of hyperparameters."""

import hashlib
import json
import math
import numbers
from collections.abc import Mapping

import keras
import keras_tuner
import numpy as np

from keras_dss import scoring, zoo
from keras_dss.compression.ranks import resolve_ranks
from keras_dss.datasets import Batches
from keras_dss.optimizers import DSSAdamW
from keras_dss.tuner.reductions import LayerReductions, count

BOUNDARIES = 3  # lengths that batches are cut to: each is compiled anew for each trial


class RankHyperModel(keras_tuner.HyperModel):
    """Reduced models with the ranks of their DSS layers as hyperparameters.

    Any tuner of keras-tuner takes it, with the objective `keras_dss.tuner.OBJECTIVE` or another
    metric that `fit` returns; `CompressionTuner` also resumes after a kill and frees the
    memory of each trial. Layers are reduced once for each rank. The hyperparameters are
    `rank/<path>` for each layer, or `rank` for all; `method`, `calibration` (sequences that measure
    the Gramians, 0 for exact ones) and `epochs` where there is a choice.

    The score of a trial is its quality less `size_weight` times the share of the states (or the
    parameters, the bytes) that are left. Quality is the accuracy on the validation data; for
    regression and language minus the loss, as a multiple of the loss of the original.

    Args:
        model: a built `keras.Model` with DSS layers at any depth. It stays as it is.
        ranks: modes to choose from, ints or fractions of the state size; or a mapping from layer
            names or paths to these, the other layers stay. Defaults to the powers of 2 up to the
            state size.
        per_layer: whether each layer has a rank of its own, or all have the same.
        method: a name in `keras_dss.compression.METHODS`, or several to choose from.
        calibration: unlabelled inputs, an array or a list or dict of arrays; None for exact
            Gramians.
        calibration_examples: how many of them measure the Gramians, or several numbers to choose
            from; all by default.
        horizon, refit: as `keras_dss.compress_model` takes them.
        epochs: of fine-tuning, or several numbers to choose from; 0 scores without training.
        kind: of the task, see `keras_dss.scoring`.
        size_weight: what all of the size is worth, in units of quality.
        size: `"states"`, `"parameters"` or `"bytes"`.
        learning_rate, logits: of the training, and whether the model gives logits.
        compile_model: function that compiles a model for its training, instead of `DSSAdamW` at
            `learning_rate` on the loss of the kind.
        batch_size: sequences at a time. seed: of Keras in each trial, and of the training's order.

    Raises:
        TypeError, ValueError: for options that do not fit the model.

    Example:

    >>> import keras_tuner
    >>> from keras_dss.models import DSSClassifier
    >>> model = DSSClassifier(10, features=4, num_blocks=2, state_size=8, channels=1)
    >>> hypermodel = RankHyperModel(model, ranks=[2, 4, 8])
    >>> hp = keras_tuner.HyperParameters()
    >>> hp.values["rank/block_1/ssm_1"] = 2
    >>> small = hypermodel.build(hp)
    >>> hp.values
    {'rank/block_1/ssm_1': 2, 'rank/block_0/ssm_0': 8}
    """

    def __init__(
        self, model, ranks=None, *, per_layer=True, method="balanced", calibration=None,
        calibration_examples=None, horizon=None, refit=None, epochs=0, kind="classification",
        size_weight=0.0, size="states", learning_rate=1e-3, logits=True, compile_model=None,
        batch_size=32, seed=0,
    ):  # fmt: skip
        super().__init__()
        self.model, self.per_layer, self.kind = model, per_layer, kind
        self.size_weight, self.size, self.seed = size_weight, size, seed
        self.learning_rate, self.logits = learning_rate, logits
        self.compile_model, self.batch_size = compile_model, batch_size
        self.methods = _choices("method", method, str)
        self.epochs = _choices("epochs", epochs, numbers.Integral, lambda n: n >= 0)
        scoring.metric_name(kind)
        if size not in ("states", "parameters", "bytes"):
            raise ValueError(
                f"`size` must be 'states', 'parameters' or 'bytes'. Received: size={size!r}"
            )
        self.reductions = LayerReductions(
            model, calibration, horizon=horizon, refit=refit, seed=seed, batch_size=batch_size
        )
        for name in self.methods:
            self.reductions.check(name)
        self.calibrated = [name for name in self.methods if self.reductions.uses_inputs(name)]
        self.examples = _examples(calibration, calibration_examples, self.calibrated)
        self.ranks = _ranks(self.reductions.layers, ranks, per_layer)
        self.original = None
        self.full = _sizes(model)

    def choose(self, hp):
        """The hyperparameters of one model: `(ranks, method, examples)`, see `LayerReductions`."""
        if self.per_layer:
            ranks = {
                path: hp.Choice(f"rank/{path}", values, default=max(values))
                for path, values in self.ranks.items()
            }
        else:
            rank = hp.Choice("rank", self.ranks, default=max(self.ranks))
            ranks = _for_all(self.reductions.layers, rank)
        method = _choose(hp, "method", self.methods)
        examples = self.examples[0]
        if len(self.examples) > 1:
            if len(self.calibrated) == len(self.methods):
                examples = hp.Choice("calibration", self.examples)
            else:
                with hp.conditional_scope("method", self.calibrated):
                    if method in self.calibrated:
                        examples = hp.Choice("calibration", self.examples)
        return ranks, method, examples

    def reduce(self, hp):
        """A new model, uncompiled; the same for the same hyperparameters, whatever came before."""
        keras.utils.set_random_seed(self.seed)  # seeds of dropout
        return self.reductions.build(*self.choose(hp))

    def build(self, hp):
        """A new model, compiled."""
        _choose(hp, "epochs", self.epochs)
        model = self.reduce(hp)
        if self.compile_model is not None:
            self.compile_model(model)
        else:
            optimizer = DSSAdamW(
                self.learning_rate, weight_decay=0.05, ssm_learning_rate_scale=0.25,
                step_learning_rate_scale=0.25, global_clipnorm=1.0,
            )  # fmt: skip
            model.compile(optimizer, scoring.make_loss(self.kind, logits=self.logits))
        return model

    def fit(
        self, hp, model, x=None, y=None, *, validation_data, epochs=None, initial_epoch=0,
        callbacks=None, verbose=0,
    ):  # fmt: skip
        """Trains a model if there are epochs for it, and scores it.

        Args:
            hp: its hyperparameters. model: of `build`; left with the weights that validated best,
                those from before the training among them.
            x, y: arrays to train on, or batches `x` alone.
            validation_data: arrays `(x, y)`, or batches of such pairs.
            epochs: the last one, `initial_epoch` the first; those of `hp` if None.
            callbacks, verbose: of `keras.Model.fit`.

        Raises:
            keras_tuner.errors.FailedTrialError: for outputs that are not finite without training.
            ValueError: for epochs without data to train on.

        Returns:
            dict of floats: `score`, `quality`, `states`, `parameters`, `bytes`, `epochs` (that were
            trained until the best weights) and the metrics of `keras_dss.scoring.score`.
        """
        epochs = _choose(hp, "epochs", self.epochs) if epochs is None else epochs
        validation = self.validation_batches(validation_data)
        if epochs > initial_epoch and x is None:
            raise keras_tuner.errors.FatalValueError(  # which keras-tuner does not try again
                f"Expected data to train on for {epochs} epochs. Received: none"
            )
        if self.original is None:
            self.original = self.measure(self.model, validation)
        keras.utils.set_random_seed(self.seed + initial_epoch)
        best, weights = self.measure(model, validation), model.get_weights()
        if not np.isfinite(scoring.loss_of(best)):
            raise keras_tuner.errors.FailedTrialError(
                f"Expected finite outputs. Received: a loss of {scoring.loss_of(best)}"
            )
        best_epoch = initial_epoch
        train = self._training_batches(x, y, initial_epoch)
        for epoch in range(initial_epoch, epochs):
            model.fit(
                train, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=verbose,
                callbacks=callbacks,
            )  # fmt: skip
            found = self.measure(model, validation)
            finite = np.isfinite(scoring.loss_of(found))  # NaN may have the right answers
            if finite and scoring.rank(found) > scoring.rank(best):
                best, weights, best_epoch = found, model.get_weights(), epoch + 1
        model.set_weights(weights)
        best |= {"epochs": float(best_epoch)}
        for callback in callbacks or ():  # by which keras-tuner keeps the weights of a trial
            if isinstance(getattr(callback, "objective", None), keras_tuner.Objective):
                callback.set_model(model)
                callback.on_epoch_end(best_epoch, best)
        return best

    def measure(self, model, validation):
        """Score, quality, sizes and metrics of a model, as floats."""
        metrics = scoring.score(model, validation, self.kind)
        sizes = _sizes(model)
        if self.kind in ("classification", "pairs"):
            quality = metrics["accuracy"]
        else:
            whole = metrics if model is self.model else self.original
            quality = -scoring.loss_of(metrics) / scoring.loss_of(whole)
        score = quality - self.size_weight * sizes[self.size] / self.full[self.size]
        found = {"score": score, "quality": quality} | sizes | metrics
        return {name: float(value) for name, value in found.items()}

    def validation_batches(self, data):
        """Batches of pairs that can be gone through repeatedly."""
        if isinstance(data, tuple):
            return Batches(*data, self.batch_size, shuffle=False, boundaries=BOUNDARIES)
        return data

    def subject(self):
        """What the scores depend on beside the hyperparameters, as strings."""
        weights = hashlib.sha256()
        for value in self.model.get_weights():
            weights.update(np.ascontiguousarray(value).tobytes())
        calibration = hashlib.sha256()
        if any(self.examples):
            for array in _arrays(self.reductions.calibration):
                calibration.update(np.ascontiguousarray(array[: max(self.examples)]).tobytes())
        options = {
            "kind": self.kind, "size_weight": self.size_weight, "size": self.size,
            "learning_rate": self.learning_rate, "batch_size": self.batch_size, "seed": self.seed,
            "epochs": self.epochs, "method": self.methods, "examples": self.examples,
            "horizon": self.reductions.horizon, "refit": self.reductions.refit,
        }  # fmt: skip
        return {
            "model": weights.hexdigest()[:16],
            "calibration": calibration.hexdigest()[:16],
            "options": json.dumps(options, default=str),
        }

    def _training_batches(self, x, y, epoch):
        if y is None:
            return x
        return Batches(
            x, y, min(self.batch_size, len(x)), seed=self.seed, epoch=epoch,
            boundaries=BOUNDARIES, drop_remainder=True,
        )  # fmt: skip


def _choose(hp, name, values):
    return hp.Choice(name, values) if len(values) > 1 else values[0]


def _choices(name, given, kind, valid=lambda value: True):
    values = [given] if isinstance(given, (str, numbers.Number)) else list(given)
    if not values or not all(isinstance(value, kind) and valid(value) for value in values):
        raise ValueError(f"`{name}` must be one value or several. Received: {name}={given!r}")
    return values


def _examples(calibration, given, calibrated):
    """How many calibration sequences there are to choose from."""
    if calibration is None and given is None:
        return [0]
    if calibration is None or not calibrated:
        raise ValueError(
            "Calibration needs inputs, and a method that uses them. Received: "
            + ("no inputs" if calibration is None else "methods that use none")
        )
    most = count(calibration)
    found = _choices("calibration_examples", most if given is None else given, numbers.Integral)
    if not all(0 <= examples <= most for examples in found):
        raise ValueError(
            f"Expected `calibration_examples` of 0 to {most}, as many as were given. "
            f"Received: calibration_examples={given!r}"
        )
    return found


def _ranks(layers, given, per_layer):
    """Modes to choose from: dict from paths to ascending ints, or one list for all layers."""
    sizes = {path: layer.state_size for path, layer in layers.items()}
    if given is None:
        largest = max(sizes.values())
        given = sorted({2**n for n in range(largest.bit_length())} | {largest})
    if not per_layer:
        if isinstance(given, Mapping):
            raise ValueError(f"A mapping of `ranks` needs per_layer=True. Received: {given!r}")
        values = sorted(_choices("ranks", given, numbers.Real))
        for value in values:
            _for_all(layers, value)
        return values
    if not isinstance(given, Mapping):
        values = _choices("ranks", given, numbers.Real)
        if min(values) > max(sizes.values()):
            raise ValueError(
                f"Expected `ranks` of at most {max(sizes.values())}, the largest state size. "
                f"Received: ranks={given!r}"
            )
        fitting = {path: [v for v in values if v <= size] for path, size in sizes.items()}
        given = {path: values for path, values in fitting.items() if values}
    found = {}
    for name, values in given.items():
        for value in _choices("ranks", values, numbers.Real):
            for path, rank in resolve_ranks(layers, {name: value}).items():
                if rank is not None:
                    found.setdefault(path, set()).add(rank)
    return {path: sorted(values) for path, values in found.items()}


def _for_all(layers, rank):
    """One rank for layers of any state size; a smaller layer stays as it is."""
    whole = isinstance(rank, numbers.Integral)
    ranks = {path: min(rank, x.state_size) if whole else rank for path, x in layers.items()}
    return resolve_ranks(layers, ranks)


def _sizes(model):
    return {
        "states": zoo.count_states(model),
        "parameters": model.count_params(),
        "bytes": sum(
            math.prod(weight.shape) * np.dtype(weight.dtype).itemsize for weight in model.weights
        ),
    }


def _arrays(inputs):
    if isinstance(inputs, dict):
        return [np.asarray(inputs[name]) for name in sorted(inputs)]
    return [np.asarray(a) for a in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
