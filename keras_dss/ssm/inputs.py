r"""Input sequences, as the norm of systems that they make.

The mean square at the output of a system over all steps of given sequences, each from rest, is a
quadratic form of its impulse response. On exponentials it is a closed form of two things that
sequences make of a pole, as for `measured_gramian`: the transform of their autocorrelation, and the
states in which they end.
"""

import dataclasses

import numpy as np

from keras_dss.ssm.measured import autocorrelation, check_inputs


@dataclasses.dataclass(frozen=True, eq=False)
class InputSequences:
    """Input sequences of systems, last step first.

    Attributes:
        reverse: float `(..., B, L)`: B sequences for each system, from their last valid step to
            their first, then zeros.
        steps: how many valid steps they have together.
    """

    reverse: np.ndarray
    steps: int

    @property
    def shape(self):
        """Of the systems."""
        return self.reverse.shape[:-2]

    def __getitem__(self, index):
        """The sequences of some of the systems."""
        return InputSequences(self.reverse[index], self.steps)

    def reshape(self, *shape):
        """The same with the systems in another shape."""
        return InputSequences(self.reverse.reshape(*shape, *self.reverse.shape[-2:]), self.steps)

    @classmethod
    def joined(cls, batches):
        """The sequences of several batches for the same systems."""
        longest = max(batch.reverse.shape[-1] for batch in batches)

        def padded(array):
            after = [(0, 0)] * (array.ndim - 1) + [(0, longest - array.shape[-1])]
            return np.pad(array, after)

        reverse = np.concatenate([padded(batch.reverse) for batch in batches], axis=-2)
        return cls(reverse, sum(batch.steps for batch in batches))

    def correlation(self):
        """The autocorrelation `r(l) = sum_k u_k u_{k-l} / steps`, float64 `(..., L)`."""
        return autocorrelation(self.reverse.astype(np.float64)) / self.steps


def input_sequences(inputs, lengths=None):
    """`InputSequences` of arrays.

    Args:
        inputs: `u`, real, `(B, L, H)`, padded on the right. lengths: valid steps of each sequence,
            int `(B,)`, or None when all are valid.

    Returns:
        `InputSequences` of shape `(H,)`, in the precision of the inputs.

    Raises:
        ValueError: where shapes do not fit, an input is not finite or no step is valid.

    >>> import numpy as np
    >>> found = input_sequences(np.array([[[1.0], [2.0], [0.0]]]), lengths=np.array([2]))
    >>> found.reverse, found.steps
    (array([[[2., 1., 0.]]]), 2)
    """
    inputs = np.asarray(inputs)
    inputs, lengths = check_inputs(inputs, lengths, inputs.shape[-1] if inputs.ndim else 0)
    if not lengths.any():
        raise ValueError("Input sequences need at least one valid step. Received: none")
    lag = lengths[:, None] - 1 - np.arange(inputs.shape[1])  # (B, L)
    reverse = np.take_along_axis(inputs, np.maximum(lag, 0)[..., None], axis=1)
    reverse = np.where((lag >= 0)[..., None], reverse, 0.0)
    if not np.all(np.isfinite(reverse)):
        raise ValueError("`inputs` must be finite where they are valid. Received: NaN or infinity")
    return InputSequences(np.ascontiguousarray(np.moveaxis(reverse, -1, 0)), int(lengths.sum()))
