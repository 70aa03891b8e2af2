"""DSS layers of a live, compiled model exchanged for smaller ones, in place."""

import contextlib
import functools

import keras
import numpy as np

from keras_dss.callbacks.moments import Moments
from keras_dss.callbacks.slots import replace_variables

WEIGHTS = ("lambda_re", "lambda_im", "log_dt", "W", "D")
MODES = ("lambda_re", "lambda_im", "W")
KEPT = ("log_dt", "D")  # their gradients mean the same before and after
OPTIONS = (
    "num_modes",
    "eigenvalues",
    *(f"{name.lower()}_initializer" for name in WEIGHTS),
)


def exchange_layers(model, layers, configs):
    """Give DSS layers of a model other configurations and weights, in place.

    The layer objects stay, so that every model, block and graph that holds them goes on; their
    weights are new variables. The optimizer's state follows (see `slots` and `moments`), and its
    iteration count and learning rate stay. Functions that the model compiled are made anew. If
    anything fails, everything is as before.

    Args:
        model: a built `keras.Model`, compiled or not.
        layers: dict from paths to its `DSS` layers.
        configs: dict from paths to configurations of smaller `DSS` layers.

    Raises:
        ValueError: if the optimizer's variables do not follow those of the model.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(_remake_functions, model)
        replaced, kept, carries = {}, set(), []
        for path, config in configs.items():
            layer = layers[path]
            before, moments = _weights(layer), Moments(layer)
            undo.callback(_restore, layer, _state(layer))
            _reform(layer, config)
            after = _weights(layer)
            replaced |= {id(before[name]): after[name] for name in WEIGHTS}
            kept |= {id(after[name]) for name in KEPT}
            former, new = ({name: w[name] for name in MODES} for w in (before, after))
            carries.append((former, new, functools.partial(moments.carried_to, layer)))
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and optimizer.built:
            replace_variables(optimizer, replaced, kept, carries)
        _remake_functions(model)
        undo.pop_all()


def _weights(layer):
    return {name: getattr(layer, name) for name in WEIGHTS}


def _state(layer):
    return {name: getattr(layer, name) for name in (*OPTIONS, *WEIGHTS)}


def _reform(layer, config):
    """The layer with the state size, eigenvalues and initial parameters of a configuration."""
    template = type(layer).from_config(config)
    old = _weights(layer)
    _untrack(layer)
    layer._tracker.unlock()
    for name in OPTIONS:
        setattr(layer, name, getattr(template, name))
    layer.build((None, None, old["D"].shape[0]))
    for name, variable in _weights(layer).items():
        variable.trainable = old[name].trainable
        if name == "log_dt":  # what D becomes is for the method to say
            variable.assign(np.array(keras.ops.convert_to_numpy(old[name])))


def _restore(layer, state):
    _untrack(layer)
    layer._tracker.unlock()
    for name, value in state.items():  # weights are tracked as they are set, in order
        setattr(layer, name, value)
    layer.built = True
    layer._tracker.lock()


def _untrack(layer):
    for variable in list(layer.weights):
        layer._untrack_variable(variable)


def _remake_functions(model):
    """Forget what was compiled around the former weights."""
    for layer in model._flatten_layers():
        if hasattr(layer, "_torch_params"):
            layer._track_variables()
        for name in ("test_function", "predict_function"):
            if isinstance(layer, keras.Model) and getattr(layer, name, None) is not None:
                setattr(layer, name, None)
    if getattr(model, "_jax_state", None):
        model._jax_state = None
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)
