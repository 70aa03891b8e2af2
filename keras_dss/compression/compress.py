"""`compress_model`: reduce the DSS layers of a model and rebuild it around them."""

from keras_dss.compression.calibration import check_batch_size, measure_inputs
from keras_dss.compression.methods import METHODS, check_method, reduce_layer
from keras_dss.compression.outputs import Outputs
from keras_dss.compression.ranks import resolve_ranks
from keras_dss.compression.rebuild import find_dss_layers, rebuild
from keras_dss.compression.reductions import Reductions, flat
from keras_dss.compression.report import CompressionReport, LayerReport
from keras_dss.compression.sensitivity import Budget, ranks_within_budget
from keras_dss.compression.tolerance import ranks_within_tolerance

KEPT = "the rank is the state size"


def compress_model(
    model,
    rank=None,
    *,
    tolerance=None,
    budget=None,
    method="balanced",
    calibration=None,
    horizon=None,
    refit=None,
    seed=0,
    return_report=False,
    batch_size=None,
):
    """A new model whose DSS layers have fewer modes; the given one stays as it is.

    Every DSS layer becomes a layer with eigenvalues of its own for each feature, built with
    `keras_dss.initializers.ReducedRank`. All other weights are copied bit for bit. The result is an
    ordinary, uncompiled Keras model: compile it and train it on, or use it as it is.

    How many modes a layer keeps is said by exactly one of `rank`, `tolerance` and `budget`.

    Method `"balanced"` balances the real system of each feature. With exact Gramians its error
    obeys `sigma_{r+1} <= ||G - G_r||_inf <= 2 (sigma_{r+1} + ...)`. With `calibration`, the
    controllability Gramian is the one that the layer's real inputs drive, measured on these
    sequences: what real inputs never excite is dropped first. The bound is then the certified
    H-infinity error itself. `keras_dss.compression.METHODS` says what the others are. A layer of
    parameterization `"softmax"` is balanced over its finite kernel length, its growing modes as
    they are seen backwards from the last lag.

    Args:
        model: a built `keras.Model` that serialises, with DSS layers at any depth.
        rank: modes to keep in each feature: an int from 1 to N, a fraction of N in (0, 1], or a
            mapping from layer names or paths to either; layers not in the mapping stay.
        tolerance: largest H-infinity error of each layer relative to its norm, in (0, 1), or a
            mapping as for `rank`. Each layer gets the smallest rank whose certified error keeps
            within it, float32 rounding of the weights included; one that no smaller rank keeps
            within it stays as it is.
        budget: most states of the new model, modes times features times directions over all DSS
            layers: an int, a fraction in (0, 1] of those before, or a
            `keras_dss.compression.Budget` of states or parameters. It is spread over the layers
            where reducing them changes the outputs on the calibration inputs most (with any
            method), without calibration where most of the Hankel energy is.
        method: a name in `keras_dss.compression.METHODS`.
        calibration: unlabelled inputs of the model: an array, a list of arrays for several inputs,
            or batches (a `keras.utils.PyDataset`, a `tf.data.Dataset`, any iterable of batches; of
            a tuple `(x, y)` only x is used, also of the lists that a torch `DataLoader` makes). The
            report compares the outputs on the first 64.
        horizon: number of steps that count, for methods that take one; None for all.
        refit: None, or `"kernel"` or `"calibration"`: residues are fitted anew at the reduced
            poles, D with them, by least squares of the impulse response, or of the layer's outputs
            on the calibration inputs.
        seed: of `method="random"`, and of starts that are drawn.
        return_report: also return the report.
        batch_size: sequences at a time while measuring, for calibration given as arrays; by default
            as many as pass a layer fast, at most 32.

    Returns:
        The new model; with `return_report=True` the pair of it and a `CompressionReport`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for a rank, tolerance, budget or batch size that does not fit, or not exactly
            one of the first three; a tolerance that no layer attains at a smaller rank, naming the
            best there is; calibration without a sequence, or of another number of arrays than the
            model has inputs; an unknown method or layer name; a model without DSS layers, weights
            that are not finite, or a model that cannot be rebuilt from its configuration; the
            message names the layer.
        keras_dss.ssm.UnstableSystemError: for a layer with a pole on or outside the unit circle.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=16)
    >>> small, report = compress_model(model, rank=4, return_report=True)
    >>> [(layer.rank_before, layer.rank_after) for layer in report.layers]
    [(16, 4), (16, 4)]
    >>> small, report = compress_model(model, tolerance=0.5, return_report=True)
    >>> all(layer.hinf_error <= 0.5 * layer.hinf_norm for layer in report.layers)
    True
    >>> small, report = compress_model(model, budget=100, return_report=True)
    >>> report.states_before, report.states_after <= 100
    (256, True)

    Source: Ezoe and Sato, arXiv 2402.15993, for balanced truncation of DSS layers as a start for
    training; Moore (1981) for the method.
    """
    compared = budget is not None
    how = check_method(method, calibration is not None, horizon, refit, compared=compared)
    target = _target(rank=rank, tolerance=tolerance, budget=budget)
    check_batch_size(batch_size)
    layers = find_dss_layers(model)
    chosen, ranks, reasons = layers, {}, {}
    if rank is not None:
        ranks = resolve_ranks(layers, rank)
        chosen = {path: layer for path, layer in layers.items() if ranks[path] is not None}
    systems = {path: _system(path, layer) for path, layer in chosen.items()}
    inputs, outputs = {}, None
    if calibration is not None:
        outputs = Outputs(model)
        measured = chosen if how.calibrated or refit == "calibration" else {}
        inputs = measure_inputs(
            model,
            measured,
            systems,
            calibration,
            batch_size,
            call=outputs.watched,
            sequences=how.sequences or refit == "calibration",
        )
    options = {"horizon": horizon, "refit": refit, "seed": seed, "stable": tolerance is not None}
    reductions = _reductions(chosen, systems, method, inputs, options)
    if tolerance is not None:
        ranks, reasons = ranks_within_tolerance(reductions, tolerance)
    elif budget is not None:
        ranks = ranks_within_budget(model, reductions, budget, how.eigenvalues, outputs)
    smaller = {k: r for k, r in ranks.items() if r is not None and r < layers[k].state_size}
    configs = {path: reductions.config(path, rank) for path, rank in smaller.items()}
    new = rebuild(model, layers, configs)
    if not return_report:
        return new

    def row(path, layer):
        if path in smaller:
            return LayerReport.reduced(path, smaller[path], reductions)
        what = "rank" if tolerance is None else "tolerance"
        kept = reasons.get(path, KEPT)
        reason = f"not in the mapping of {what}s" if ranks[path] is None else kept
        return LayerReport.skipped(path, layer, reason)

    report = CompressionReport(
        model=model.name,
        method=method,
        calibrated=bool(inputs),
        target=target,
        layers=tuple(row(path, layer) for path, layer in layers.items()),
        parameters_before=model.count_params(),
        parameters_after=new.count_params(),
        outputs=outputs and outputs.change(new),
    )
    return new, report


def _target(**given):
    """What was asked for, in words; checks that it is one thing, and a budget's form."""
    found = {name: value for name, value in given.items() if value is not None}
    if len(found) != 1:
        received = ", ".join(f"{name}={value!r}" for name, value in found.items()) or "none of them"
        raise ValueError(
            f"Expected exactly one of rank, tolerance and budget. Received: {received}"
        )
    ((name, value),) = found.items()
    if name == "budget":
        value = Budget.of(value)
        return f"budget {value.amount:,} {'of the ' * isinstance(value.amount, float)}{value.unit}"
    return f"{name} {value}"


def _system(path, layer):
    try:
        return layer.to_system()
    except ValueError as error:
        raise ValueError(f"Layer {path!r} cannot be reduced: {error}") from error


def _reductions(layers, systems, method, inputs, options):
    """The `Reductions` of a model by one method."""

    def reduce(path, rank, features=None):
        system, measured = systems[path], inputs.get(path)
        if features is not None:
            system = flat(system, features)
            measured = measured and measured.at(features)
        return reduce_layer(path, layers[path], system, rank, method, inputs=measured, **options)

    apart = METHODS[method].apart and options["refit"] is None
    return Reductions(layers, systems, reduce, reduce if apart else None)
