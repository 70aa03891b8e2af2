"""The DSS layers that tests go through."""

import numpy as np

from keras_dss.layers import DSS

VARIANTS = {
    "exp": {},
    "exp_per_feature": {"eigenvalues": "per_feature"},
    "exp_bidirectional": {"bidirectional": True},
    "exp_bidirectional_per_feature": {"bidirectional": True, "eigenvalues": "per_feature"},
    "exp_rate": {"rate": 2.5},
    "exp_matmul": {"convolution": "matmul"},
    "exp_matmul_bidirectional": {"convolution": "matmul", "bidirectional": True},
    "softmax": {"parameterization": "softmax"},
    "softmax_per_feature": {"parameterization": "softmax", "eigenvalues": "per_feature"},
    "softmax_bidirectional": {
        "parameterization": "softmax",
        "bidirectional": True,
        "eigenvalues": "per_feature",
        "rate": 0.5,
    },
}
CAUSAL = [name for name in VARIANTS if "bidirectional" not in name]


def make_layer(variant, features=3, state_size=8, kernel_length=64, seed=0, **kwargs):
    """A built layer; per-feature eigenvalues moved apart, half of softmax's modes growing."""
    settings = VARIANTS[variant] | kwargs
    if settings.get("parameterization") == "softmax":
        settings |= {"kernel_length": kernel_length}
    layer = DSS(state_size, **settings)
    layer.build((None, None, features))
    generator = np.random.default_rng(seed)
    if layer.eigenvalues == "per_feature":
        spread = generator.uniform(0.9, 1.1, layer.lambda_im.shape)
        layer.lambda_im.assign(np.asarray(layer.lambda_im.numpy()) * spread)
    if layer.parameterization == "softmax":
        signs = np.where(np.arange(state_size) % 2, 1.0, -1.0)
        layer.lambda_re.assign(signs * generator.uniform(0.1, 1.0, layer.lambda_re.shape))
    return layer
