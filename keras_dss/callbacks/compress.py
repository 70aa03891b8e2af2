"""Reduction of DSS layers while a model trains."""

import dataclasses
import numbers
from collections.abc import Iterator

import keras
import numpy as np

from keras_dss.callbacks.exchange import exchange_layers
from keras_dss.compression.calibration import check_batch_size, measure_inputs
from keras_dss.compression.methods import METHODS, check_method, reduce_layer
from keras_dss.compression.rebuild import find_configured, find_dss_layers

UNITS = ("epoch", "batch")


@dataclasses.dataclass(frozen=True)
class Reduction:
    """One layer reduced during training.

    Attributes:
        epoch, step: when: the epoch that follows, counted from 0, and the batches trained before.
        path: of the layer.
        rank_before, rank_after: modes of each feature.
        tail: dropped share of the sum of squares of the layer's Hankel singular values.
    """

    epoch: int
    step: int
    path: str
    rank_before: int
    rank_after: int
    tail: float


class CompressDuringTraining(keras.callbacks.Callback):
    """Reduces the DSS layers of a model during `fit` as far as their Hankel tails allow, in place.

    At the times of the schedule, every DSS layer is reduced to the fewest modes r for which the
    energy of its Hankel singular values that is dropped, over all its features,

        tail(r) = sum_h sum_{k > order_h(r)} sigma_hk^2 / sum_h sum_k sigma_hk^2,

    is at most `tolerance`. The model, its layers and its optimizer stay the same objects: `fit`
    goes on with a smaller model, which saves and loads like any other. Epochs' logs hold `states`,
    the modes of all features and layers.

    The optimizer keeps its count of iterations and its learning rate, and bit for bit the state of
    all weights that were not reduced. Moments of a reduced layer belong to modes that are no more.
    First moments begin at zero; second moments are carried over to the new modes as the energy of
    the gradient in their directions (see `keras_dss.callbacks.moments`), since zeros would make
    Adam's steps several times too long. If a reduction fails, the model is as before it.

    Args:
        tolerance: largest `tail`, 0 < tolerance < 1.
        start, stop, every: reduce before the epochs (or batches) start, start + every, ... up to
            but not including stop, counted from 0; None never stops.
        unit: `"epoch"` or `"batch"`. Each reduction compiles the training step anew.
        min_rank: modes that every layer keeps at least.
        min_saving: layers are left alone for a smaller share of modes than this.
        method: one of `keras_dss.compression.METHODS`.
        calibration: unlabelled inputs of the model that measure the controllability Gramians, as in
            `keras_dss.compress_model`, but no iterator, which could be gone through only once; the
            Hankel values are then those of the measured Gramian.
        horizon: number of steps that count, for methods that take one; None for all.
        batch_size: sequences at a time while measuring, for calibration given as arrays; by default
            as many as pass a layer fast, at most 32.
        verbose: 1 prints a line for each reduction.

    Attributes:
        reductions: list of `Reduction`, of all layers that were reduced.

    Raises:
        ValueError: for arguments out of range, and at the start of training for the optimizer Muon,
            for a model without DSS layers, or one whose configuration does not hold them (a class
            that makes its layers itself): it could not be saved. Such a model can be reduced
            between two calls of `fit`, with `keras_dss.compress_model`.

    Callbacks that bring back former weights (`EarlyStopping(restore_best_weights=True)`,
    `BackupAndRestore`) do not fit a model whose shapes have changed since.

    Example:

    >>> from keras_dss.models import DSSClassifier
    >>> model = DSSClassifier(2, features=4, num_blocks=1, state_size=8)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> callback = CompressDuringTraining(tolerance=0.1)
    >>> x, y = np.random.normal(size=(4, 10, 1)), np.arange(4) % 2
    >>> states = model.fit(x, y, epochs=2, callbacks=[callback], verbose=0).history["states"]
    >>> states[0] > states[1]
    True

    Source: Chahine, Nazari, Rus and Rusch, arXiv 2510.02823, reduce layers during training by
    balanced truncation, and begin with a new optimizer.
    """

    def __init__(
        self,
        tolerance=0.01,
        *,
        start=1,
        stop=None,
        every=1,
        unit="epoch",
        min_rank=1,
        min_saving=0.1,
        method="balanced",
        calibration=None,
        horizon=None,
        batch_size=None,
        verbose=0,
    ):
        super().__init__()
        if not _is_number(tolerance, numbers.Real) or not 0.0 < tolerance < 1.0:
            raise ValueError(f"`tolerance` must be in (0, 1). Received: tolerance={tolerance!r}")
        if not _is_number(min_saving, numbers.Real) or not 0.0 <= min_saving < 1.0:
            raise ValueError(f"`min_saving` must be in [0, 1). Received: min_saving={min_saving!r}")
        if unit not in UNITS:
            raise ValueError(f"`unit` must be one of {UNITS}. Received: unit={unit!r}")
        counts = [("start", start, 0), ("every", every, 1), ("min_rank", min_rank, 1)]
        optional = [("stop", stop, 0), ("horizon", horizon, 1)]
        for name, value, least in counts + [count for count in optional if count[1] is not None]:
            if not _is_number(value, numbers.Integral) or value < least:
                raise ValueError(
                    f"`{name}` must be an integer of at least {least}. Received: {name}={value!r}"
                )
        if isinstance(calibration, Iterator):
            raise ValueError(
                "`calibration` must be arrays or a data set that can be gone through repeatedly. "
                f"Received: an iterator, {type(calibration).__name__}"
            )
        check_batch_size(batch_size)
        check_method(method, calibration is not None, horizon)
        if method == "finite_horizon" and horizon is None:
            raise ValueError("method='finite_horizon' needs a horizon. Received: horizon=None")
        self.tolerance, self.min_rank, self.min_saving = tolerance, min_rank, min_saving
        self.start, self.stop, self.every, self.unit = start, stop, every, unit
        self.method, self.calibration, self.batch_size = method, calibration, batch_size
        self.horizon = horizon
        self.verbose = verbose
        self.reductions = []
        self.epoch = self.step = 0

    def on_train_begin(self, logs=None):
        optimizer = getattr(self.model, "optimizer", None)
        optimizer = type(getattr(optimizer, "inner_optimizer", optimizer)).__name__
        if optimizer == "Muon":
            raise ValueError(
                "Expected an optimizer with the same state for matrices as for vectors, which a "
                f"reduction may turn into matrices. Received: {optimizer}"
            )
        layers = find_dss_layers(self.model)
        missing = sorted(set(layers) - find_configured(self.model, layers))
        if missing:
            raise ValueError(
                f"The configuration of model {self.model.name!r} must hold its DSS layers, or it "
                "could not be saved after a reduction; use keras_dss.compress_model between two "
                f"calls of fit. Received: a configuration without {', '.join(missing)}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.unit == "epoch" and self._due(epoch):
            self.reduce(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        if self.unit == "batch" and self._due(self.step):
            self.reduce(self.model)
        self.step += 1

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            layers = find_dss_layers(self.model).values()
            logs["states"] = sum(int(np.prod(layer.W.shape[:-1])) for layer in layers)

    def reduce(self, model):
        """Reduce the layers of a model now, as far as their tails allow.

        Args:
            model: a built `keras.Model`; if it is compiled, its optimizer follows.

        Returns:
            list of `Reduction`, empty where no layer can be reduced.

        Raises:
            ValueError: as `keras_dss.compress_model`; the model is then as before.
        """
        layers = find_dss_layers(model)
        systems = {path: layer.to_system() for path, layer in layers.items()}
        inputs = {}
        if self.calibration is not None:
            arguments = model, layers, systems, self.calibration, self.batch_size
            inputs = measure_inputs(*arguments, sequences=METHODS[self.method].sequences)
        configs, found = {}, []
        for path, layer in layers.items():
            reduction, tail = self._reduction(path, layer, systems[path], inputs.get(path))
            if reduction is not None:
                configs[path] = reduction.config(layer)
                ranks = layer.state_size, reduction.system.num_modes
                found.append(Reduction(self.epoch, self.step, path, *ranks, tail))
        if configs:
            exchange_layers(model, layers, configs)
        self.reductions += found
        if self.verbose:
            for row in found:
                print(
                    f"\nepoch {row.epoch + 1}: {row.path} from {row.rank_before} to "
                    f"{row.rank_after} modes, {row.tail:.3%} of the Hankel energy dropped"
                )
        return found

    def _due(self, now):
        before = self.stop is None or now < self.stop
        return now >= self.start and before and (now - self.start) % self.every == 0

    def _reduction(self, path, layer, system, inputs):
        """The smallest reduction within the tolerance and its tail, or (None, 0)."""

        def reduced(rank):
            return reduce_layer(
                path, layer, system, rank, self.method, inputs=inputs, horizon=self.horizon
            )

        modes = layer.state_size
        energy = reduced(modes).hankel_singular_values ** 2  # (..., H, 2N)
        largest = min(int(modes * (1.0 - self.min_saving)), modes - 1)
        for rank in range(self.min_rank, largest + 1):
            if energy[..., 2 * rank :].sum() <= self.tolerance * energy.sum():
                found = reduced(rank)
                dropped = np.arange(energy.shape[-1]) >= found.order[..., None]
                tail = float((energy * dropped).sum() / energy.sum())
                if tail <= self.tolerance:
                    return found, tail
        return None, 0.0


def _is_number(value, kind):
    return isinstance(value, kind) and not isinstance(value, bool)
