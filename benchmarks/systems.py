"""Systems that the benchmarks share: DSS layers as they start from Skew-HiPPO."""

import numpy as np

from keras_dss.ssm import DiagonalSystem, skew_hippo


def skew_hippo_layers(layers, features, state_size, dt_min=1e-3, dt_max=1e-1, seed=0):
    """`layers * features` systems: zero-order hold, log-uniform steps, normal output weights."""
    rng = np.random.default_rng(seed)
    shape = (layers * features, state_size)
    lam = skew_hippo(state_size)
    dt = np.exp(rng.uniform(np.log(dt_min), np.log(dt_max), (shape[0], 1)))
    weights = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    poles = np.exp(dt * lam)
    return DiagonalSystem(poles, weights * (poles - 1.0) / lam)
