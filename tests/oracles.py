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
    """Descending, from Cholesky factors of the Gramians in many digits.

    Real poles are merged with their conjugates; other poles must be distinct.
    """
    with mpmath.workdps(2 * digits):
        z, gamma = [], []
        for a, c in zip(np.asarray(poles, complex), np.asarray(residues, complex), strict=True):
            a, c = mpmath.mpc(a.real, a.imag), mpmath.mpc(c.real, c.imag)
            if a.imag == 0:
                z, gamma = z + [a], gamma + [mpmath.mpc(c.real)]
            else:
                z, gamma = z + [a, mpmath.conj(a)], gamma + [c / 2, mpmath.conj(c) / 2]
        n = len(z)
        p = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                p[i, j] = 1 / (1 - z[i] * mpmath.conj(z[j]))
        factor = mpmath.cholesky(p)
        weighted = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                weighted[i, j] = gamma[i] * factor[i, j]
        product = factor.T * weighted
        if not any(x.imag for x in z):
            real = product.apply(mpmath.re)
            values = mpmath.eigsy(real, eigvals_only=True)
        else:
            values = mpmath.svd_c(product, compute_uv=False)
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
