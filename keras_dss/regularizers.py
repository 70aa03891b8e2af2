"""Regularizers of state space systems: penalties on what a system costs, not on single weights.

They are plain `keras.regularizers.Regularizer`s of one real tensor (..., 4, N), the poles and
residues [Re a, Im a, Re c, Im c] of systems `K_l = Re sum_n c_n a_n^l`; a `keras_dss.layers.DSS`
calls one with its own system, `DSS(64, system_regularizer=HankelNuclearNorm(1e-3))`.
"""

import math

import keras
from keras import ops

from keras_dss.ops import complex_divide, complex_multiply

LARGEST = 1.0 - 1e-6  # modulus that poles on or outside the unit circle are moved to
SMALLEST = 1e-5  # relative Hankel value below which the sign is taken as partly zero
TINY = 1e-30


@keras.saving.register_keras_serializable(package="keras_dss")
class ModalNorm(keras.regularizers.Regularizer):
    """Sum over all modes of `factor * norm(c / (z - a))`, a group lasso on modes.

    The norm of a mode is `|c| / (1 - |a|)` (`"hinf"`, its largest gain), `|c| / sqrt(1 - |a|^2)`
    (`"h2"`, the root of its energy), or `|c| / (1 - |a|^2)` (`"hankel"`, an upper bound of the sum
    of its Hankel singular values). None is differentiable at c = 0, so that whole modes vanish; the
    gradient there is zero.

    Args:
        factor: float, at least 0.
        norm: `"hinf"`, `"h2"` or `"hankel"`.

    Call arguments:
        system: real tensor (..., 4, N), [Re a, Im a, Re c, Im c]; poles on or outside the unit
            circle count as if 1e-6 inside.

    Returns:
        Scalar tensor.

    Raises:
        ValueError: for a factor or a norm that is not listed, and a tensor of another shape.

    Example:

    >>> float(ModalNorm(0.1)(keras.ops.reshape([0.5, 0.0, 3.0, 4.0], (4, 1))))
    1.0

    Source: Forgione, Mejari and Piga, arXiv 2403.14833, for a penalty on modes; the score `"hinf"`
    is that of Gwak et al., arXiv 2411.02824, who prune by it.
    """

    def __init__(self, factor=1e-3, norm="hinf"):
        self.factor = _check_factor(factor)
        if norm not in NORMS:
            raise ValueError(f"`norm` must be one of {tuple(NORMS)}. Received: norm={norm!r}")
        self.norm = norm

    def __call__(self, system):
        poles, residues = _unpack(system)
        modulus = ops.minimum(_modulus(poles), LARGEST)
        return self.factor * ops.sum(_modulus(residues) * NORMS[self.norm](modulus))

    def get_config(self):
        return {"factor": self.factor, "norm": self.norm}


NORMS = {
    "hinf": lambda modulus: 1.0 / (1.0 - modulus),
    "h2": lambda modulus: ops.rsqrt((1.0 - modulus) * (1.0 + modulus)),
    "hankel": lambda modulus: 1.0 / ((1.0 - modulus) * (1.0 + modulus)),
}


@keras.saving.register_keras_serializable(package="keras_dss")
class HankelNuclearNorm(keras.regularizers.Regularizer):
    """`factor` times the sum of all Hankel singular values: the nuclear norm of Hankel operators.

    The rank of the Hankel matrix [K_{i+j}] is the order of the system, and its nuclear norm is the
    convex relaxation of it: what training pushes down here is what balanced truncation drops.

    In orthonormal real-rational functions f_k on the poles (Kautz functions, see
    `keras_dss.ssm.basis`) the Hankel operator is the small symmetric matrix

        T_kl = Re sum_n c_n f_k(a_n) f_l(a_n),     sum of Hankel values = trace(S T),  S = sign(T),

    and the gradient has a closed form, because the norm does not depend on the basis:

        d = Re sum_n p(a_n) dc_n + c_n p'(a_n) da_n,     p(z) = sum_kl S_kl f_k(z) f_l(z).

    Nothing is decomposed: the matrix sign comes from the scaled Newton-Schulz iteration, products
    alone, the same on every backend and under its compiler. It is exact to rounding (1e-5 in
    float32, 1e-3 where matrix products run in TF32) for Hankel values above 1e-5 of the largest;
    smaller ones count less and less, where the norm is not differentiable anyway. Poles themselves
    are float32: `1 - |a|` is known to 1e-7 at best.

    Args:
        factor: float, at least 0.

    Call arguments:
        system: real tensor (..., 4, N), [Re a, Im a, Re c, Im c]; poles on or outside the unit
            circle count as if 1e-6 inside.

    Returns:
        Scalar tensor, the sum over all systems.

    Raises:
        ValueError: for a negative factor, and a tensor of another shape.

    Example:

    >>> system = keras.ops.reshape([0.0, 0.0, 3.0, 0.0], (4, 1))
    >>> round(float(HankelNuclearNorm(0.1)(system)), 6)
    0.3

    Source: Fazel, Hindi and Boyd, "A rank minimization heuristic with application to minimum order
    system approximation", 2001; Chen and Chow, "A stable scaling of Newton-Schulz for improving
    the sign function computation of a Hermitian matrix", 2014, for the iteration; Forgione, Mejari
    and Piga, arXiv 2403.14833, for the penalty on layers of a deep model.
    """

    def __init__(self, factor=1e-3):
        self.factor = _check_factor(factor)

    def __call__(self, system):
        poles, residues = _unpack(system)
        fixed = tuple(map(ops.stop_gradient, _inside(poles)))
        known = tuple(map(ops.stop_gradient, residues))
        value, slope = _sign_form(fixed, known)
        slope = complex_multiply(known, slope)
        total = _real_product(residues, value)
        moved = tuple(a - ops.stop_gradient(a) for a in poles)
        return self.factor * ops.sum(total + _real_product(slope, moved))

    def get_config(self):
        return {"factor": self.factor}


def _check_factor(factor):
    if not (factor >= 0.0 and math.isfinite(factor)):
        raise ValueError(f"`factor` must be at least 0 and finite. Received: factor={factor!r}")
    return float(factor)


def _unpack(system):
    """Pairs of tensors (..., N), poles and residues."""
    if len(system.shape) < 2 or system.shape[-2] != 4:
        raise ValueError(
            "A system must be a tensor (..., 4, N), [Re a, Im a, Re c, Im c]. "
            f"Received: shape {tuple(system.shape)}"
        )
    parts = [system[..., i, :] for i in range(4)]
    return (parts[0], parts[1]), (parts[2], parts[3])


def _modulus(z):
    """|z| with the gradient 0 at 0."""
    square = z[0] * z[0] + z[1] * z[1]
    positive = square > TINY
    return ops.where(positive, ops.sqrt(ops.where(positive, square, 1.0)), 0.0)


def _inside(poles):
    modulus = _modulus(poles)
    scale = ops.where(modulus > LARGEST, LARGEST / ops.maximum(modulus, LARGEST), 1.0)
    return poles[0] * scale, poles[1] * scale


def _real_product(a, b):
    return a[0] * b[0] - a[1] * b[1]


def _sign_form(poles, residues):
    """p(a_n) and p'(a_n) of p(z) = f(z)^T sign(T) f(z), pairs of tensors (..., N)."""
    basis, derivative = kautz_basis(poles)  # (..., N, 2N)
    weighted = complex_multiply(tuple(c[..., None] for c in residues), basis)
    left = ops.concatenate([weighted[0], -weighted[1]], axis=-2)  # (..., 2N, 2N)
    right = ops.concatenate([basis[0], basis[1]], axis=-2)  # (..., 2N, 2N)
    hankel = ops.matmul(ops.swapaxes(left, -1, -2), right)
    sign = matrix_sign(0.5 * (hankel + ops.swapaxes(hankel, -1, -2)))
    signed = ops.matmul(basis[0], sign), ops.matmul(basis[1], sign)  # (..., N, 2N)
    value = complex_multiply(signed, basis)
    slope = complex_multiply(signed, derivative)
    return (
        tuple(ops.sum(part, axis=-1) for part in value),
        tuple(2.0 * ops.sum(part, axis=-1) for part in slope),
    )


def matrix_sign(matrix):
    """The sign function of symmetric matrices (..., n, n), exact for |eigenvalue| > 1e-5 ||A||_F.

    With l <= |eigenvalue| <= 1 before a step and the scale m = sqrt(3 / (1 + l + l^2)),

        X <- m X (3 - m^2 X^2) / 2,     l <- m l (3 - m^2 l^2) / 2.
    """
    norm = ops.sqrt(ops.sum(matrix * matrix, axis=(-1, -2), keepdims=True))
    x = matrix / ops.maximum(norm, TINY)
    lowest = SMALLEST
    while lowest < 1.0 - 1e-7:
        scale = math.sqrt(3.0 / (1.0 + lowest + lowest**2))
        lowest = 0.5 * scale * lowest * (3.0 - (scale * lowest) ** 2)
        x = scale * x
        x = 1.5 * x - 0.5 * ops.matmul(x, ops.matmul(x, x))
    return x


def kautz_basis(poles):
    """Orthonormal real-rational functions on the poles, in the order of the poles, at the poles.

    With kappa = 1 - |a|^2, m = |1 - a^2| and the angle t, cos 2t = (kappa + 2 y^2) / m, the two
    functions of a pole a = x + iy in D(z) = (1 - conj(a) z)(1 - a z) are

        f(z) = sqrt(2 kappa m / (m + kappa)) (cos t (1 - xz) + y sin t z) / D(z)
        g(z) = sqrt(kappa m (m + kappa) / 2) (sin t / y (1 - xz) - cos t z) / D(z)

    each times the Blaschke products B(z) = (z - a)(z - conj(a)) / D(z) of the poles before it.

    Args:
        poles: pair of tensors (..., N), inside the unit circle.

    Returns:
        Pairs of tensors (..., N, 2N): all functions at each pole, and their derivatives.
    """
    x, y = (part[..., None, :] for part in poles)  # (..., 1, N), of the functions
    z = tuple(part[..., :, None] for part in poles)  # (..., N, 1), where they are evaluated
    high, low = ops.maximum(ops.abs(x), ops.abs(y)), ops.minimum(ops.abs(x), ops.abs(y))
    kappa = ops.maximum((1.0 - high) * (1.0 + high) - low * low, 1e-7)
    mirror = ops.sqrt(kappa * kappa + 4.0 * y * y)
    cosine = ops.sqrt(0.5 * (kappa + 2.0 * y * y + mirror) / mirror)
    sine = x / (mirror * cosine)  # sin t / y
    first = ops.sqrt(2.0 * kappa * mirror / (mirror + kappa))
    second = ops.sqrt(0.5 * kappa * mirror * (mirror + kappa))

    minus, plus = (z[0] - x, z[1] - y), (z[0] - x, z[1] + y)  # (..., N, N)
    turned = complex_multiply(minus, (x, -y))
    near = kappa - turned[0], -turned[1]  # 1 - conj(a) z
    turned = complex_multiply(plus, (x, y))
    far = kappa - turned[0], -turned[1]  # 1 - a z
    one = ops.ones_like(minus[0]), ops.zeros_like(minus[0])
    inverse_near, inverse_far = complex_divide(one, near), complex_divide(one, far)
    inverse = complex_multiply(inverse_near, inverse_far)  # 1 / D(z)

    b, conjugate = complex_multiply(minus, inverse_near), complex_multiply(plus, inverse_far)
    blaschke = complex_multiply(b, conjugate)
    slope = _add(
        complex_multiply(conjugate, complex_multiply(inverse_near, inverse_near)),
        complex_multiply(b, complex_multiply(inverse_far, inverse_far)),
    )
    product, product_slope = _product_before(blaschke, _scale(slope, kappa))

    middle = 0.5 * (near[0] + far[0]), 0.5 * (near[1] + far[1])  # 1 - xz
    growth = _add(  # -D'(z) / D(z)
        complex_multiply((x, -y), inverse_near), complex_multiply((x, y), inverse_far)
    )
    values, slopes = [], []
    for size, even, odd in ((first, cosine, y * y * sine), (second, sine, -cosine)):
        numerator = even * middle[0] + odd * z[0], even * middle[1] + odd * z[1]
        h = complex_multiply(_scale(numerator, size), inverse)
        dh = _add(_scale(inverse, size * (odd - even * x)), complex_multiply(h, growth))
        values.append(complex_multiply(product, h))
        slopes.append(_add(complex_multiply(product_slope, h), complex_multiply(product, dh)))
    return (
        tuple(ops.concatenate(parts, axis=-1) for parts in zip(*values, strict=True)),
        tuple(ops.concatenate(parts, axis=-1) for parts in zip(*slopes, strict=True)),
    )


def _product_before(value, slope):
    """Products over the functions before each, and their derivatives, in log2 N steps."""
    count = value[0].shape[-1]
    one = ops.ones_like(value[0][..., :1]), ops.zeros_like(value[0][..., :1])
    none = one[1], one[1]
    value, slope = _shift(value, one, 1), _shift(slope, none, 1)
    step = 1
    while step < count:
        ones, nones = (tuple(ops.repeat(p, step, axis=-1) for p in fill) for fill in (one, none))
        before, before_slope = _shift(value, ones, step), _shift(slope, nones, step)
        slope = _add(complex_multiply(slope, before), complex_multiply(value, before_slope))
        value = complex_multiply(value, before)
        step *= 2
    return value, slope


def _shift(z, fill, step):
    return tuple(
        ops.concatenate([f, part[..., :-step]], axis=-1) for part, f in zip(z, fill, strict=True)
    )


def _add(a, b):
    return a[0] + b[0], a[1] + b[1]


def _scale(z, factor):
    return z[0] * factor, z[1] * factor
