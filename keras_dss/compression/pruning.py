"""`prune_model`: weights of dense layers become zero, without training."""

import numbers

import numpy as np

from keras_dss.compression.calibration import check_batch_size, input_batches
from keras_dss.compression.copying import copy_model
from keras_dss.compression.dense_inputs import Moments, dense_inputs
from keras_dss.compression.number_formats import pack
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.compression.surgery import refitted, removal_costs
from keras_dss.compression.weight_report import (
    BytesReport,
    WeightReport,
    is_float,
    to_numpy,
    weight_owners,
)

SCOPES = ("layer", "global")


def prune_model(
    model, sparsity, *, scope=None, calibration=None, batch_size=None, return_report=False
):
    """A new model with entries of its `Dense` kernels zero; the given one stays as it is.

    Without calibration the smallest entries go. With it those go that the layers' outputs miss
    least on real inputs, once the entries that stay, and the biases, make up for them as well as
    they can, also for what layers before have lost (see `keras_dss.compression.surgery`).

    The new model is an ordinary one: training it on fills the zeros again. Followed by
    `quantize_model` the zeros stay zero, and its report counts the bytes of both.

    Args:
        model: a built `keras.Model` that serialises.
        sparsity: the share of the entries to make zero, in [0, 1).
        scope: `"layer"` takes the same share of every kernel; `"global"` compares them: magnitudes,
            or with calibration the changes of outputs relative to the variance of each layer's. By
            default `"global"` with calibration and `"layer"` without: magnitudes of different
            layers say little about each other.
        calibration: unlabelled inputs of the model, as in `compress_model`.
        batch_size: sequences at a time while measuring, for calibration given as arrays; by default
            as many as pass a layer fast, at most 32.
        return_report: also return the report.

    Returns:
        The new model; with `return_report=True` the pair of it and a `BytesReport`, all weights in
        float32, sparse ones as a bitmap and the entries that are not zero.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for another sparsity or scope, a model without `Dense` kernels of floats,
            weights or inputs that are not finite, calibration inputs that do not reach a layer or,
            like a `batch_size`, do not fit, or a model that cannot be made from its configuration.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=16)
    >>> small, report = prune_model(model, 0.5, return_report=True)
    >>> [(weight.path, weight.shape, weight.zeros) for weight in report.weights[-2:-1]]
    [('logits/kernel', (8, 10), 40)]

    Source: Han et al., arXiv 1506.02626, for pruning by magnitude; Frantar and Alistarh,
    arXiv 2208.11580, for pruning on calibration inputs.
    """
    if (
        not isinstance(sparsity, numbers.Real)
        or isinstance(sparsity, bool)
        or not (0.0 <= sparsity < 1.0)
    ):
        raise ValueError(f"`sparsity` must be in [0, 1). Received: sparsity={sparsity!r}")
    if scope is None:
        scope = "layer" if calibration is None else "global"
    if scope not in SCOPES:
        raise ValueError(f"`scope` must be one of {SCOPES}. Received: scope={scope!r}")
    check_batch_size(batch_size)
    new = copy_model(model)
    owners = weight_owners(model)
    kernels = {}
    for i, weight in enumerate(model.weights):
        if owners[id(weight)][1] == "kernel" and is_float(weight):
            kernels[i] = to_numpy(weight)
            if not np.isfinite(kernels[i]).all():
                raise ValueError(
                    f"Weight {weight.path!r} must be finite to be pruned. Received: NaN or infinity"
                )
    if not kernels:
        raise ValueError(
            f"Model {model.name!r} has no Dense kernel of floats to prune. Received: layers "
            f"{[layer.name for layer in model.layers]}"
        )
    if calibration is None:
        ranking = {i: np.abs(kernel) for i, kernel in kernels.items()}
        for i, kept in _kept(ranking, sparsity, scope).items():
            new.weights[i].assign(kernels[i] * kept)
    else:
        _operate(model, new, kernels, sparsity, scope, calibration, batch_size)
    rows = (
        WeightReport.stored(weight, owners[id(weight)][1], pack(to_numpy(target), "float32"))
        if is_float(weight)
        else WeightReport.kept(weight)
        for weight, target in zip(model.weights, new.weights, strict=True)
    )
    report = BytesReport(model=model.name, weights=tuple(rows))
    return (new, report) if return_report else new


def _operate(model, new, kernels, sparsity, scope, calibration, batch_size):
    """Removes entries in the order of what they cost the outputs, layer after layer."""
    dense, new_dense = (_layers(m, kernels) for m in (model, new))
    dss = find_dss_layers(model, required=False)
    batches = list(input_batches(model, calibration, batch_size, dss))
    moments = {i: Moments(len(kernels[i]), layer.use_bias) for i, layer in dense.items()}
    for batch in batches:
        called = dense_inputs(model, dense, batch)
        for i, vectors in called.items():
            moments[i].add(vectors)
    orders, ranking = {}, {}
    for i, kernel in kernels.items():
        metric = moments[i].matrix
        orders[i], costs = removal_costs(kernel, metric)
        costs = np.maximum.accumulate(costs, axis=0)  # no entry before those it goes after
        power = np.einsum("io,ij,jo->", kernel, metric, kernel)
        ranking[i] = costs / max(power, np.finfo("float32").tiny)
    stays = _kept(ranking, sparsity, scope)
    for i in called:
        kept = np.zeros(stays[i].shape, bool)
        np.put_along_axis(kept, orders[i], stays[i], axis=0)
        size, layer = len(kept), dense[i]
        both = Moments(2 * size, layer.use_bias)
        for batch in batches:
            z = dense_inputs(new, {i: new_dense[i]}, batch)[i]
            both.add(np.concatenate([z, dense_inputs(model, {i: layer}, batch)[i]], axis=1))
        metric, cross = both.matrix[:size, :size], both.matrix[:size, size:]
        kernel = refitted(kernels[i], metric, kept, cross)
        new.weights[i].assign(kernel)
        if layer.use_bias:  # the mean output stays
            shift = both.mean[size:] @ kernels[i] - both.mean[:size] @ kernel  # (O,)
            new_dense[i].bias.assign(to_numpy(layer.bias) + shift)


def _layers(model, indices):
    """The layers of weights, by the weights' indices in the model."""
    owners = weight_owners(model)
    return {i: owners[id(model.weights[i])][0] for i in indices}


def _kept(ranking, sparsity, scope):
    """Which entries stay, by the kernels' keys: all but the `round(sparsity n)` lowest."""
    if scope == "layer":
        return {i: _highest([values], sparsity)[0] for i, values in ranking.items()}
    return dict(zip(ranking, _highest(list(ranking.values()), sparsity), strict=True))


def _highest(arrays, sparsity):
    """Where the entries are, of arrays together; the first ones go among equals."""
    sizes = np.concatenate([values.reshape(-1) for values in arrays])
    kept = np.ones(sizes.shape, bool)
    kept[np.argsort(sizes, kind="stable")[: round(sparsity * len(sizes))]] = False
    parts = np.split(kept, np.cumsum([values.size for values in arrays])[:-1])
    return [part.reshape(values.shape) for part, values in zip(parts, arrays, strict=True)]
