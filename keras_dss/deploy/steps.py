"""What layers that mix the steps of a sequence do with one step and what they keep of the others.

Sequences are (B, 1, H) here, so that all other layers work as they are. `valid` (B, 1) says whether
the step counts, `commit` (B, 1) whether what is kept changes: where several steps become one, the
steps of an unfinished window are seen by the outputs, and do not move the states behind it. Either
is left out where it would always be true.
"""

import keras
from keras import ops

from keras_dss import ops as dss_ops
from keras_dss.layers.parameters import one_of
from keras_dss.layers.readout import READOUTS


class Step(keras.layers.Layer):
    """Base: the state is one real tensor, zero before the first step."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # states keep their dtype
        self.supports_masking = True


def _chosen(condition, new, old):
    """`new` where a condition (B, 1) holds or is None, else `old`: (B, ...) of its dtype."""
    new = ops.cast(new, old.dtype)  # which keras.ops loses on torch
    if condition is None:
        return new
    shape = (-1,) + (1,) * (len(new.shape) - 1)
    return ops.cast(ops.where(ops.reshape(condition, shape), new, old), old.dtype)


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSStep(Step):
    """One step of a causal `DSS`, its poles and residues being weights.

        s <- a s + u,   y = Re sum_n c_n s_n + D u

    Args:
        state_size: N.

    Call arguments:
        inputs: (batch, 1, H). state: (batch, H, 2N), real parts before imaginary parts, in float32
            whatever the dtype policy (float64 under a float64 policy).
        valid, commit: (batch, 1); optional.

    Returns:
        `(outputs, state)` of the same shapes.
    """

    def __init__(self, state_size, **kwargs):
        super().__init__(**kwargs)
        self.num_modes = state_size

    @property
    def ssm_dtype(self):
        return "float64" if self.compute_dtype == "float64" else "float32"

    def build(self, inputs_shape, state_shape=None):
        features = inputs_shape[-1]

        def add(name, *shape):
            return self.add_weight(
                shape=(features, *shape),
                name=name,
                dtype=self.ssm_dtype,
                autocast=False,
                trainable=False,
                initializer="zeros",
            )

        self.poles = add("poles", 2 * self.num_modes)
        self.residues = add("residues", 2 * self.num_modes)
        self.D = add("D")

    def set_system(self, system):
        """Takes the poles, residues and feedthrough of a `DiagonalSystem` (H, N)."""
        for weight, value in ((self.poles, system.poles), (self.residues, system.residues)):
            weight.assign(ops.concatenate([value.real, value.imag], axis=-1))
        self.D.assign(system.feedthrough)

    def call(self, inputs, state, valid=None, commit=None):
        u = ops.cast(inputs[:, 0], self.ssm_dtype)  # (B, H)
        weight = None if valid is None else ops.cast(valid, self.ssm_dtype)  # (B, 1)
        u = u if weight is None else u * weight
        pairs = (ops.convert_to_tensor(w) for w in (self.poles, self.residues))
        parts = [tuple(ops.split(pair, 2, axis=-1)) for pair in (state, *pairs)]  # (..., H, N)
        y, new = dss_ops.recurrence_step(u, *parts)  # (B, H)
        y = y + ops.convert_to_tensor(self.D) * u
        y = y if weight is None else y * weight
        new = _chosen(commit, ops.concatenate(new, axis=-1), state)  # (B, H, 2N)
        return ops.cast(y, self.compute_dtype)[:, None], new

    def compute_output_spec(self, inputs, state, valid=None, commit=None):
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return outputs, keras.KerasTensor(state.shape, self.ssm_dtype)

    def get_config(self):
        return super().get_config() | {"state_size": self.num_modes}


@keras.saving.register_keras_serializable(package="keras_dss")
class ReadoutStep(Step):
    """The readout of the steps so far: their mean, the first or the last of them.

    Args:
        kind: as in `keras_dss.layers.Readout`.

    Call arguments:
        inputs: (batch, 1, H). state: (batch, H + 1) in float32 or wider: the sum of the valid
            steps, the first or the last of them, and their number.
        valid, commit: (batch, 1); optional.

    Returns:
        `(outputs, state)`: (batch, H) and the new state.
    """

    def __init__(self, kind="mean", **kwargs):
        super().__init__(**kwargs)
        self.kind = one_of("kind", kind, READOUTS)

    def call(self, inputs, state, valid=None, commit=None):
        x = ops.cast(inputs[:, 0], state.dtype)  # (B, H)
        kept, count = state[:, :-1], state[:, -1:]
        counts = ops.ones_like(count) if valid is None else ops.cast(valid, state.dtype)  # (B, 1)
        if self.kind == "mean":
            kept = kept + counts * x
            outputs = kept / ops.maximum(count + counts, 1)
        else:
            taken = counts > 0
            if self.kind == "first":
                taken = ops.logical_and(taken, count == 0)
            outputs = kept = ops.where(taken, x, kept)
        new = ops.concatenate([kept, count + counts], axis=-1)
        return ops.cast(outputs, self.compute_dtype), _chosen(commit, new, state)

    def compute_output_spec(self, inputs, state, valid=None, commit=None):
        outputs = keras.KerasTensor((inputs.shape[0], inputs.shape[2]), self.compute_dtype)
        return outputs, keras.KerasTensor(state.shape, state.dtype)

    def get_config(self):
        return super().get_config() | {"kind": self.kind}


@keras.saving.register_keras_serializable(package="keras_dss")
class DownsampleStep(Step):
    """The window of `keras_dss.layers.Downsample` that a step belongs to, zeros after that step.

    Args:
        factor: steps of a window.

    Call arguments:
        inputs: (batch, 1, H). state: (batch, H + 2) in float32 or wider: W times the window so far,
            the number of its steps and of the valid ones.
        valid, commit: (batch, 1); optional.

    Returns:
        `(outputs, state, valid, commit)`: (batch, 1, H), the new state, and for the layers behind
        it whether a step of the window was valid, and whether the window is finished, (batch, 1).
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, inputs_shape, state_shape=None):
        features = inputs_shape[-1]
        shape = (self.factor, features, features)
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)
        self.bias = self.add_weight(
            shape=(features,), name="bias", trainable=False, initializer="zeros"
        )

    def set_map(self, dense):
        """Takes kernel (f H, H) and bias of the layer's `Dense`."""
        self.kernel.assign(ops.reshape(dense.kernel, self.kernel.shape))
        self.bias.assign(dense.bias)

    def call(self, inputs, state, valid=None, commit=None):
        x = ops.cast(inputs[:, 0], state.dtype)  # (B, H)
        kernel, bias = (ops.cast(weight, state.dtype) for weight in (self.kernel, self.bias))
        total, position, seen = state[:, :-2], state[:, -2:-1], state[:, -1:]
        counts = ops.ones_like(seen) if valid is None else ops.cast(valid, state.dtype)  # (B, 1)
        slots = ops.cast(position == ops.arange(self.factor, dtype=state.dtype), state.dtype)
        window = slots[:, :, None] * (counts * x)[:, None]  # (B, f, H)
        total = total + ops.tensordot(window, kernel, 2)  # (B, H)
        seen, position = seen + counts, position + 1.0
        finished = position == self.factor  # (B, 1)
        new = ops.concatenate([total, position, seen], axis=-1)
        new = _chosen(commit, ops.where(finished, ops.zeros_like(new), new), state)
        outputs = ops.cast(total + bias, self.compute_dtype)[:, None]
        return outputs, new, seen > 0, finished if commit is None else finished & commit

    def compute_output_spec(self, inputs, state, valid=None, commit=None):
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        flags = (keras.KerasTensor((inputs.shape[0], 1), "bool") for _ in range(2))
        return outputs, keras.KerasTensor(state.shape, state.dtype), *flags

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
