"""A further head for trainings, which learns the labels that a task has for the steps.

One label a sequence says little to a model that cannot yet do what leads to it: follow a contour,
or tell the value of an expression in the middle of another. Labels of the steps on the way say it
at each of them, and the easy ones are learned at once. The head is thrown away after the training,
unless the model assigns steps to classes itself.
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


def with_head(model, weights):
    """Return the model with both outputs, a dict, which shares the model's layers, and their loss.

    A model that assigns steps to classes has the head itself: several steps that are one have the
    class of one of them. Else the head classifies each of the steps that the readout reads.

    Args:
        weights: K numbers, how much each label counts.

    Raises:
        ValueError: a model without a readout, or with another number of classes.
    """
    layers = {layer.name: layer for layer in model.layers}
    if "readout" not in layers:
        raise ValueError(f"Expected a model with a readout. Received: {type(model).__name__}")
    joined = math.prod(model.get_config().get("downsampling") or [1])
    if "classes" in layers:
        steps = layers["classes"].output  # (B, S, K)
        if steps.shape[-1] != len(weights):
            raise ValueError(
                f"Expected as many classes as the steps' labels are, {len(weights)}. "
                f"Received: {steps.shape[-1]}"
            )
        loss = StepLoss(weights, joined)
    else:
        features = keras.tree.flatten(layers["readout"].input)[0]  # (B, S, H); a mask may follow
        steps = StepHead(joined * len(weights), name=STEPS, dtype="float32")(features)
        loss = StepLoss(weights)
    outputs = {SEQUENCE: model.output, STEPS: steps}
    return keras.Model(model.input, outputs, name=model.name), loss


@keras.saving.register_keras_serializable(package="keras_dss_recipes")
class StepLoss(keras.losses.Loss):
    """Cross-entropy of labels (B, L) and logits (B, L / r, r K), the mean over the weights of the
    labels that are known. Labels of pairs are (B / 2, 2, L).

    Args:
        weights: K numbers, of the labels.
        joined: how many steps have one label, the largest of those that are known.

    >>> loss = StepLoss([0.1, 1.0, 1.0])
    >>> logits = ops.zeros((1, 2, 6))
    >>> round(float(loss(ops.array([[0, 2, 255, 255]]), logits)), 4)  # log 3
    1.0986
    """

    def __init__(self, weights, joined=1, name="step_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights, self.joined = tuple(weights), joined

    def call(self, y_true, y_pred):
        count = len(self.weights)
        labels = ops.cast(y_true, "int32")
        labels = ops.reshape(labels, (-1, ops.shape(labels)[-1]))  # (B, L)
        labels = ops.where(ops.equal(labels, UNKNOWN), -1, labels)
        if self.joined > 1:
            short = -ops.shape(labels)[1] % self.joined
            labels = ops.pad(labels, ((0, 0), (0, short)), constant_values=-1)
            labels = ops.reshape(labels, (ops.shape(y_pred)[0], -1, self.joined))
            labels = ops.max(labels, axis=-1)
        logits = ops.reshape(y_pred, (ops.shape(labels)[0], -1, count))
        logits = logits[:, : ops.shape(labels)[1]]  # (B, L, K); the last may be of padding
        targets = ops.one_hot(labels, count)  # zeros where unknown
        weights = targets * np.asarray(self.weights, "float32")  # (B, L, K)
        entropy = -ops.sum(weights * ops.log_softmax(ops.cast(logits, "float32")))
        return entropy / ops.maximum(ops.sum(weights), 1.0)

    def get_config(self):
        return super().get_config() | {"weights": self.weights, "joined": self.joined}
