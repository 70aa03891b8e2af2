"""The diagonal state space layer, one step at a time."""

import keras
from keras import ops

from keras_dss import ops as dss_ops
from keras_dss.layers.parameters import DSSParameters


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSCell(DSSParameters):
    """One step of `DSS` for `keras.layers.RNN`: s <- exp(x) s + u, y = Re sum_n c_n s_n + D u.

    Has the weights of a causal `DSS` under the same names, so that weights move between the two by
    `set_weights`. The state is a pair of real tensors, real and imaginary parts (batch, H N), in
    float32 whatever the dtype policy (float64 under a float64 policy); a stateful RNN keeps it in
    the variable dtype of its own policy.

    Args:
        state_size: N, the number of complex modes of each feature.
        features: H, where `RNN(return_state=True)` must know the shape of the state before the cell
            is built; otherwise that of the inputs.
        convolution: ignored, so that a cell can be made from the configuration of a `DSS`.
        **kwargs: the other arguments of `DSS`, `bidirectional` excepted.

    Call arguments:
        inputs: (batch, H). states: list of two tensors (batch, H N).

    Of a mask, `keras.layers.RNN` on JAX takes the first state for the last output: give it
    `zero_output_for_mask=True`, on TensorFlow and torch a choice.

    Returns:
        `(outputs, states)`: (batch, H) and the new list.

    Raises:
        ValueError: for `bidirectional=True`, which has no recurrence in time, and for inputs of
            other than `features` features.

    Example:

    >>> rnn = keras.layers.RNN(DSSCell(16), return_sequences=True)
    >>> tuple(rnn(keras.ops.ones((2, 10, 8))).shape)
    (2, 10, 8)
    """

    def __init__(self, state_size, *, features=None, convolution=None, **kwargs):
        super().__init__(state_size, **kwargs)
        if self.bidirectional:
            raise ValueError("A cell runs forward in time only. Received: bidirectional=True")
        self._features = features

    @property
    def state_size(self):
        return [self._features and self._features * self.num_modes] * 2

    @property
    def output_size(self):
        return self._features

    @property
    def compute_dtype(self):
        """What `keras.layers.RNN` keeps the state in."""
        return self.ssm_dtype

    def build(self, input_shape):
        if self._features not in (None, input_shape[-1]):
            raise ValueError(
                f"Layer {self.name!r} expected inputs of features={self._features}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self._build_parameters(input_shape[-1])
        self._features = input_shape[-1]

    def get_initial_state(self, batch_size=None):
        shape = (batch_size, self._features * self.num_modes)
        return [ops.zeros(shape, dtype=self.ssm_dtype) for _ in range(2)]

    def call(self, inputs, states, training=False):
        u = ops.cast(inputs, self.ssm_dtype)  # (B, H)
        shape = (-1, self._features, self.num_modes)
        state = tuple(ops.reshape(ops.cast(part, self.ssm_dtype), shape) for part in states)
        x = self.log_poles()
        poles = dss_ops.powers(x, ops.ones((), dtype="int32"))  # (H, N)
        outputs, state = dss_ops.recurrence_step(u, state, poles, self.residues(x))
        outputs = outputs + u * ops.convert_to_tensor(self.D)  # (B, H)
        outputs = ops.cast(outputs, self.dtype_policy.compute_dtype)
        return outputs, [ops.reshape(part, (-1, self.state_size[0])) for part in state]

    def get_config(self):
        return super().get_config() | {"features": self._features}
