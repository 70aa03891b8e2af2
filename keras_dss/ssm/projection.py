r"""Best approximation by exponentials in the H2 norm, or in the mean square on given inputs.

Impulse responses f and g have the inner product `<f, g> = mean_k (f * u)_k conj((g * u)_k)` over
all valid steps k of all input sequences u, each from rest: `<f, f>` is the mean square of the
output of f. For white inputs of unit variance that never end it is the sum of `|f_l|^2`. Of
exponentials it is a closed form,

    <e^{lx}, e^{ly}> = N G,     G = 1/(1 - e^{x + conj(y)}),
    N = R(x) + conj(R(y)) - r(0) - sum_i E_i(x) conj(E_i(y)),

with `R(x) = sum_{l>=0} r(l) e^{lx}` of their autocorrelation r, and `E_i(x) = e^x s_i` of the state
s_i in which sequence i ends: what would ring out after it. Of `l e^{lx}`, the derivatives by x, it
follows with `G' = G^2 - G` and `G'' = (2G - 1) G'`. A unit impulse at lag 0, the feedthrough, is
the limit of `e^{lx}` for `Re x -> -inf`.

Modes whose sum cancels are worse than they look: what rounding does to each of them stays. Each is
charged for it, `noise^2 |c|^2 ||e^{lx}||^2`; that also keeps the search for poles away from valleys
that lead nowhere.

Source: Golub & Pereyra (1973) for variable projection; Halevi (1992) for weighted H2 reduction.
"""

import numpy as np

from keras_dss.ssm.basis import one_minus_square
from keras_dss.ssm.decompositions import pseudo_inverse
from keras_dss.ssm.polynomial import polynomial

FASTEST = 80.0  # -Re x of a pole at zero
SLOWEST = 1e-9  # least -Re x of a pole that is moved
RELATIVE = 1e-13  # eigenvalues of a scaled matrix of inner products that count as zero


def log_poles_of(poles):
    """`log a`, with the full relative accuracy of `1 - |a|`; poles at zero at -80."""
    with np.errstate(divide="ignore"):
        decay = 0.5 * np.log1p(-one_minus_square(poles))
    return np.maximum(decay, -FASTEST) + 1j * np.angle(poles)


class OutputError:
    """The problem `min_c ||f - sum_n Re(c_n e^{l x_n})||` for a given f of every feature.

    Args:
        log_poles, residues: of f, complex `(H, N)`, `Re x < 0`.
        inputs: `InputSequences` `(H,)`, or None for white inputs.
        feedthrough: whether an impulse at lag 0 may be added to f's approximation.
        noise: relative to each mode's response, what counts as its own error.
    """

    def __init__(self, log_poles, residues, inputs=None, feedthrough=False, noise=0.0):
        self.feedthrough, self.noise = feedthrough, noise
        self._rows, self._r0 = None, 1.0
        if inputs is not None:
            r, ends = inputs.correlation()[:, None], inputs.reverse / np.sqrt(inputs.steps)
            lags = np.arange(r.shape[-1])
            self._rows = np.concatenate([r, r * lags, ends, ends * (lags + 1.0)], axis=1)
            self._r0 = r[:, :, :1]  # (H, 1, 1)
        self._x, self._moments = log_poles, self._moments_at(log_poles)
        self._given = _split(residues)[..., None]  # (H, 2N, 1)
        gram = _real(*self._products(self._x, self._moments, 0, self._x, self._moments, 0))
        self.energy = (self._given * (gram @ self._given))[..., 0].sum(axis=-1)  # (H,)

    def __getitem__(self, features):
        """The problem of some features."""
        return _each(self, lambda array: array[features])

    def squared_norm(self, impulse):
        """`||f + d delta||^2` for d `(H,)`."""
        first = (_split(self._moments[0], -1.0) * self._given[..., 0]).sum(axis=-1)
        return self.energy + impulse * (2.0 * first + impulse * np.ravel(self._r0))

    def fit(self, log_poles):
        """The `Fit` at `(H, R)` log poles."""
        return Fit(self, log_poles)

    def products(self, x):
        """Inner products at log poles `(H, M)`, as real `(H, 2M, 2M)`, and with f, `(H, 2M)`."""
        moments = self._moments_at(x)
        gram = _real(*self._products(x, moments, 0, x, moments, 0))
        cross = _real(*self._products(x, moments, 0, self._x, self._moments, 0))
        return gram, (cross @ self._given)[..., 0]

    def _moments_at(self, x):
        """`R(x)` and `R'(x)`, each `(H, M)`, `E(x)` and `E'(x)`, each `(H, M, B)`."""
        if self._rows is None:
            nothing = np.zeros((*x.shape, 0), complex)
            return np.ones_like(x), np.zeros_like(x), nothing, nothing
        values = polynomial(np.exp(x), self._rows)  # (H, 2 + 2B, M)
        ends, turned = np.split(values[:, 2:] * np.exp(x)[:, None], 2, axis=1)
        return values[:, 0], values[:, 1], ends.mT, turned.mT

    def _products(self, x, mx, i, y, my, j):
        """`<f, g>` and `<f, conj(g)>`, `(H, M, K)`, of the i-th and j-th derivatives."""
        pairs = (y.conj(), *(m.conj() for m in my)), (y, *my)
        return [self._product(x, *mx, i, *pair, j) for pair in pairs]

    def _product(self, x, rx, dx, ex, fx, i, y, ry, dy, ey, fy, j):
        g = _geometric(x, y)  # (H, M, K)
        n = rx[:, :, None] + (ry[:, None, :] - self._r0) - ex @ ey.mT
        if i == j == 0:
            return n * g
        if i != j:
            change = dx[:, :, None] - fx @ ey.mT if i else dy[:, None, :] - ex @ fy.mT
            return (n * (g - 1.0) + change) * g
        change = dx[:, :, None] + dy[:, None, :] - fx @ ey.mT - ex @ fy.mT
        return ((n * (2.0 * g - 1.0) + change) * (g - 1.0) - fx @ fy.mT) * g


class Fit:
    """Best residues at given log poles, and how the error depends on the poles.

    Attributes:
        log_poles: `(H, R)`. residues: `(H, R)` complex. impulse: `(H,)`, at lag 0.
        error: `(H,)`, the squared norm of what is left, noise included.
    """

    def __init__(self, problem, x):
        self._problem, self.log_poles = problem, x
        rank = x.shape[-1]
        self._moments = problem._moments_at(x)
        gram = _real(*problem._products(x, self._moments, 0, x, self._moments, 0))
        right = self._against_target(0)
        if problem.feedthrough:
            gram = self._bordered(gram)
            right = np.concatenate([right, self._impulse_against_target()], axis=-2)
        gram = self._charged(gram)
        self._inverse = _inverse(gram, definite=problem.noise > 0.0)
        self._solved = self._inverse @ right  # (H, 2R [+ 1], 1)
        solved = self._solved[..., 0]
        self.residues = solved[..., :rank] + 1j * solved[..., rank : 2 * rank]
        self.impulse = solved[..., 2 * rank] if problem.feedthrough else np.zeros(len(x))
        model = (self._solved * (gram @ self._solved - 2.0 * right))[..., 0].sum(axis=-1)
        self.error = problem.energy + model

    def __getitem__(self, features):
        """The fit of some features."""
        part = _each(self, lambda array: array[features])
        part._problem = self._problem[features]
        return part

    def merged(self, other, better):
        """This fit, with that of `other` for the features where `better (H,)` holds."""

        def choose(mine, theirs):
            return np.where(better.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)

        return _each(self, choose, other)

    def derivatives(self):
        """Gradient `(H, 2R)` and Gauss-Newton matrix `(H, 2R, 2R)` of half the squared error.

        By the real and imaginary parts of the log poles, with the residues always the best ones.
        """
        problem, x, moments = self._problem, self.log_poles, self._moments
        c = self.residues[..., None]  # (H, R, 1)
        direct, mirror = problem._products(x, moments, 1, x, moments, 1)
        within = _real(direct * c * c.mT.conj(), mirror * c * c.mT)
        direct, mirror = problem._products(x, moments, 1, x, moments, 0)
        cross = _real(direct * c, mirror * c)  # (H, 2R, 2R)
        if problem.feedthrough:
            border = moments[1] * self.residues
            cross = np.concatenate([cross, _split(border, -1.0)[..., None]], axis=-1)
        gradient = cross @ self._solved - self._against_target(1, c)
        return gradient[..., 0], within - cross @ self._inverse @ cross.mT

    def _against_target(self, order, scale=1.0):
        problem = self._problem
        direct, mirror = problem._products(
            self.log_poles, self._moments, order, problem._x, problem._moments, 0
        )
        return _real(direct * scale, mirror * scale) @ problem._given  # (H, 2R, 1)

    def _bordered(self, gram):
        """The inner products with the impulse at lag 0 beside the others."""
        border = _split(self._moments[0], -1.0)[..., None]  # (H, 2R, 1)
        corner = np.broadcast_to(self._problem._r0, (len(gram), 1, 1))
        return np.block([[gram, border], [border.mT, corner]])

    def _charged(self, gram):
        """The inner products, each basis function with its noise."""
        norms, rank = np.diagonal(gram, axis1=-2, axis2=-1), self.log_poles.shape[-1]
        modes = norms[:, :rank] + norms[:, rank : 2 * rank]  # ||e^{lx}||^2
        charge = self._problem.noise**2 * np.concatenate([modes, modes, norms[:, 2 * rank :]], 1)
        return gram + charge[:, :, None] * np.eye(gram.shape[-1])

    def _impulse_against_target(self):
        problem = self._problem
        return _split(problem._moments[0], -1.0)[:, None, :] @ problem._given


def _geometric(x, y):
    """`1/(1 - e^{x + y})` of all pairs: `(H, M), (H, K) -> (H, M, K)`.

    From `e^{x+y} - 1 = uv + u + v` with `u = e^x - 1`, `v = e^y - 1`: exponentials of single poles.
    """
    u, v = np.expm1(x)[:, :, None], np.expm1(y)[:, None, :]
    return -1.0 / (u * (v + 1.0) + v)


def _each(mine, function, *others):
    """An object like `mine`, its arrays and those in its tuples `function` of them and others'."""
    made = object.__new__(type(mine))
    for name, value in vars(mine).items():
        values = value, *(getattr(other, name) for other in others)
        if isinstance(value, tuple):
            value = tuple(function(*parts) for parts in zip(*values, strict=True))
        elif isinstance(value, np.ndarray):
            value = function(*values)
        setattr(made, name, value)
    return made


def _split(values, sign=1.0):
    """`[Re, sign Im]`."""
    return np.concatenate([values.real, sign * values.imag], axis=-1)


def _real(direct, mirror):
    """Inner products of `[Re f, -Im f]` with `[Re g, -Im g]`, for `Re(c f)` of `[Re c, Im c]`."""
    plus, minus = 0.5 * (direct + mirror), 0.5 * (direct - mirror)
    return np.block([[plus.real, minus.imag], [-plus.imag, minus.real]])


def unit_scale(gram):
    """What scales a Gram matrix to a unit diagonal; zero where the diagonal is."""
    diagonal = np.maximum(np.diagonal(gram, axis1=-2, axis2=-1), 0.0)
    return np.divide(1.0, np.sqrt(diagonal), out=np.zeros_like(diagonal), where=diagonal > 0.0)


def _inverse(gram, definite):
    """Inverse of symmetric matrices, scaled to a unit diagonal first; else the pseudo-inverse."""
    scale = unit_scale(gram)
    nothing = (scale == 0.0)[..., None] * np.eye(gram.shape[-1])
    scale = scale[..., :, None] * scale[..., None, :]
    if definite:
        return scale * np.linalg.inv(gram * scale + nothing)
    return scale * pseudo_inverse(gram * scale, RELATIVE)
