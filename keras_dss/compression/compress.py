"""`compress_model`: reduce the DSS layers of a model and rebuild it around them."""

import numpy as np

from keras_dss.compression.calibration import measure_gramians
from keras_dss.compression.methods import check_method, reduce_layer
from keras_dss.compression.ranks import resolve_ranks
from keras_dss.compression.rebuild import find_dss_layers, rebuild
from keras_dss.compression.report import CompressionReport, LayerReport
from keras_dss.layers.dss import reduced_config


def compress_model(
    model, rank, *, method="balanced", calibration=None, return_report=False, batch_size=32
):
    """A new model whose DSS layers have fewer modes; the given one stays as it is.

    Every DSS layer becomes a layer with eigenvalues of its own for each feature, built with
    `keras_dss.initializers.ReducedRank`. All other weights are copied bit for bit. The result is an
    ordinary, uncompiled Keras model: compile it and train it on, or use it as it is.

    Method `"balanced"` balances the real system of each feature. With exact Gramians its error
    obeys `sigma_{r+1} <= ||G - G_r||_inf <= 2 (sigma_{r+1} + ...)`. With `calibration`, the
    controllability Gramian is the one that the layer's real inputs drive, measured on these
    sequences: what real inputs never excite is dropped first. The bound is then the certified
    H-infinity error itself. The baselines are `"modal"` (modes of largest H2 energy),
    `"modal_refit"` (the same with residues fitted anew in H2) and `"complex"` (balancing of the
    complex modes alone, as if outputs were complex). A layer of parameterization `"softmax"` is
    balanced over its finite kernel length.

    Args:
        model: a built `keras.Model` that serialises, with DSS layers at any depth.
        rank: modes to keep in each feature: an int from 1 to N, a fraction of N in (0, 1], or a
            mapping from layer names or paths to either; layers not in the mapping stay.
        method: one of `METHODS`.
        calibration: unlabelled inputs of the model: an array, a list of arrays for several inputs,
            or batches (a `keras.utils.PyDataset`, a `tf.data.Dataset`, any iterable of batches; of
            a tuple `(x, y)` only x is used).
        return_report: also return the report.
        batch_size: sequences at a time while measuring, for calibration given as arrays.

    Returns:
        The new model; with `return_report=True` the pair of it and a `CompressionReport`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for a rank that does not fit, an unknown method or layer name, a model without
            DSS layers, weights that are not finite, or a model that cannot be rebuilt from its
            configuration; the message names the layer.
        keras_dss.ssm.UnstableSystemError: for a layer with a pole on or outside the unit circle.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=16)
    >>> small, report = compress_model(model, rank=4, return_report=True)
    >>> [(layer.rank_before, layer.rank_after) for layer in report.layers]
    [(16, 4), (16, 4)]

    Source: Ezoe and Sato, arXiv 2402.15993, for balanced truncation of DSS layers as a start for
    training; Moore (1981) for the method.
    """
    check_method(method, calibration is not None)
    layers = find_dss_layers(model)
    ranks = resolve_ranks(layers, rank)
    chosen = {path: layer for path, layer in layers.items() if ranks[path] is not None}
    systems = {path: _system(path, layer) for path, layer in chosen.items()}
    gramians = {}
    if calibration is not None:
        gramians = measure_gramians(model, chosen, systems, calibration, batch_size)
    configs, rows = {}, []
    for path, layer in layers.items():
        if ranks[path] is None:
            rows.append(LayerReport.skipped(path, layer, "not in the mapping of ranks"))
        elif ranks[path] == layer.state_size:
            rows.append(LayerReport.skipped(path, layer, "the rank is the state size"))
        else:
            system = systems[path]
            reduction = reduce_layer(
                path, layer, system, ranks[path], method, gramian=gramians.get(path)
            )
            log_dt = np.asarray(layer.log_dt.numpy(), "float64")
            configs[path] = reduced_config(layer, reduction.system, log_dt)
            rows.append(LayerReport.reduced(path, layer, system, reduction))
    new = rebuild(model, layers, configs)
    report = CompressionReport(
        model=model.name,
        method=method,
        calibrated=calibration is not None,
        layers=tuple(rows),
        parameters_before=model.count_params(),
        parameters_after=new.count_params(),
    )
    return (new, report) if return_report else new


def _system(path, layer):
    try:
        return layer.to_system()
    except ValueError as error:
        raise ValueError(f"Layer {path!r} cannot be reduced: {error}") from error
