r"""Rounding of the output weights W of a DSS layer so that the errors of its modes cancel.

A change of W = p + i q by (dp, dq) changes the output of a feature by

    dy_k = sum_n Re(g_n s_nk) dp_n - Im(g_n s_nk) dq_n,     c_n = g_n W_n

so its mean square is a quadratic form in the changes, and the matrix of the form follows from the
Gramian of the states s: in closed form for white noise, or as measured on real inputs. Weights are
rounded one after another, and each error is undone as well as the weights that are left can.
"""

import numpy as np

from keras_dss import ssm
from keras_dss.compression.number_formats import LARGEST
from keras_dss.layers.parameters import residue_ratio

DAMPING = 1e-2  # of the mean of the diagonal: keeps what undoes an error in the range of int8


def output_metric(layer, system, gramian=None):
    """The matrix of `E dy^2` in the changes of `[Re W, Im W]` of each feature.

    Args:
        layer: a `DSS`. system: what `layer.to_system()` returns.
        gramian: of the states, (..., 2N, 2N), as `measure_gramians` returns it; None for the one
            that white noise drives, over the kernel length of a softmax layer.

    Returns:
        float64 array of shape (..., 2N, 2N).
    """
    if gramian is None:
        gramian = ssm.controllability_gramian(system, horizon=layer.kernel_length)
    n = system.num_modes
    step = layer.rate * np.exp(np.asarray(layer.log_dt.numpy(), "float64"))[:, None]  # (H, 1)
    re, im = (np.asarray(part.numpy(), "float64") for part in (layer.lambda_re, layer.lambda_im))
    re = -np.exp(re) if layer.parameterization == "exp" else re
    gain = step * residue_ratio(step * (re + 1j * im), layer.kernel_length)  # (..., N)
    left, right = gain[..., :, None], gain[..., None, :]
    x = left * gramian[..., :n, :n] * right.conj()  # mean t t^H of t = g s
    y = left * gramian[..., :n, n:] * right  # mean t t^T
    cross = 0.5 * (y - x).imag  # mean Re(t) Im(t)^T
    metric = np.block(
        [[0.5 * (x + y).real, -cross], [-np.swapaxes(cross, -1, -2), 0.5 * (x - y).real]]
    )
    return 0.5 * (metric + np.swapaxes(metric, -1, -2))


def round_in_metric(values, metric):
    """Integers near `values` whose errors cancel in a metric.

    With the metric M = E dy dy^T and the upper Cholesky factor U of its inverse, rounding entry k
    by e leaves the least error if the entries j > k move by -e U_kj / U_kk. Entries that matter
    most come first.

    Args:
        values: (B, K), in units of the scale. metric: (B, K, K).

    Returns:
        int8 array (B, K).

    Source: Hassibi and Stork (1993); Frantar et al., arXiv 2210.17323, for the order of operations.
    """
    diagonal = np.einsum("bkk->bk", metric)
    order = np.argsort(-diagonal, axis=-1, kind="stable")
    damping = DAMPING * np.maximum(diagonal.mean(axis=-1), np.finfo(float).tiny)
    metric = metric + damping[:, None, None] * np.eye(values.shape[-1])
    metric = np.take_along_axis(metric, order[:, :, None], axis=1)
    metric = np.take_along_axis(metric, order[:, None, :], axis=2)
    upper = np.swapaxes(np.linalg.cholesky(np.linalg.inv(metric)), -1, -2)  # (B, K, K)
    left = np.take_along_axis(np.asarray(values, "float64"), order, axis=1)
    rounded = np.zeros_like(left)
    for k in range(left.shape[-1]):
        rounded[:, k] = np.rint(left[:, k]).clip(-LARGEST, LARGEST)
        error = (left[:, k] - rounded[:, k]) / upper[:, k, k]
        left[:, k:] -= error[:, None] * upper[:, k, k:]
    integers = np.zeros(rounded.shape, "int8")
    np.put_along_axis(integers, order, rounded.astype("int8"), axis=1)
    return integers
