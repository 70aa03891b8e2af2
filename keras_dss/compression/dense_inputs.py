"""What the inputs of a model are to its dense layers."""

import numpy as np
from keras import ops

from keras_dss.compression.calibration import recording
from keras_dss.compression.rebuild import find_dss_layers


class Moments:
    """First and second moments of vectors, of all that were added.

    Args:
        size: of a vector. centred: whether `matrix` is the covariance or the second moment.
    """

    def __init__(self, size, centred):
        self.centred = centred
        self.count, self.sum, self.products = 0, np.zeros(size), np.zeros((size, size))

    def add(self, vectors):
        """(n, size)."""
        self.count += len(vectors)
        self.sum += vectors.sum(axis=0)
        self.products += vectors.T @ vectors

    @property
    def mean(self):
        return self.sum / self.count

    @property
    def matrix(self):
        second = self.products / self.count
        return second - np.outer(self.mean, self.mean) if self.centred else second


def dense_inputs(model, layers, batch):
    """The vectors that a batch brings to dense layers, at all steps that are not padding.

    A step counts unless the tensor's own mask says otherwise, or that which the DSS layer before it
    was given for sequences of the same number and length.

    Args:
        model: the model. layers: dict from keys to its `Dense` layers. batch: inputs of the model.

    Returns:
        dict from the keys to float64 arrays (n, I), in the order in which the layers are called.

    Raises:
        ValueError: for vectors that are not finite, or for a layer that is not called.
    """
    found, masks = {}, {}

    def remember(path, inputs, mask):
        masks[tuple(inputs.shape[:2])] = mask

    def record(key, inputs, mask):
        if mask is None:
            mask = getattr(inputs, "_keras_mask", None)
        if mask is None and len(inputs.shape) == 3:
            mask = masks.get(tuple(inputs.shape[:2]))
        vectors = np.asarray(ops.convert_to_numpy(ops.cast(inputs, "float32")), "float64")
        if not np.isfinite(vectors).all():
            raise ValueError(
                "Calibration inputs must stay finite in the model. Received: NaN or infinity at "
                f"the input of layer {layers[key].path!r}"
            )
        if mask is not None:
            vectors = vectors[np.asarray(ops.convert_to_numpy(mask), bool)]
        found.setdefault(key, []).append(vectors.reshape(-1, vectors.shape[-1]))

    dss = find_dss_layers(model, required=False)
    with recording(dss, remember), recording(layers, record):
        model(batch, training=False)
    for key, layer in layers.items():
        if key not in found:
            raise ValueError(
                f"Calibration inputs must reach every dense layer. Received: none at {layer.path!r}"
            )
    return {key: np.concatenate(vectors) for key, vectors in found.items()}
