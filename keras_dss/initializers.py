"""Initial parameters of diagonal state space layers."""

import base64
import math
import numbers

import keras
import numpy as np
from keras import ops

from keras_dss.ssm import skew_hippo

STORED = {"float32": "<f4", "float64": "<f8"}


@keras.saving.register_keras_serializable(package="keras_dss")
class SkewHiPPO(keras.initializers.Initializer):
    """Eigenvalues of Skew-HiPPO, one real part of them.

    The skew-symmetric part of HiPPO-LegS of size 2N has N eigenvalues with positive imaginary part;
    they are taken in ascending order, all with real part -1/2. The last axis of the shape is N;
    every leading axis repeats the same eigenvalues.

    Args:
        part: `"log_neg_re"` for log(-Re lambda), `"re"` for Re lambda, `"im"` for Im lambda.

    Raises:
        ValueError: for any other `part`.

    Example:

    >>> [round(float(v), 3) for v in SkewHiPPO("im")((2,))]
    [0.557, 4.603]

    Source: Gupta, Gu and Berant, arXiv 2203.14343.
    """

    def __init__(self, part):
        if part not in ("log_neg_re", "re", "im"):
            raise ValueError(f"`part` must be 'log_neg_re', 're' or 'im'. Received: part={part!r}")
        self.part = part

    def __call__(self, shape, dtype=None):
        eigenvalues = skew_hippo(shape[-1])  # (N,)
        values = {
            "log_neg_re": np.log(-eigenvalues.real),
            "re": eigenvalues.real,
            "im": eigenvalues.imag,
        }[self.part]
        return ops.convert_to_tensor(np.broadcast_to(values, shape).astype(dtype or "float32"))

    def get_config(self):
        return {"part": self.part}


@keras.saving.register_keras_serializable(package="keras_dss")
class LogUniform(keras.initializers.RandomUniform):
    """Logarithms of a variable that is log-uniform on [minimum, maximum]: log x is uniform.

    Args:
        minimum, maximum: positive bounds of x, in the unit of x (seconds per step, say).
        seed: int or `keras.random.SeedGenerator`.

    Raises:
        ValueError: unless 0 < minimum <= maximum.

    Example:

    >>> log_step = ops.convert_to_numpy(LogUniform(1e-3, 1e-1, seed=0)((8,)))
    >>> bool((log_step <= math.log(1e-1)).all())
    True
    """

    def __init__(self, minimum=1e-3, maximum=1e-1, seed=None):
        bounds = minimum, maximum
        if not (all(isinstance(x, numbers.Real) for x in bounds) and 0 < minimum <= maximum):
            raise ValueError(
                "A log-uniform step needs 0 < minimum <= maximum. "
                f"Received: minimum={minimum!r}, maximum={maximum!r}"
            )
        super().__init__(math.log(minimum), math.log(maximum), seed=seed)
        self.minimum = minimum
        self.maximum = maximum

    def get_config(self):
        seed = super().get_config()["seed"]
        return {"minimum": self.minimum, "maximum": self.maximum, "seed": seed}


@keras.saving.register_keras_serializable(package="keras_dss")
class ReducedRank(keras.initializers.Initializer):
    """Parameters of a reduced model as the initial parameters of a small one.

    Holds one weight of a layer whose state was reduced (by balanced truncation, say), so that a
    model rebuilt from its configuration starts from the reduced parameters. The configuration
    stores them, little-endian, in base64.

    Args:
        values: array of the weight's shape.
        dtype: `"float32"` or `"float64"`, in which the values are held.

    Raises:
        ValueError: for any other `dtype`, if the values are not finite, or if the weight asked for
            has another shape.

    Example:

    >>> ReducedRank([[1.0, 2.0]])((1, 2)).shape == (1, 2)
    True

    Source: Ezoe and Sato, arXiv 2402.15993.
    """

    def __init__(self, values, dtype="float32"):
        if dtype not in STORED:
            raise ValueError(f"`dtype` must be one of {tuple(STORED)}. Received: dtype={dtype!r}")
        self.dtype = dtype
        self.values = np.array(values, dtype=STORED[dtype])
        if not np.isfinite(self.values).all():
            raise ValueError(
                "Reduced parameters must be finite. "
                f"Received: {int((~np.isfinite(self.values)).sum())} values that are not"
            )

    def __call__(self, shape, dtype=None):
        if tuple(shape) != self.values.shape:
            raise ValueError(
                f"These reduced parameters have shape {self.values.shape}. "
                f"Received: shape={tuple(shape)}"
            )
        return ops.convert_to_tensor(self.values.astype(dtype or "float32"))

    def get_config(self):
        encoded = base64.b64encode(self.values.tobytes()).decode("ascii")
        config = {"values": encoded, "shape": list(self.values.shape)}
        return config if self.dtype == "float32" else config | {"dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        dtype = config.get("dtype", "float32")
        values = np.frombuffer(base64.b64decode(config["values"]), dtype=STORED[dtype])
        return cls(values.reshape(config["shape"]), dtype)
