"""A further head for trainings, which learns the labels that a task has for the steps.

One label a sequence says little to a model that cannot yet do what leads to it: follow a contour,
or tell the value of an expression in the middle of another. Labels of the steps on the way say it
at each of them, and the easy ones are learned at once. The head is thrown away after the training.
"""

import math

import keras
import numpy as np
from keras import ops

from recipes.data import SEQUENCE, STEPS, UNKNOWN


@keras.saving.register_keras_serializable(package="keras_dss_recipes")
class StepHead(keras.layers.Dense):
    """Logits of the labels of steps, (B, S, H) to (B, S, r K): of r steps in a row that are one.

    No mask follows them: labels of padded steps are unknown.
    """

    def compute_mask(self, inputs, previous_mask):
        return None


def with_head(model, num_labels):
    """Return the model with both outputs, a dict, which shares the model's layers.

    The head classifies the steps that the readout reads.

    Raises:
        ValueError: a model without a readout.
    """
    readout = next((layer for layer in model.layers if layer.name == "readout"), None)
    if readout is None:
        raise ValueError(f"Expected a model with a readout. Received: {type(model).__name__}")
    features = keras.tree.flatten(readout.input)[0]  # (B, S, H); a mask may follow
    joined = math.prod(model.get_config().get("downsampling") or [1])
    steps = StepHead(joined * num_labels, name=STEPS, dtype="float32")(features)
    return keras.Model(model.input, {SEQUENCE: model.output, STEPS: steps}, name=model.name)


@keras.saving.register_keras_serializable(package="keras_dss_recipes")
class StepLoss(keras.losses.Loss):
    """Cross-entropy of labels (B, L) and logits (B, L / r, r K), the mean over the weights of the
    labels that are known.

    Args:
        weights: K numbers, of the labels.

    >>> loss = StepLoss([0.1, 1.0, 1.0])
    >>> logits = ops.zeros((1, 2, 6))
    >>> round(float(loss(ops.array([[0, 2, 255, 255]]), logits)), 4)  # log 3
    1.0986
    """

    def __init__(self, weights, name="step_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = tuple(weights)

    def call(self, y_true, y_pred):
        count = len(self.weights)
        labels = ops.cast(y_true, "int32")
        logits = ops.reshape(y_pred, (ops.shape(y_pred)[0], -1, count))
        logits = logits[:, : ops.shape(labels)[1]]  # (B, L, K); the last may be of padding
        labels = ops.where(ops.equal(labels, UNKNOWN), -1, labels)  # (B, L)
        targets = ops.one_hot(labels, count)  # zeros where unknown
        weights = targets * np.asarray(self.weights, "float32")  # (B, L, K)
        entropy = -ops.sum(weights * ops.log_softmax(logits))
        return entropy / ops.maximum(ops.sum(weights), 1.0)

    def get_config(self):
        return super().get_config() | {"weights": self.weights}
