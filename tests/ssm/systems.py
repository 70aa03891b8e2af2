"""Random systems of several kinds."""

import numpy as np

from keras_dss.ssm import DiagonalSystem, skew_hippo

KINDS = ("spread", "crowded", "half_real", "damped", "uneven")


def random_system(rng, kind, batch, modes, closest=1e-6):
    """Stable systems, `1 - |a|` log-uniform down to `closest`."""
    shape = (batch, modes)
    gap = 10 ** rng.uniform(np.log10(closest), -0.1, shape)
    angle = rng.uniform(0, np.pi, shape)
    residues = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    if kind == "crowded":
        angle = angle * 10 ** rng.uniform(-6, 0, shape)
    elif kind == "damped":
        gap = 10 ** rng.uniform(-2, -0.1, shape)
    elif kind == "uneven":
        residues = residues * 10 ** rng.uniform(-8, 0, shape)
    poles = (1 - gap) * np.exp(1j * angle)
    if kind == "half_real":
        real = rng.random(shape) < 0.5
        poles = np.where(real, (1 - gap) * rng.choice([-1.0, 1.0], shape), poles)
    return DiagonalSystem(poles, residues)


def hippo_system(rng, features, modes, steps=(1e-4, 1e-1)):
    """Zero-order hold of Skew-HiPPO eigenvalues, random output weights."""
    lam = skew_hippo(modes)
    dt = np.exp(rng.uniform(*np.log(steps), (features, 1)))
    weights = rng.standard_normal((features, modes)) + 1j * rng.standard_normal((features, modes))
    poles = np.exp(dt * lam)
    return DiagonalSystem(poles, weights * (poles - 1) / lam)


def kernel(system, length):
    """The definition, without the package's factorisation."""
    lag = np.arange(length)
    powers = system.poles[..., None] ** lag
    return np.real(np.sum(system.residues[..., None] * powers, axis=-2))
