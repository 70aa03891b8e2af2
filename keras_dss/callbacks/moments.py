"""Second moments of gradients before and after a reduction.

A gradient reaches the modes of a feature through its impulse response K alone: with the gradient g
of the loss for K, a parameter p that changes K by u = dK/dp has the gradient <g, u>, and the second
moments that an optimizer keeps of it give the energy of g in the direction of u,

    e = E <g, u>^2 / ||u||^2.

For `K_l = Re sum_n c_n a_n^l` the directions are those of a^l for W, and of l a^l, nearly, for
lambda. At the pole of a new mode, e is taken as the mean over the former modes of the feature,
weighted by the fourth power of the cosine of the angle between the modes,

    cos^2 = (1 - |a|^2)(1 - |b|^2) / |1 - a conj(b)|^2,

and each new parameter has the second moment e ||u||^2. `benchmarks/second_moments.py` compares them
with measured ones.

First moments are left at zero. Their memory is some ten steps, and nothing carries them over: the
gradients at the former poles do not determine those at new ones. Second moments at zero would do
harm: Adam corrects its bias by the count of all steps, and would go up to six times too far for a
thousand steps.
"""

import numpy as np

from keras_dss.layers.parameters import residue_ratio

STEP = 1e-6  # of the difference that stands for the derivative of the residues
TINY = 1e-30


class Moments:
    """The modes of a layer as it is now, to carry second moments from.

    Args:
        layer: a built `DSS` layer.
    """

    def __init__(self, layer):
        self.before = _modes(layer)

    def carried_to(self, layer, squares):
        """Second moments of other modes.

        Args:
            layer: the same layer, or one like it, with other modes.
            squares: dict of the former second moments, arrays of the shapes of `lambda_re`,
                `lambda_im` and `W`.

        Returns:
            dict of float64 arrays of the layer's shapes.
        """
        before, after = self.before, _modes(layer)
        weights = _squared_cosines(after, before) ** 2 + TINY  # (..., H, r, N)
        weights = weights / weights.sum(axis=-1, keepdims=True)

        def carried(energy):
            return (weights * energy[..., None, :]).sum(axis=-1)  # (..., H, r)

        squares = {name: np.asarray(value, "float64") for name, value in squares.items()}
        energy = squares["W"].sum(axis=-1) / np.maximum(before["W"], TINY)
        moments = {"W": np.repeat(0.5 * (carried(energy) * after["W"])[..., None], 2, axis=-1)}
        for name in ("lambda_re", "lambda_im"):
            former = squares[name]
            expected = _summed(energy * before[name], former.ndim)  # a weight may be shared
            ratio = former / np.maximum(expected, TINY)
            value = carried(energy * ratio) * after[name]
            moments[name] = _summed(value, len(layer.lambda_im.shape))
        return moments


def _modes(layer):
    """Decaying modes in float64, those that grow as seen backwards from the last tap.

    Returns:
        dict of arrays (..., H, N): `poles`, `gap` = 1 - |a|^2, `grows`, and ||dK/dp||^2 of the
        weights `W` (both parts together), `lambda_re` and `lambda_im`.
    """
    step = layer.rate * np.exp(_numpy(layer.log_dt))[:, None]  # (H, 1)
    real, weights = _numpy(layer.lambda_re), _numpy(layer.W)
    exp = layer.parameterization == "exp"
    real = -np.exp(real) if exp else real
    weights = weights[..., 0] + 1j * weights[..., 1]  # (..., H, N)
    real = np.broadcast_to(real, weights.shape)
    x = step * (real + 1j * _numpy(layer.lambda_im))
    grows = x.real > 0.0

    def gain(x):  # dc / dW
        ratio = step * residue_ratio(x, layer.kernel_length)
        if exp:
            return ratio
        turn = (layer.kernel_length - 1) * np.where(grows, x, 0.0)
        return ratio * np.exp(np.minimum(turn.real, 600.0) + 1j * turn.imag)

    # K_l = c a^l: dK_l/dlambda = (c' + l c s) a^l with s = dlog(a)/dlambda, and for q = |a|^2
    # sum_l l q^l = q / (1 - q)^2, sum_l l^2 q^l = q (1 + q) / (1 - q)^3
    gap = np.maximum(-np.expm1(-2.0 * np.abs(x.real)), 1e-12)
    q = 1.0 - gap
    change = weights * step * (gain(x + STEP) - gain(x - STEP)) / (2.0 * STEP)
    growth = weights * gain(x) * step * np.where(grows, -1.0, 1.0)
    slope = (
        np.abs(change) ** 2 / gap
        + 2.0 * (change * growth.conj()).real * q / gap**2
        + np.abs(growth) ** 2 * q * (1.0 + q) / gap**3
    )
    slope = np.maximum(slope, 0.0)
    return {
        "poles": np.exp(np.where(grows, -x, x)),
        "gap": gap,
        "grows": grows,
        "W": np.abs(gain(x)) ** 2 / gap,
        "lambda_im": 0.5 * slope,
        "lambda_re": 0.5 * slope * (real**2 if exp else 1.0),
    }


def _numpy(weight):
    return np.asarray(weight.numpy(), "float64")


def _squared_cosines(after, before):
    """Squared cosines of the angles between modes, or their conjugates, (..., H, r, N)."""
    gaps = after["gap"][..., :, None] * before["gap"][..., None, :]
    near = sum(
        gaps / np.abs(1.0 - after["poles"][..., :, None] * poles[..., None, :]) ** 2
        for poles in (before["poles"], before["poles"].conj())
    )
    return near * (after["grows"][..., :, None] == before["grows"][..., None, :])


def _summed(values, ndim):
    """Second moments of a weight that features share: the sums over them."""
    return values.sum(axis=tuple(range(values.ndim - ndim)))
