"""`prune_model`: the smallest weights of dense layers become zero, without training."""

import numbers

import numpy as np

from keras_dss.compression.copying import copy_model
from keras_dss.compression.number_formats import pack
from keras_dss.compression.weight_report import (
    BytesReport,
    WeightReport,
    is_float,
    to_numpy,
    weight_owners,
)

SCOPES = ("global", "layer")


def prune_model(model, sparsity, *, scope="global", return_report=False):
    """A new model with the smallest entries of its `Dense` kernels zero; the given one stays.

    The new model is an ordinary one: training it on fills the zeros again. Followed by
    `quantize_model` the zeros stay zero, and its report counts the bytes of both.

    Args:
        model: a built `keras.Model` that serialises.
        sparsity: the share of the entries to make zero, in [0, 1).
        scope: `"global"` compares the magnitudes over all kernels, so that some lose more than
            others; `"layer"` takes the same share of every kernel.
        return_report: also return the report.

    Returns:
        The new model; with `return_report=True` the pair of it and a `BytesReport`, all weights in
        float32, sparse ones as a bitmap and the entries that are not zero.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for another sparsity or scope, a model without `Dense` kernels of floats,
            weights that are not finite, or a model that cannot be made from its configuration.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=16)
    >>> small, report = prune_model(model, 0.5, scope="layer", return_report=True)
    >>> [(weight.path, weight.shape, weight.zeros) for weight in report.weights[-2:-1]]
    [('logits/kernel', (8, 10), 40)]

    Source: Han et al., arXiv 1506.02626, for pruning by magnitude.
    """
    if (
        not isinstance(sparsity, numbers.Real)
        or isinstance(sparsity, bool)
        or not (0.0 <= sparsity < 1.0)
    ):
        raise ValueError(f"`sparsity` must be in [0, 1). Received: sparsity={sparsity!r}")
    if scope not in SCOPES:
        raise ValueError(f"`scope` must be one of {SCOPES}. Received: scope={scope!r}")
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
    groups = [kernels] if scope == "global" else [{i: kernel} for i, kernel in kernels.items()]
    for group in groups:
        for i, kept in _kept(group, sparsity).items():
            kernels[i] = kernels[i] * kept
            new.weights[i].assign(kernels[i])
    rows = (
        WeightReport.stored(weight, owners[id(weight)][1], pack(to_numpy(target), "float32"))
        if is_float(weight)
        else WeightReport.kept(weight)
        for weight, target in zip(model.weights, new.weights, strict=True)
    )
    report = BytesReport(model=model.name, weights=tuple(rows))
    return (new, report) if return_report else new


def _kept(kernels, sparsity):
    """Which entries stay, by the kernels' keys: all but the `round(sparsity n)` smallest."""
    sizes = np.concatenate([np.abs(kernel).reshape(-1) for kernel in kernels.values()])
    kept = np.ones(sizes.shape, bool)
    kept[np.argsort(sizes, kind="stable")[: round(sparsity * len(sizes))]] = False
    ends = np.cumsum([kernel.size for kernel in kernels.values()])
    parts = np.split(kept, ends[:-1])
    return {
        i: part.reshape(kernel.shape)
        for part, (i, kernel) in zip(parts, kernels.items(), strict=True)
    }
