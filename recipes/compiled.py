"""Training steps in a loop that is compiled as a whole, for JAX with the data on its device.

An accelerator does a step of a small model in less time than Python takes to ask for it. So the
loop is a part of the compiled program: it gathers each batch from the data on the device by the
numbers of its examples. On a processor nothing is gained, and JAX may wait for ever: its FFTs in a
loop want the threads that the loop occupies.
"""

import jax
import numpy as np

from keras_dss.devices import on_cpu
from recipes.data import SEQUENCE, map_labels


class Steps:
    """Steps of one training; a call does those of at most `most` batches.

    How many steps a call does leaves no trace in the weights: the loop's length is an argument of
    the compiled program.

    Args:
        model, optimizer: both are built; their variables hold the state between calls.
        losses, weights: a Keras loss and 1, or dicts of them, as labels and outputs then are.
        metric: a Keras metric, of the sequence's label if there are several outputs.
        data: `Epochs` or a `Curriculum` of `recipes.data`, with `resident=True`.
    """

    most = 64

    def __init__(self, model, optimizer, losses, weights, metric, data):
        self.model, self.optimizer, self.metric = model, optimizer, metric
        self.losses, self.weights = losses, weights
        self.data = data
        self.loop = jax.jit(self._loop, donate_argnums=0, static_argnames="lengths")

    def __call__(self, batches, data):
        """Does the steps; returns the means of loss and metric over their batches.

        Args:
            batches: list of pairs, the numbers of the examples, int (B,), and the length.
            data: the `Epochs` that they are from, of the same size as those of the training.
        """
        lengths = tuple(data.boundaries or [None])
        rows = np.zeros((self.most, len(batches[0][0])), "int32")
        kinds = np.zeros(self.most, "int32")
        for i, (examples, length) in enumerate(batches):
            rows[i], kinds[i] = examples, lengths.index(length)
        variables = self._variables()
        state = [[variable.value for variable in group] for group in variables]
        state, loss, value = self.loop(
            state, data.values, rows, kinds, np.int32(len(batches)), lengths=lengths
        )
        for group, found in zip(variables, state, strict=True):
            for variable, value_of in zip(group, found, strict=True):
                variable.assign(value_of)
        return float(loss) / len(batches), float(value)

    def _variables(self):
        model = self.model
        return (
            model.trainable_variables, model.non_trainable_variables, self.optimizer.variables
        )  # fmt: skip

    def _loop(self, state, values, rows, kinds, count, *, lengths):
        branches = [self._step_of(length) for length in lengths]

        def step(i, carry):
            return jax.lax.switch(kinds[i], branches, *carry, values, rows[i])

        metric = [variable.value for variable in self.metric.variables]
        metric = [jax.numpy.zeros_like(value) for value in metric]
        state, loss, metric = jax.lax.fori_loop(0, count, step, (state, np.float32(0.0), metric))
        return state, loss, self.metric.stateless_result(metric)

    def _step_of(self, length):
        """One step on batches cut to a length."""

        def objective(trainable, fixed, x, labels):
            outputs, fixed, penalties = self.model.stateless_call(
                trainable, fixed, x, training=True, return_losses=True
            )
            terms = map_labels(
                lambda loss, weight, *values: weight * loss(*values),
                self.losses, self.weights, labels, outputs,
            )  # fmt: skip
            terms = terms.values() if isinstance(terms, dict) else [terms]
            return sum([*terms, *penalties]), (outputs, fixed)

        def step(state, total, metric, values, examples):
            trainable, fixed, slots = state
            x, labels = self.data.gather(examples, length, values)
            (loss, (outputs, fixed)), gradients = jax.value_and_grad(objective, has_aux=True)(
                trainable, fixed, x, labels
            )
            trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
            if isinstance(labels, dict):
                labels, outputs = labels[SEQUENCE], outputs[SEQUENCE]
            metric = self.metric.stateless_update_state(metric, labels, outputs)
            return [trainable, fixed, slots], total + loss, metric

        return step


def worthwhile(data):
    """Returns whether the steps of a training on resident data are to be compiled together."""
    return not on_cpu(data.x.values)
