"""Independent references: mpmath, dense SciPy and plain loops; no code of the package."""

import mpmath
import numpy as np
import scipy.linalg


def closed(poles, residues):
    """Poles and residues of the conjugate-closed system."""
    poles, residues = np.asarray(poles, complex), np.asarray(residues, complex)
    z = np.concatenate([poles, poles.conj()])
    return z, np.concatenate([residues, residues.conj()]) / 2


def impulse_response(poles, residues, feedthrough, length):
    """The recurrence `s_k = a s_{k-1} + u_k`, `y_k = Re(sum c s_k) + D u_k`, step by step."""
    state, kernel = np.zeros(len(poles), complex), []
    for k in range(length):
        u = 1.0 if k == 0 else 0.0
        state = np.array([a * s + u for a, s in zip(poles, state, strict=True)])
        kernel.append(
            sum((c * s).real for c, s in zip(residues, state, strict=True)) + feedthrough * u
        )
    return np.array(kernel)


def gramians(poles, residues):
    """Controllability and observability Gramians from dense Lyapunov equations."""
    z, gamma = closed(poles, residues)
    a, b, c = np.diag(z), np.ones((len(z), 1)), gamma[None, :]
    p = scipy.linalg.solve_discrete_lyapunov(a, b @ b.conj().T, method="direct")
    q = scipy.linalg.solve_discrete_lyapunov(a.conj().T, c.conj().T @ c, method="direct")
    return p, q


def finite_gramians(poles, residues, horizon):
    """The same over a finite horizon, summed step by step."""
    z, gamma = closed(poles, residues)
    p, q = np.zeros((2, len(z), len(z)), complex)
    for k in range(horizon):
        x, y = z**k, (gamma * z**k).conj()
        p += np.outer(x, x.conj())
        q += np.outer(y, y.conj())
    return p, q


def measured_gramian(poles, inputs, lengths):
    """Mean of `x x^H` over all valid steps, step by step; poles `(H, N)`, inputs `(B, L, H)`."""
    features, modes = poles.shape
    total = np.zeros((features, 2 * modes, 2 * modes), complex)
    for h in range(features):
        for sequence, length in zip(inputs, lengths, strict=True):
            state = np.zeros(modes, complex)
            for k in range(length):
                state = poles[h] * state + sequence[k, h]
                x = np.concatenate([state, state.conj()])
                total[h] += np.outer(x, x.conj())
    return total / sum(lengths)


def hankel_singular_values(poles, residues, digits=60):
    """Descending, in many digits, for distinct poles.

    Real coordinates `[Re s, Im s]` (the latter only where a pole is not real): the
    controllability Gramian `F F^T` by Cholesky, then the eigenvalues of the Hankel operator
    `Re sum_n c_n f_n f_n^T`, where f_n is the row of F that belongs to the complex state n.
    """
    with mpmath.workdps(2 * digits):
        a = [mpmath.mpc(complex(x)) for x in np.asarray(poles)]
        c = [mpmath.mpc(complex(x)) for x in np.asarray(residues)]
        rows = [(i, part) for part in (0, 1) for i, x in enumerate(a) if part == 0 or x.imag != 0]
        n = len(rows)
        gramian = mpmath.matrix(n, n)
        for k, (i, left) in enumerate(rows):
            for m, (j, right) in enumerate(rows[: k + 1]):
                x, y = 1 / (1 - a[i] * mpmath.conj(a[j])), 1 / (1 - a[i] * a[j])
                value = {
                    (0, 0): (x + y).real,
                    (1, 1): (x - y).real,
                    (1, 0): (x + y).imag,
                    (0, 1): (y - x).imag,
                }[left, right]
                gramian[k, m] = gramian[m, k] = value / 2
        factor = mpmath.cholesky(gramian)
        states = [[mpmath.mpc(0)] * n for _ in a]
        for k, (i, part) in enumerate(rows):
            unit = mpmath.mpc(0, 1) if part else mpmath.mpc(1)
            states[i] = [s + unit * factor[k, m] for m, s in enumerate(states[i])]
        weighted = [[c_i * s for s in row] for c_i, row in zip(c, states, strict=True)]
        operator = mpmath.matrix(n, n)
        for k in range(n):
            for m in range(k + 1):
                terms = zip((w[k] for w in weighted), (s[m] for s in states), strict=True)
                operator[k, m] = operator[m, k] = mpmath.fdot(terms).real
        values = mpmath.eigsy(operator, eigvals_only=True)
        return np.sort(np.array([abs(float(x)) for x in values]))[::-1]


def frequency_response(poles, residues, feedthrough, omega):
    """`D + sum_l K_l exp(-i omega l)` in partial fractions of the closed set."""
    z, gamma = closed(poles, residues)
    v = np.exp(1j * np.asarray(omega))
    return feedthrough + sum(g / (1 - a / v) for a, g in zip(z, gamma, strict=True))


def hinf_norm(poles, residues, feedthrough, points=4001):
    """Largest modulus on a grid that is dense around every pole: a lower bound."""
    omega = [np.linspace(0, np.pi, points)]
    for a in np.asarray(poles, complex):
        omega.append(abs(np.angle(a)) + (1 - abs(a)) * np.linspace(-3, 3, 1201))
    omega = np.concatenate(omega)
    return np.abs(frequency_response(poles, residues, feedthrough, omega)).max()


def hippo_skew_eigenvalues(state_size):
    """All eigenvalues of the skew-symmetric part of HiPPO-LegS of size `2 state_size`."""
    size = 2 * state_size
    a = np.zeros((size, size))
    for n in range(size):
        for k in range(size):
            if n > k:
                a[n, k] = -np.sqrt((2 * n + 1) * (2 * k + 1))
            elif n == k:
                a[n, k] = -(n + 1)
    return np.linalg.eigvals((a - a.T) / 2)


def continuous_gramians(eigenvalues, weights):
    """Gramians of the conjugate-closed continuous-time system with outputs `weights (H, N)`."""
    z = np.concatenate([eigenvalues, eigenvalues.conj()])
    c = np.concatenate([weights, weights.conj()], axis=1) / 2
    a, b = np.diag(z), np.ones((len(z), 1))
    p = scipy.linalg.solve_continuous_lyapunov(a, -b @ b.T)
    q = scipy.linalg.solve_continuous_lyapunov(a.conj().T, -c.conj().T @ c)
    return p, q
