"""Orthonormal rational bases in which the Gramian of a diagonal system is the identity.

The controllability Gramian of the conjugate-closed poles `z` with b = 1 is the Szego kernel
`P_ij = 1/(1 - z_i conj(z_j))`. Eliminating one pole w from it multiplies the generators by a
Blaschke factor,

    P_ij - P_iw P_wj / P_ww = B(z_i) conj(B(z_j)) P_ij,     B(z) = (z - w)/(1 - conj(w) z),

so a pivoted Cholesky factor costs O(N) a step, and its columns are the Takenaka-Malmquist
functions at the poles. Eliminated pair by pair they become Kautz functions, which are real:
`P = L L^H` where the rows of L at a pole and its conjugate are conjugate, and every product with
it can be real. Differences `z - w` of given numbers are exact to a rounding, and

    1 - z conj(w) = (1 - |w|^2) - (z - w) conj(w)

adds terms that never exceed twice the result, so every entry of L has full relative accuracy
however close the poles are to each other or to the circle; this is what the accuracy of small
Hankel singular values rests on (Demmel 1999; Haut & Beylkin 2012).

In continuous time `-(z + conj(w))` takes the place of `1 - z conj(w)`.
"""

import numpy as np

# Directions below this fraction of the largest (in the units of a Hankel singular value) are
# left out: well below 1e-13 of the largest value, which is to be right to 1e-6.
DROPPED = 1e-23


def orthonormal_basis(poles, weights, *, continuous=False, tolerance=DROPPED):
    """Real-rational orthonormal functions on the poles, most important first.

    Args:
        poles: `(B, N)` complex, stable.
        weights: `(B, N)` nonnegative importance of each pole, the modulus of its residue.
        continuous: whether the poles are those of a continuous-time system.
        tolerance: where to stop, relative to the first pivot.

    Returns:
        `(basis, used)`: values `(B, N, R)` complex with `L = [basis; conj(basis)]` the factor of
        the Gramian, and which columns of each feature exist, `(B, R)` bool.
    """
    x, y = poles.real, poles.imag  # (B, N)
    kappa = -2.0 * x if continuous else one_minus_square(poles)
    mirror = np.sqrt(kappa**2 + 4.0 * y**2)  # |1 - a^2|, or 2|a|
    # The two functions of a pair: the real and imaginary part of exp(i theta)/(1 - conj(a) z),
    # with theta such that they are orthogonal, over their norms; a real pole has only the first.
    if continuous:
        theta = 0.5 * np.arctan2(y, -x)
    else:
        theta = 0.5 * np.arctan2(2.0 * x * y, (1.0 - x) * (1.0 + x) + y**2)
    first = np.sqrt(2.0 * kappa * mirror / (mirror + kappa))
    second = np.zeros_like(y)
    np.divide(first * (mirror + kappa), 2.0 * np.abs(y), out=second, where=y != 0.0)
    even = first * np.cos(theta), first * np.sin(theta)
    odd = second * np.sin(theta), -second * np.cos(theta)
    factors = 0.5 * even[0], even[1] * y, 0.5 * odd[0], odd[1] * y
    table = np.stack([poles, kappa, *factors], axis=-1)  # (B, N, 6), complex

    generator = np.ones_like(poles)
    count, modes = poles.shape
    basis, used = np.zeros((count, 2 * modes, modes), complex), np.zeros((count, 2 * modes), bool)
    batch = np.arange(count)
    importance = weights / kappa
    size = importance
    floor = tolerance * size.max(axis=-1)
    for i in range(0, 2 * modes, 2):
        k = size.argmax(axis=-1)  # (B,)
        active = size[batch, k] > floor
        if not active.any():
            basis, used = basis[:, :i], used[:, :i]
            break
        a, kappa_a, *factors = table[batch, k].T[:, :, None]  # (B, 1)
        real = a.imag == 0.0
        minus, plus = poles - a, poles - a.conj()  # (B, N)
        if continuous:
            near, far, shift = -(poles + a.conj()), -(poles + a), 1.0
        else:
            near = kappa_a - minus * a.conj()  # 1 - z conj(a)
            far = kappa_a - plus * a  # 1 - z a
            shift = poles
        twice, common = near + far, generator / (near * far)
        p, q, r, s = (active[:, None] * f for f in factors)
        basis[:, i], basis[:, i + 1] = (
            common * (p * twice + q * shift),
            common * (r * twice + s * shift),
        )
        used[:, i], used[:, i + 1] = active, active & ~real[:, 0]
        generator = common * minus * (np.where(real, near, plus) if real.any() else plus)
        importance[batch, k] = 0.0
        with np.errstate(under="ignore"):
            size = importance * (generator.real**2 + generator.imag**2)
    return basis.mT, used


def one_minus_square(poles):
    """`1 - |a|^2` to full relative accuracy: the squares are split into exact halves."""
    larger = np.maximum(np.abs(poles.real), np.abs(poles.imag))
    smaller = np.minimum(np.abs(poles.real), np.abs(poles.imag))
    (high, low), (high2, low2) = _square(larger), _square(smaller)
    total = 1.0 - high
    lost = (1.0 - total) - high  # rounding of the first difference, exact
    result = total - high2
    part = total - result
    lost = lost + ((total - (result + part)) + (part - high2))
    return result + (lost - low - low2)


def _square(x):
    """`x^2` as an unevaluated exact sum of two floats (Dekker 1971)."""
    split = 134217729.0 * x
    top = split - (split - x)
    rest = x - top
    high = x * x
    return high, ((top * top - high) + 2.0 * top * rest) + rest * rest


def one_minus_product(poles):
    """`1 - z_i conj(z_j)` for all pairs, to full relative accuracy: `(..., M, M)`."""
    w = poles[..., None, :]
    return one_minus_square(poles)[..., None, :] - (poles[..., :, None] - w) * w.conj()
