"""Reductions of the layers of one model, each computed once."""

import numpy as np

from keras_dss.compression.calibration import measure_gramians
from keras_dss.compression.methods import METHODS, reduce_layer
from keras_dss.compression.rebuild import find_dss_layers, rebuild
from keras_dss.layers.dss import reduced_config


class LayerReductions:
    """The DSS layers of a model at any rank; what was reduced once is kept.

    Args:
        model: a built model. calibration: arrays of its inputs, or None for exact Gramians.
        batch_size: sequences at a time while Gramians are measured.

    Attributes:
        layers: dict from paths to the layers. computed: how many reductions were computed.

    Raises:
        TypeError, ValueError: for a model without DSS layers, or with weights that are not finite.
    """

    def __init__(self, model, calibration=None, batch_size=32):
        self.model, self.calibration, self.batch_size = model, calibration, batch_size
        self.layers = find_dss_layers(model)
        self.systems = {path: _system(path, layer) for path, layer in self.layers.items()}
        self.computed = 0
        self._gramians, self._configs = {}, {}

    def build(self, ranks, method="balanced", examples=0):
        """A new model, uncompiled, with reduced layers.

        Args:
            ranks: dict from paths to modes of each feature; a layer at its state size stays.
            method: a name in `keras_dss.compression.METHODS`.
            examples: calibration sequences, 0 for exact Gramians.
        """
        configs = {
            path: self._config(path, rank, method, examples)
            for path, rank in ranks.items()
            if rank != self.layers[path].state_size
        }
        return rebuild(self.model, self.layers, configs)

    def _config(self, path, rank, method, examples):
        examples = examples if METHODS[method].calibrated else 0
        key = path, rank, method, examples
        if key not in self._configs:
            layer, gramian = self.layers[path], self._measured(examples).get(path)
            found = reduce_layer(path, layer, self.systems[path], rank, method, gramian=gramian)
            log_dt = np.asarray(layer.log_dt.numpy(), "float64")
            self._configs[key] = reduced_config(layer, found.system, log_dt)
            self.computed += 1
        return self._configs[key]

    def _measured(self, examples):
        if examples and examples not in self._gramians:
            inputs = first(self.calibration, examples)
            self._gramians[examples] = measure_gramians(
                self.model, self.layers, self.systems, inputs, self.batch_size
            )
        return self._gramians[examples] if examples else {}


def first(inputs, examples):
    """The first examples of inputs: an array, or a list, tuple or dict of arrays.

    >>> first({"a": np.arange(3), "b": np.ones(3)}, 1)
    {'a': array([0]), 'b': array([1.])}
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
