"""A further head for trainings: it tells which pixels are of the contour of the first marker.

Whether two markers are joined is one bit an image, and a model that cannot yet follow a contour
learns next to nothing from it. The labels of the pixels on the way say at each dash whether it
belongs to the contour that was begun, and those next to the marker are learned at once. The head
is thrown away after the training.
"""

import keras
from keras import ops

from keras_dss.datasets.pathfinder.membership import EMPTY, NUM_LABELS, UNKNOWN
from recipes.data import CLASSES, PIXELS

EMPTY_WEIGHT = 0.1  # of pixels without a dash, against 1 of those with one


def with_head(model):
    """Return the model with both outputs, a dict, which shares the model's layers.

    The head classifies the steps that the readout reads.

    Raises:
        ValueError: a model without a readout.
    """
    readout = next((layer for layer in model.layers if layer.name == "readout"), None)
    if readout is None:
        raise ValueError(f"Expected a model with a readout. Received: {type(model).__name__}")
    pixels = keras.layers.Dense(NUM_LABELS, name=PIXELS, dtype="float32")(readout.input)
    return keras.Model(model.input, {CLASSES: model.output, PIXELS: pixels}, name=model.name)


@keras.saving.register_keras_serializable(package="keras_dss_recipes")
class PixelLoss(keras.losses.Loss):
    """Cross-entropy of labels (B, L) and logits (B, L / r, K), each of r pixels in a row.

    The label of several pixels is the largest of theirs. Those of unknown labels do not count; the
    mean is over the weights of the others.

    >>> loss = PixelLoss()
    >>> logits = ops.zeros((1, 2, 3))
    >>> round(float(loss(ops.array([[0, 2, 255, 255]]), logits)), 4)  # log 3
    1.0986
    """

    def __init__(self, reduction="sum_over_batch_size", name="pixel_loss", dtype=None):
        super().__init__(reduction=reduction, name=name, dtype=dtype)

    def call(self, y_true, y_pred):
        shape = ops.shape(y_pred)
        labels = ops.cast(ops.reshape(y_true, (shape[0], shape[1], -1)), "int32")
        labels = ops.max(labels, axis=-1)  # (B, S)
        known = ops.not_equal(labels, UNKNOWN)
        weights = ops.where(ops.equal(labels, EMPTY), EMPTY_WEIGHT, 1.0)
        weights = ops.where(known, weights, 0.0)  # (B, S)
        targets = ops.one_hot(ops.where(known, labels, EMPTY), NUM_LABELS)
        entropy = -ops.sum(targets * ops.log_softmax(y_pred), axis=-1)  # (B, S)
        return ops.sum(weights * entropy) / ops.maximum(ops.sum(weights), 1.0)
