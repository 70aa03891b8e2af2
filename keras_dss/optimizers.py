"""AdamW with the learning rates of state space models."""

import keras
from keras import ops

from keras_dss.layers.parameters import EIGENVALUE_WEIGHTS, OUTPUT_WEIGHTS, STEP_WEIGHTS


@keras.saving.register_keras_serializable(package="keras_dss")
class DSSAdamW(keras.optimizers.AdamW):
    """AdamW that trains lambda, W and dt at their own rates, without weight decay.

    The learning rate of a weight is `learning_rate` times its group's factor:
    `ssm_learning_rate_scale` for lambda and W, `step_learning_rate_scale` for log dt, 1 for all
    other weights. A schedule or a callback that changes `learning_rate` changes all of them alike.

    Args:
        learning_rate: float or `keras.optimizers.schedules.LearningRateSchedule`.
        weight_decay: decoupled weight decay of all weights but lambda, W and dt.
        ssm_learning_rate_scale, step_learning_rate_scale: factors of the groups.
        **kwargs: other arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: for a factor that is not positive.

    Example:

    >>> optimizer = DSSAdamW(1e-2, weight_decay=0.01, ssm_learning_rate_scale=0.1)

    Source: the three parameter groups of Gupta, Gu and Berant, arXiv 2203.14343.
    """

    def __init__(
        self,
        learning_rate=1e-2,
        weight_decay=0.0,
        *,
        ssm_learning_rate_scale=0.1,
        step_learning_rate_scale=0.1,
        name="dss_adamw",
        **kwargs,
    ):
        scales = {"ssm": ssm_learning_rate_scale, "step": step_learning_rate_scale}
        for group, scale in scales.items():
            if not scale > 0:
                raise ValueError(
                    f"`{group}_learning_rate_scale` must be positive. Received: {scale!r}"
                )
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.ssm_learning_rate_scale = ssm_learning_rate_scale
        self.step_learning_rate_scale = step_learning_rate_scale
        self.scales = dict.fromkeys(EIGENVALUE_WEIGHTS + OUTPUT_WEIGHTS, ssm_learning_rate_scale)
        self.scales |= dict.fromkeys(STEP_WEIGHTS, step_learning_rate_scale)
        self.exclude_from_weight_decay()

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Excludes other weights too, as `keras.optimizers.AdamW` does.

        Args:
            var_list: list of variables.
            var_names: list of regular expressions of their names.
        """
        # TensorFlow hands over its own variables, named "block_0/ssm_0/W:0"
        own = [rf"(^|/){name}(:\d+)?$" for name in self.scales]
        super().exclude_from_weight_decay(var_list, [*(var_names or []), *own])

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype) * self._scale(variable)
        super().update_step(gradient, variable, rate)

    def _scale(self, variable):
        return self.scales.get(variable.name.split("/")[-1].split(":")[0], 1.0)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """All updates of an optimizer's step: on torch, those of a group of weights at once."""
        if keras.backend.backend() != "torch" or self.amsgrad:
            return super()._backend_update_step(grads, trainable_variables, learning_rate)
        groups = {}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            groups.setdefault((self._scale(variable), variable.dtype), []).append(
                (gradient, variable)
            )
        for (scale, dtype), pairs in groups.items():
            self._update_group(*zip(*pairs, strict=True), ops.cast(learning_rate, dtype) * scale)

    # m += (1 - beta_1) (g - m),   v += (1 - beta_2) (g^2 - v),   w -= alpha m / (sqrt v + epsilon)
    def _update_group(self, gradients, variables, learning_rate):
        """The step of Adam for a list of variables of one dtype, in one torch call an operation."""
        import torch

        with torch.no_grad():
            index = [self._get_variable_index(variable) for variable in variables]
            slots = [[slot[i] for i in index] for slot in (self._momentums, self._velocities)]
            weights, m, v = ([x.value for x in group] for group in (variables, *slots))
            gradients = [g.to(w.dtype) for g, w in zip(gradients, weights, strict=True)]
            step = ops.cast(self.iterations + 1, learning_rate.dtype)
            alpha = learning_rate * (1 - self.beta_2**step) ** 0.5 / (1 - self.beta_1**step)
            m = torch._foreach_lerp(m, gradients, 1 - self.beta_1)
            squares = torch._foreach_mul(gradients, gradients)
            v = torch._foreach_lerp(v, squares, 1 - self.beta_2)
            scale = torch._foreach_add(torch._foreach_sqrt(v), self.epsilon)
            change = torch._foreach_div(torch._foreach_mul(m, alpha), scale)
            weights = torch._foreach_sub(weights, change)
            for group, values in zip((*slots, variables), (m, v, weights), strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value)

    def get_config(self):
        return super().get_config() | {
            "ssm_learning_rate_scale": self.ssm_learning_rate_scale,
            "step_learning_rate_scale": self.step_learning_rate_scale,
        }
