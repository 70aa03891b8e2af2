"""Layer and batch normalization on processors, with gradients of their own.

    y = g n + b,   n = (x - m) r,   r = 1 / sqrt(v + epsilon)

where m and v are mean and variance of the features of a step, or of a feature over those steps of a
batch that count. With p = g dy, and E the mean of the same kind,

    dx = r (p - E[p] - n E[p n]),   dg = sum dy n,   db = sum dy

Steps of which E takes no account have dx = r p. Means are products with vectors, which read a
sequence once: TensorFlow and JAX by themselves go through whole sequences about twice as often.
"""

from keras import ops

from keras_dss.gradients import with_gradient


def layer_normalize(x, scale, center, epsilon):
    """The normalization of each step's features, on TensorFlow and JAX.

    Args:
        x: (..., H) float32 or float64. scale, center: g and b, (H,) of the same dtype.
        epsilon: added to variances.

    Returns:
        As `x`.
    """
    mean = ops.full((x.shape[-1], 1), 1.0 / x.shape[-1], dtype=x.dtype)  # (H, 1)

    def normalize(x, scale, center):
        n = _rows(x)
        n = n - n @ mean
        r = ops.rsqrt((n * n) @ mean + epsilon)  # (R, 1)
        n = n * r  # (R, H)

        def gradient(upstream):
            dy = _rows(upstream)
            dy_n, weights = dy * n, scale[:, None] * mean
            dx = (dy * scale - dy @ weights - n * (dy_n @ weights)) * r
            return [ops.reshape(dx, ops.shape(x)), _total(dy_n), _total(dy)]

        return ops.reshape(n * scale + center, ops.shape(x)), gradient

    return with_gradient(normalize, None, [x, scale, center])


def batch_normalize(x, mask, scale, center, epsilon):
    """The normalization of each feature over the steps that count, on TensorFlow.

    Args:
        x: (B, L, H) float32 or float64. mask: bool (B, L), or None where all steps count.
        scale, center: g and b, (H,) of the dtype of x. epsilon: added to variances.

    Returns:
        y as `x`, for all steps, and m and v, (H,); zeros where no step counts.
    """
    weights = ops.ones_like(x[..., 0]) if mask is None else ops.cast(mask, x.dtype)
    weights = ops.reshape(weights, (1, -1)) / ops.maximum(ops.sum(weights), 1.0)  # (1, R)
    mean = (weights @ _rows(x))[0]
    variance = (weights @ ops.square(_rows(x) - mean))[0]

    def normalize(x, scale, center):
        c, r = _rows(x) - mean, ops.rsqrt(variance + epsilon)

        def gradient(upstream):
            dy = _rows(upstream)
            dg, db = _total(dy * c) * r, _total(dy)
            shared = c * (r * r * scale * dg) + r * scale * db  # r sum p + r n sum p n
            dx = dy * (r * scale) - shared * ops.reshape(weights, (-1, 1))
            return [ops.reshape(dx, ops.shape(x)), dg, db]

        return ops.reshape(c * (r * scale) + center, ops.shape(x)), gradient

    return with_gradient(normalize, None, [x, scale, center]), mean, variance


def _rows(x):
    """(..., H) -> (R, H)."""
    return ops.reshape(x, (-1, x.shape[-1]))


def _total(rows):
    """The sum of (R, H) over rows, (H,)."""
    return (ops.reshape(ops.ones_like(rows[:, 0]), (1, -1)) @ rows)[0]
