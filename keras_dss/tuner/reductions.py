"""Reductions of the layers of one model, each computed once."""

from keras_dss.compression.calibration import measure_inputs
from keras_dss.compression.methods import METHODS, check_method, reduce_layer
from keras_dss.compression.rebuild import find_dss_layers, rebuild
from keras_dss.compression.reductions import Reductions


class LayerReductions:
    """The DSS layers of a model at any rank; what was reduced once is kept.

    Args:
        model: a built model. calibration: arrays of its inputs, or None for exact Gramians.
        horizon, refit, seed: as `keras_dss.compress_model` takes them; a method without a horizon
            gets none.
        batch_size: sequences at a time while inputs are measured; by default as many as are fast.

    Attributes:
        layers: dict from paths to the layers. computed: how many reductions were computed.

    Raises:
        TypeError, ValueError: for a model without DSS layers, or with weights that are not finite.
    """

    def __init__(
        self, model, calibration=None, *, horizon=None, refit=None, seed=0, batch_size=None
    ):
        self.model, self.calibration, self.batch_size = model, calibration, batch_size
        self.horizon, self.refit, self.seed = horizon, refit, seed
        self.layers = find_dss_layers(model)
        self.systems = {path: _system(path, layer) for path, layer in self.layers.items()}
        self.computed = 0
        self._inputs, self._reductions = {0: {}}, {}

    def check(self, method):
        """Raises `ValueError` for a method that the options do not go with."""
        check_method(method, self.calibration is not None and self.refit == "calibration",
                     refit=self.refit)  # fmt: skip

    def uses_inputs(self, method):
        """Whether a method looks at calibration inputs."""
        return METHODS[method].calibrated or self.refit == "calibration"

    def build(self, ranks, method="balanced", examples=0):
        """A new model, uncompiled, with reduced layers.

        Args:
            ranks: dict from paths to modes of each feature; a layer at its state size stays.
            method: a name in `keras_dss.compression.METHODS`.
            examples: calibration sequences, 0 for exact Gramians.
        """
        reductions = self._of(method, examples if self.uses_inputs(method) else 0)
        smaller = {k: rank for k, rank in ranks.items() if rank != self.layers[k].state_size}
        configs = {path: reductions.config(path, rank) for path, rank in smaller.items()}
        return rebuild(self.model, self.layers, configs)

    def _of(self, method, examples):
        if (method, examples) not in self._reductions:
            inputs = self._measured(examples)
            options = {"refit": self.refit, "seed": self.seed}
            if METHODS[method].horizon:
                options["horizon"] = self.horizon

            def reduce(path, rank):
                self.computed += 1
                layer, system = self.layers[path], self.systems[path]
                measured = inputs.get(path)
                return reduce_layer(path, layer, system, rank, method, inputs=measured, **options)

            self._reductions[method, examples] = Reductions(self.layers, self.systems, reduce)
        return self._reductions[method, examples]

    def _measured(self, examples):
        if examples not in self._inputs:
            self._inputs[examples] = measure_inputs(
                self.model,
                self.layers,
                self.systems,
                first(self.calibration, examples),
                self.batch_size,
            )
        return self._inputs[examples]


def first(inputs, examples):
    """The first examples of inputs: an array, or a list, tuple or dict of arrays.

    >>> first({"a": [1, 2, 3], "b": [4, 5, 6]}, 2)
    {'a': [1, 2], 'b': [4, 5]}
    """
    if isinstance(inputs, dict):
        return {key: array[:examples] for key, array in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [array[:examples] for array in inputs]
    return inputs[:examples]


def count(inputs):
    """How many examples inputs hold."""
    if isinstance(inputs, dict):
        inputs = list(inputs.values())
    return len(inputs[0] if isinstance(inputs, (list, tuple)) else inputs)


def _system(path, layer):
    try:
        return layer.to_system()
    except ValueError as error:
        raise ValueError(f"Layer {path!r} cannot be reduced: {error}") from error
