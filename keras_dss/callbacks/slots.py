"""The state of a Keras optimizer when some of the weights that it trains are exchanged."""

import contextlib

import keras
import numpy as np

SQUARES = ("velocity", "velocity_hat", "accumulator", "accumulated_grad")


def replace_variables(optimizer, replaced, kept, carries):
    """Build the optimizer anew, in place, for other weights, and carry its state over.

    Iterations, learning rate and the slots of untouched weights are copied bit for bit, and so are
    those of `kept` weights. Of the other new weights, second moments are what `carries` says,
    moving averages begin at the weight, and all else (first moments, gradient accumulators) begins
    as in a new optimizer. If anything fails, the optimizer is as before.

    Args:
        optimizer: a built `keras.optimizers.Optimizer`.
        replaced: dict from `id` of a former weight to the new one.
        kept: set of `id`s of new weights that take the slots of the former ones.
        carries: list of (former, new, function): dicts of former and of new weights, and a function
            from a dict of the second moments of the former ones, arrays, to those of the new ones.

    Raises:
        ValueError: for an optimizer that does not make the same variables again.
    """
    former = list(optimizer._trainable_variables)
    weights = [replaced.get(id(v), v) for v in former]
    with contextlib.ExitStack() as undo:
        undo.callback(_restore, optimizer, _state(optimizer))
        _rename(optimizer, former, weights)
        inner = getattr(optimizer, "inner_optimizer", None)
        if inner is not None:  # it scales the loss, and has no slots
            vars(optimizer)["_trainable_variables"] = weights
            replace_variables(inner, replaced, kept, carries)
        else:
            _rebuild(optimizer, former, weights, kept, carries)
        undo.pop_all()


def _rename(optimizer, former, weights):
    """Weights are known to an optimizer by keys of their own."""
    keys = [optimizer._var_key(w) for w in weights]
    new_keys = dict(zip(map(optimizer._var_key, former), keys, strict=True))
    excluded = getattr(optimizer, "_exclude_from_weight_decay", ())
    # past the optimizer's own tracking of what is assigned to it
    vars(optimizer).update(
        _exclude_from_weight_decay={new_keys.get(key, key) for key in excluded},
        _exclude_from_weight_decay_cache={},
        _trainable_variables_indices={key: i for i, key in enumerate(keys)},
    )


def _rebuild(optimizer, former, weights, kept, carries):
    attributes, variables = dict(vars(optimizer)), list(optimizer._variables)
    for variable in variables:
        if variable is not optimizer._iterations and variable is not optimizer._learning_rate:
            optimizer._tracker.untrack(variable)
    owners = {}  # id of a slot: index of its weight, name of the slot
    index = {id(w): i for i, w in enumerate(weights)}
    make = optimizer.add_variable_from_reference

    def recorded(reference_variable, name=None, initializer="zeros"):
        slot = make(reference_variable, name=name, initializer=initializer)
        owners[id(slot)] = index[id(reference_variable)], name
        return slot

    optimizer.__dict__["add_variable_from_reference"] = recorded
    try:
        optimizer.built = False
        with keras.name_scope(optimizer.name):
            optimizer.build(weights)
    finally:
        del optimizer.__dict__["add_variable_from_reference"]
    if len(variables) != len(optimizer._variables):
        raise ValueError(
            f"Optimizer {type(optimizer).__name__} must make the same variables whenever it is "
            f"built. Received: {len(optimizer._variables)} after {len(variables)}"
        )
    pairs = list(zip(variables, optimizer._variables, strict=True))
    slots = {owners[id(new)]: (old, new) for old, new in pairs if id(new) in owners}
    for old, new in pairs:
        i, name = owners.get(id(new), (None, None))
        if i is None or weights[i] is former[i] or id(weights[i]) in kept:
            if new is not old and new.shape == old.shape:
                _copy(old, new)
        elif name == "average":
            _copy(weights[i], new)
    position = {id(w): i for i, w in enumerate(former)} | index
    for source, target, function in carries:
        for name in SQUARES:
            found = {key: slots.get((position.get(id(w)), name)) for key, w in source.items()}
            if all(found.values()):
                squares = {key: keras.ops.convert_to_numpy(old) for key, (old, _) in found.items()}
                for key, value in function(squares).items():
                    slots[position[id(target[key])], name][1].assign(value)
    for name, old in attributes.items():  # such as the product of Nadam's momenta
        new = getattr(optimizer, name)
        if isinstance(old, keras.Variable) and new is not old and new.shape == old.shape:
            _copy(old, new)


def _copy(source, target):
    # a copy: JAX would let both own, and free, the same array
    target.assign(np.array(keras.ops.convert_to_numpy(source)))


def _state(optimizer):
    return dict(vars(optimizer)), list(optimizer._variables)


def _restore(optimizer, state):
    attributes, variables = state
    for name in set(vars(optimizer)) - set(attributes):
        del optimizer.__dict__[name]
    optimizer.__dict__.update(attributes)
    optimizer._variables[:] = variables
    optimizer._tracker.stored_ids["variables"] = {id(v) for v in variables}
