"""States and parameters of a model's diagonal state space layers."""

import math

from keras_dss.layers.parameters import SSM_WEIGHTS


def _ssm_weights(model):
    """Yields for every state space layer, once, a dict of its own weights by name."""
    seen = set()
    for layer in model._flatten_layers():
        if id(layer) in seen or not (hasattr(layer, "to_system") or hasattr(layer, "state_size")):
            continue
        seen.add(id(layer))
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        weights = {weight.name: weight for weight in own if weight.name in SSM_WEIGHTS}
        if "W" in weights and "lambda_im" in weights:
            yield weights


def state_sizes(model):
    """Returns the sorted distinct state sizes N of the model's state space layers."""
    return sorted({int(weights["W"].shape[-2]) for weights in _ssm_weights(model)})


def count_states(model):
    """Returns the number of complex modes over all features, directions and layers.

    A layer with `W` of shape (H, N, 2) has H * N, a bidirectional one, (2, H, N, 2), has 2 * H * N.

    Args:
        model: a built `keras.Model`.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(2, features=4, num_blocks=2, state_size=8)
    >>> keras_dss.zoo.count_states(model)
    64
    """
    return sum(math.prod(weights["W"].shape[:-1]) for weights in _ssm_weights(model))


def count_ssm_parameters(model):
    """Returns the number of real parameters of Lambda, dt, W and D over all state space layers.

    Args:
        model: a built `keras.Model`.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(2, features=4, num_blocks=1, state_size=8)
    >>> keras_dss.zoo.count_ssm_parameters(model)  # 2 * N + H + 2 * H * N + H
    88
    """
    return sum(
        math.prod(weight.shape) for weights in _ssm_weights(model) for weight in weights.values()
    )
