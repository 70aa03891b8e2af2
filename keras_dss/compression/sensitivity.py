"""Ranks within a budget: what each layer's modes are worth to the model."""

import numpy as np

from keras_dss import ssm
from keras_dss.compression.allocation import Budget, allocate
from keras_dss.compression.outputs import computing

NOISE = 1e-13  # of squared relative changes of float32 outputs


def ranks_within_budget(model, reductions, budget, eigenvalues="per_feature", outputs=None):
    """Modes to keep in each layer, those that matter most within a budget.

    The sum over the layers of what each one's reduction alone does is made as small as the budget
    allows. With outputs to compare, that is the squared relative change of the model's outputs
    (`measured_errors`); without, the share of the Hankel energy that is dropped (`tail_energy`).

    Args:
        model: the model. reductions: `Reductions`.
        budget: a `Budget`, or states as an int or a fraction in (0, 1].
        eigenvalues: `"per_feature"` or `"shared"`, of the layers to be built.
        outputs: `Outputs` of the model, or None.

    Returns:
        dict from paths to ints.

    Raises:
        ValueError: for a budget that does not leave one mode to every feature.
    """
    layers = reductions.layers
    costs, limit = layer_costs(model, layers, budget, eigenvalues)
    if outputs is None:
        errors = [tail_energy(hankel_values(path, reductions)) for path in layers]
    else:
        errors = [measured_errors(path, reductions, outputs) for path in layers]
    chosen = allocate(costs, errors, limit)
    return {path: index + 1 for path, index in zip(layers, chosen, strict=True)}


def layer_costs(model, layers, budget, eigenvalues="per_feature"):
    """What every rank of every layer costs, a list of lists, and what all layers may cost.

    Raises:
        ValueError: for a budget that does not leave one mode to every feature.
    """
    budget = Budget.of(budget)
    rest = budget.rest(model, layers.values())
    costs = [
        [budget.layer_cost(layer, r, eigenvalues) for r in range(1, layer.state_size + 1)]
        for layer in layers.values()
    ]
    limit = budget.limit(before=rest + sum(cost[-1] for cost in costs))
    least = rest + sum(min(cost) for cost in costs)
    if least > limit:
        raise ValueError(
            f"The budget must leave a mode to every feature of every layer, at least {least:,} "
            f"{budget.unit}. Received: {limit:,} {budget.unit}"
        )
    return costs, limit - rest


def hankel_values(path, reductions):
    """Hankel singular values of a layer, over its kernel length if that is finite."""
    length, system = reductions.layers[path].kernel_length, reductions.systems[path]
    if length is None or np.all(np.abs(system.poles) <= 1.0):
        return ssm.hankel_singular_values(system, length)
    return ssm.finite_hankel_values(system, length)


def tail_energy(values):
    """`sum_{k > 2r} sigma_k^2 / sum_k sigma_k^2` over all features, float64 (N,), of r = 1 to N.

    Args:
        values: Hankel singular values (..., 2N), descending.

    >>> tail_energy(np.array([3.0, 2.0, 1.0, 0.5])).round(3)
    array([0.088, 0.   ])
    """
    square = np.asarray(values).reshape(-1, np.shape(values)[-1]) ** 2
    tail = square[:, ::-1].cumsum(axis=-1)[:, ::-1].sum(axis=0)
    return np.append(tail[2::2], 0.0) / max(tail[0], np.finfo(float).tiny)


def measured_errors(path, reductions, outputs):
    """Squared relative changes of the outputs with one layer reduced, float64 (N,), of r = 1 to N.

    They are measured at N/2, N/4, ... modes; in between, the ratio to the Hankel tail of the
    reduction is interpolated, log-log. They never rise with the rank, and end with 0.
    """
    layer = reductions.layers[path]
    size = layer.state_size
    if size == 1:
        return np.zeros(1)
    rungs = sorted({size // 2**k for k in range(1, size.bit_length())})
    measured = []
    for rank in rungs:
        reduction = reductions.reduction(path, rank)
        with computing(layer, reduction.system):
            measured.append(outputs.change(outputs.model).relative_l2 ** 2)
    tail = np.maximum(tail_energy(reduction.hankel_singular_values), NOISE)
    measured = np.maximum(np.nan_to_num(measured, nan=np.inf, posinf=1e30), NOISE)
    ranks = np.arange(1, size + 1)
    ratio = np.log(measured) - np.log(tail[np.array(rungs) - 1])
    errors = tail * np.exp(np.interp(np.log(ranks), np.log(rungs), ratio))
    errors[-1] = 0.0
    return np.minimum.accumulate(errors)
