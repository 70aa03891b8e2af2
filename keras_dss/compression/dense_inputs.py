"""What the inputs of a model are to its dense layers."""

import numpy as np
from keras import ops

from keras_dss.compression.calibration import at_once, recording, run
from keras_dss.compression.rebuild import find_dss_layers


class Moments:
    """Mean and second moments of vectors, of all that were added."""

    def __init__(self, size):
        self.count, self.sum, self.products = 0, np.zeros(size), np.zeros((size, size))

    def add(self, vectors):
        """(..., size), of which the leading axes are summed over."""
        rows = np.asarray(vectors, "float64").reshape(-1, len(self.sum))
        self.count += len(rows)
        self.sum += rows.sum(axis=0)
        self.products += rows.T @ rows

    @property
    def mean(self):
        return self.sum / self.count

    @property
    def second(self):
        return self.products / self.count

    @property
    def covariance(self):
        return self.second - np.outer(self.mean, self.mean)


def measure_dense_inputs(model, layers, calibration, batch_size=None):
    """The moments of the inputs of dense layers over all steps that are not padding.

    A step counts unless the tensor's own mask says otherwise, or that which the DSS layer before it
    was given for sequences of the same number and length.

    Args:
        model: the model. layers: dict from keys to its `Dense` layers. calibration: inputs, as
            `compress_model` takes them. batch_size: sequences at a time; None for `at_once`.

    Returns:
        dict from keys to `Moments`.

    Raises:
        ValueError: for inputs without a sequence, that are not finite inside the model, or that do
            not reach one of the layers.
    """
    moments = {key: Moments(layer.kernel.shape[0]) for key, layer in layers.items()}
    sequential, masks = find_dss_layers(model), {}

    def remember(path, inputs, mask):
        masks[tuple(inputs.shape[:2])] = mask

    def record(key, inputs, mask):
        if mask is None:
            mask = getattr(inputs, "_keras_mask", None)
        if mask is None and len(inputs.shape) == 3:
            mask = masks.get(tuple(inputs.shape[:2]))
        vectors = np.asarray(ops.convert_to_numpy(ops.cast(inputs, "float32")))
        if not np.isfinite(vectors).all():
            raise ValueError(
                "Calibration inputs must stay finite in the model. Received: NaN or infinity at "
                f"the input of layer {layers[key].path!r}"
            )
        if mask is not None:
            vectors = vectors[np.asarray(ops.convert_to_numpy(mask), bool)]
        moments[key].add(vectors)

    with recording(sequential, remember), recording(layers, record):
        run(model, calibration, batch_size or at_once(calibration, sequential))
    for key, found in moments.items():
        if not found.count:
            raise ValueError(
                f"Calibration inputs must reach every dense layer. Received: none at layer "
                f"{layers[key].path!r}"
            )
    return moments
