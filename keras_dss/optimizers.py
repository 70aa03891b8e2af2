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
        name = variable.name.split("/")[-1].split(":")[0]
        scale = self.scales.get(name, 1.0)
        super().update_step(gradient, variable, ops.cast(learning_rate, variable.dtype) * scale)

    def get_config(self):
        return super().get_config() | {
            "ssm_learning_rate_scale": self.ssm_learning_rate_scale,
            "step_learning_rate_scale": self.step_learning_rate_scale,
        }
