"""Layers in float64 by plain loops, from their weights alone."""

import numpy as np
from keras import ops


def numpy(tensor):
    """A tensor of any backend and float dtype as float64."""
    tensor = tensor if "float64" in str(tensor.dtype) else ops.cast(tensor, "float32")
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def weights(layer):
    """{name: float64 array} of the layer's float32 or float64 weights."""
    return {w.name: np.asarray(ops.convert_to_numpy(w), "float64") for w in layer.weights}


def modes(layer, values=None):
    """`(lam, x, W)` of every feature, complex128 (..., H, N): lambda, step * lambda, weights."""
    values = weights(layer) if values is None else values
    step = layer.rate * np.exp(values["log_dt"])[:, None]  # (H, 1)
    if layer.parameterization == "exp":
        lam = -np.exp(values["lambda_log_neg_re"]) + 1j * values["lambda_im"]
    else:
        lam = values["lambda_re"] + 1j * values["lambda_im"]
    W = values["W"][..., 0] + 1j * values["W"][..., 1]
    return np.broadcast_to(lam, W.shape), np.broadcast_to(step * lam, W.shape), W


def kernel(layer, length, values=None):
    """K_l = Re sum_n W_n / lambda_n (exp(x_n) - 1) exp(l x_n), or with softmax
    K_l = Re sum_n W_n / lambda_n exp(l x_n) / sum_m exp(m x_n); (..., H, length)."""
    lam, x, W = modes(layer, values)
    taps = np.zeros((*W.shape[:-1], length))
    for index in np.ndindex(*W.shape[:-1]):
        for n in range(W.shape[-1]):
            pole, weight = x[index][n], W[index][n] / lam[index][n]
            if layer.parameterization == "exp":
                powers = np.exp(pole * np.arange(length)) * (np.exp(pole) - 1.0)
            else:
                shift = max(pole.real, 0.0) * (layer.kernel_length - 1)
                powers = np.exp(pole * np.arange(layer.kernel_length) - shift)
                powers = powers[:length] / powers.sum()
            taps[index] += (weight * powers).real
    return taps


def outputs(layer, inputs, mask=None, values=None):
    """y_k = sum_l K_l u_{k-l} + sum_l K'_l u_{k+1+l} + D u_k step by step; (B, L, H)."""
    values = weights(layer) if values is None else values
    u = np.array(inputs, "float64")
    valid = np.ones(u.shape[:2], bool) if mask is None else np.asarray(mask)
    u[~valid] = 0.0
    length = u.shape[1]
    taps = kernel(layer, length, values)
    forward, backward = taps if layer.bidirectional else (taps, None)
    y = u * values["D"]
    for k in range(length):
        for j in range(length):
            if j <= k:
                y[:, k] += forward[:, k - j] * u[:, j]
            elif backward is not None:
                y[:, k] += backward[:, j - k - 1] * u[:, j]
    y[~valid] = 0.0
    return y


def recurrence(layer, inputs):
    """The same of a causal layer by s_k = a s_{k-1} + u_k; (B, L, H)."""
    lam, x, W = modes(layer)
    a = np.exp(x)  # (H, N)
    if layer.parameterization == "exp":
        c = W / lam * (a - 1.0)
    else:
        c = W / lam / np.stack([a**m for m in range(layer.kernel_length)]).sum(axis=0)
    D, u = weights(layer)["D"], np.asarray(inputs, "float64")
    state = np.zeros((u.shape[0], *a.shape), complex)
    y = np.zeros_like(u)
    for k in range(u.shape[1]):
        state = a * state + u[:, k, :, None]
        y[:, k] = (c * state).sum(axis=-1).real + D * u[:, k]
    return y


def relative_error(found, expected):
    """max |K - K*| / max |K*| over the last axis, of the worst feature."""
    error = np.abs(np.asarray(found, "float64") - expected).max(axis=-1)
    return (error / np.abs(expected).max(axis=-1)).max()


def gradient(function, values, step=1e-6):
    """Central differences of a scalar function of {name: float64 array}."""
    result = {}
    for name, value in values.items():
        result[name] = np.zeros_like(value)
        for index in np.ndindex(*value.shape):
            moved = []
            for sign in (1.0, -1.0):
                shifted = value.copy()
                shifted[index] += sign * step
                moved.append(function(values | {name: shifted}))
            result[name][index] = (moved[0] - moved[1]) / (2.0 * step)
    return result
