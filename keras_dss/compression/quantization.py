"""`quantize_model`: weights rounded to 8 or 16 bits, without training."""

import numpy as np

from keras_dss.compression.calibration import check_batch_size, measure_gramians
from keras_dss.compression.copying import copy_model
from keras_dss.compression.number_formats import FORMATS, int8_scales, pack, pack_int8
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.compression.rounding import output_metric, round_in_metric
from keras_dss.compression.weight_report import (
    ROLES,
    BytesReport,
    WeightReport,
    is_float,
    to_numpy,
    weight_owners,
)

# lambda_im and log_dt turn into phases that grow with the length: 8 bits destroy a model.
PRESETS = {
    "float32": dict.fromkeys(ROLES, "float32"),
    "float16": dict.fromkeys(ROLES, "float16") | {"log_dt": "float32"},
    "int8": dict.fromkeys(ROLES, "float16")
    | dict.fromkeys(("kernel", "embeddings", "W", "lambda_log_neg_re"), "int8")
    | {"log_dt": "float32"},
}
# Axes that share a scale of W, (..., H, N, 2): the modes of a feature, the features, or neither.
SCALES = ((-2, -1), (-3, -1), (-1,))
LOSS = 0.05  # of the layer's output: what one may cost where others cost less


def quantize_model(
    model, formats="int8", *, calibration=None, batch_size=None, return_report=False
):
    """A new model whose weights are numbers of 8 or 16 bits; the given one stays as it is.

    The new model holds the rounded numbers as floats of its own dtype: it runs, trains, saves and
    compresses as before on every backend. The report counts the bytes that the numbers take,
    sparse ones (see `prune_model`) as a bitmap and the entries that are not zero.

    int8 is symmetric with a float32 scale for each output of a `Dense` kernel, each row of an
    `Embedding`, each feature of a DSS layer. Kernels and embeddings are rounded to nearest, to the
    very integers that Keras' own `model.quantize("int8")` finds, so that this afterwards stores
    and multiplies them as int8. W of a DSS layer is rounded so that the errors of its modes cancel
    in the output, see `keras_dss.compression.rounding`.

    Args:
        model: a built `keras.Model` that serialises.
        formats: `"int8"`, `"float16"` or `"float32"`: what each kind of weight stands, found by
            measurement (`python -m benchmarks.bytes --table=sensitivity`): `"int8"` leaves
            `lambda_im`, `D` and what is no matrix at 16 bits, and `log_dt` always stays float32. Or
            a mapping from `ROLES` to formats; what it leaves out is float32.
        calibration: unlabelled inputs of the model, as in `compress_model`: the outputs that
            matter in the rounding of W are then those of real inputs, not those of white noise.
        batch_size: sequences at a time while measuring, for calibration given as arrays; by default
            as many as pass a layer fast, at most 32.
        return_report: also return the report.

    Returns:
        The new model; with `return_report=True` the pair of it and a `BytesReport`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: for unknown roles or formats, weights that are not finite, numbers above the
            range of float16, calibration inputs or a `batch_size` that do not fit, or a model that
            cannot be made from its configuration.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=16)
    >>> small, report = quantize_model(model, return_report=True)
    >>> report.bytes_before, report.bytes_after
    (3624, 1184)
    """
    formats = _formats(formats)
    check_batch_size(batch_size)
    new = copy_model(model)
    gramians = {}
    if calibration is not None and formats["W"] == "int8":
        gramians = _measure(model, calibration, batch_size)
    owners, new_owners = weight_owners(model), weight_owners(new)
    packed = {}
    # W comes after the lambda and dt of its layer
    order = sorted(range(len(model.weights)), key=lambda i: model.weights[i].name == "W")
    for i in order:
        weight, target = model.weights[i], new.weights[i]
        layer, role = owners[id(weight)]
        if not is_float(weight):
            continue
        if role == "W" and formats[role] == "int8":
            packed[i] = _pack_outputs(weight, new_owners[id(target)][0], gramians.get(id(layer)))
        else:
            packed[i] = _pack(weight, role, formats[role])
        target.assign(packed[i].unpack())
    rows = (
        WeightReport.stored(weight, owners[id(weight)][1], packed[i])
        if i in packed
        else WeightReport.kept(weight)
        for i, weight in enumerate(model.weights)
    )
    report = BytesReport(model=model.name, weights=tuple(rows))
    return (new, report) if return_report else new


def _formats(given):
    if isinstance(given, str):
        if given not in PRESETS:
            raise ValueError(
                f"`formats` must be one of {tuple(PRESETS)} or a mapping. Received: {given!r}"
            )
        return PRESETS[given]
    given = dict(given)
    if unknown := sorted(set(given) - set(ROLES)):
        raise ValueError(f"`formats` maps from {ROLES}. Received: {unknown}")
    if unknown := sorted(set(given.values()) - set(FORMATS)):
        raise ValueError(f"`formats` maps to {FORMATS}. Received: {unknown}")
    return PRESETS["float32"] | given


def _measure(model, calibration, batch_size):
    """Gramians by the ids of the layers."""
    layers = find_dss_layers(model, required=False)
    systems = {path: layer.to_system() for path, layer in layers.items()}
    gramians = measure_gramians(model, layers, systems, calibration, batch_size)
    return {id(layers[path]): gramian for path, gramian in gramians.items()}


def _pack(weight, role, number_format):
    value = to_numpy(weight)
    axes = {"kernel": (0,), "W": (-2, -1)}.get(role, (-1,))
    try:
        return pack(value, number_format, axes if value.ndim else None)
    except ValueError as error:
        raise ValueError(f"Weight {weight.path!r} cannot be rounded: {error}") from error


def _pack_outputs(weight, layer, gramian):
    """W in int8, the errors of the modes cancelling; `layer` has its other weights rounded.

    The modes of a feature share a scale, except where that costs too much of the layer's output:
    of a mode that hardly responds W may be thousands of times as large as the others.
    """
    value = to_numpy(weight)  # (..., H, N, 2)
    metric = output_metric(layer, layer.to_system(), gramian)  # (..., H, 2N, 2N)
    metric = metric.reshape(-1, *metric.shape[-2:])  # (B, 2N, 2N)
    columns = _columns(value)
    size, found = _energy(columns, metric), []
    for axes in SCALES:
        scales = int8_scales(value, axes)
        each = _columns(np.broadcast_to(scales, value.shape))
        ratio = each / each[:, :1]
        scaled = ratio[:, :, None] * metric * ratio[:, None, :]
        integers = round_in_metric(columns / each, scaled)  # (B, 2N)
        error = _energy(integers * each - columns, metric)
        parts = integers.reshape(*value.shape[:-2], 2, value.shape[-2])
        packed = pack_int8(np.ascontiguousarray(np.swapaxes(parts, -1, -2)), scales)
        found.append((error, packed))
        if error <= LOSS**2 * size:
            return packed
    return min(found, key=lambda pair: pair[0])[1]


def _columns(value):
    """(..., N, 2) -> (B, 2N), the real parts first."""
    return np.swapaxes(value, -1, -2).reshape(-1, 2 * value.shape[-2])


def _energy(columns, metric):
    return float(np.einsum("bi,bij,bj->", columns, metric, columns))
