"""The parameters that every diagonal state space layer holds, and the systems they stand for."""

import math
import numbers

import keras
import numpy as np
from keras import ops

from keras_dss import ops as dss_ops
from keras_dss import phases
from keras_dss.initializers import LogUniform, SkewHiPPO
from keras_dss.ssm import DiagonalSystem

PARAMETERIZATIONS = ("exp", "softmax")
EIGENVALUES = ("shared", "per_feature")
# Weights whose optimizer settings differ from those of the rest of a model.
EIGENVALUE_WEIGHTS = ("lambda_log_neg_re", "lambda_re", "lambda_im")
STEP_WEIGHTS = ("log_dt",)
OUTPUT_WEIGHTS = ("W",)
SSM_WEIGHTS = (*OUTPUT_WEIGHTS, *EIGENVALUE_WEIGHTS, *STEP_WEIGHTS, "D")


class DSSParameters(keras.layers.Layer):
    """Weights lambda, dt, W and D, with their options, configuration and conversion to systems.

    All weights are real and at least float32: `lambda_log_neg_re` (`lambda_re` for softmax) and
    `lambda_im` (N,), or (H, N) per feature, or (2, H, N) per feature and direction; `log_dt` (H,);
    `W` (H, N, 2), real and imaginary part last, or (2, H, N, 2); `D` (H,).
    """

    def __init__(
        self,
        state_size,
        *,
        parameterization="exp",
        kernel_length=None,
        bidirectional=False,
        eigenvalues="shared",
        rate=1.0,
        dt_min=1e-3,
        dt_max=1e-1,
        lambda_re_initializer=None,
        lambda_im_initializer=None,
        log_dt_initializer=None,
        w_initializer=None,
        d_initializer=None,
        lambda_regularizer=None,
        log_dt_regularizer=None,
        w_regularizer=None,
        d_regularizer=None,
        lambda_constraint=None,
        log_dt_constraint=None,
        w_constraint=None,
        d_constraint=None,
        system_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_modes = positive_integer("state_size", state_size)
        self.parameterization = one_of("parameterization", parameterization, PARAMETERIZATIONS)
        self.eigenvalues = one_of("eigenvalues", eigenvalues, EIGENVALUES)
        if parameterization == "softmax":
            kernel_length = positive_integer("kernel_length", kernel_length)
        elif kernel_length is not None:
            raise ValueError(
                "`kernel_length` belongs to parameterization='softmax'. "
                f"Received: kernel_length={kernel_length!r} with {parameterization!r}"
            )
        self.kernel_length = kernel_length
        self.bidirectional = bool(one_of("bidirectional", bidirectional, (False, True)))
        if not (isinstance(rate, numbers.Real) and rate > 0 and math.isfinite(rate)):
            raise ValueError(f"`rate` must be a positive number. Received: rate={rate!r}")
        self.rate = rate
        self.dt_min = dt_min
        self.dt_max = dt_max
        part = "log_neg_re" if parameterization == "exp" else "re"
        initializers = keras.initializers
        self.lambda_re_initializer = initializers.get(lambda_re_initializer or SkewHiPPO(part))
        self.lambda_im_initializer = initializers.get(lambda_im_initializer or SkewHiPPO("im"))
        self.log_dt_initializer = initializers.get(log_dt_initializer or LogUniform(dt_min, dt_max))
        self.w_initializer = initializers.get(w_initializer or initializers.RandomNormal(0.0, 1.0))
        self.d_initializer = initializers.get(d_initializer or initializers.RandomNormal(0.0, 1.0))
        self.lambda_regularizer = keras.regularizers.get(lambda_regularizer)
        self.log_dt_regularizer = keras.regularizers.get(log_dt_regularizer)
        self.w_regularizer = keras.regularizers.get(w_regularizer)
        self.d_regularizer = keras.regularizers.get(d_regularizer)
        self.lambda_constraint = keras.constraints.get(lambda_constraint)
        self.log_dt_constraint = keras.constraints.get(log_dt_constraint)
        self.w_constraint = keras.constraints.get(w_constraint)
        self.d_constraint = keras.constraints.get(d_constraint)
        self.system_regularizer = keras.regularizers.get(system_regularizer)
        self.supports_masking = True

    @property
    def ssm_dtype(self):
        """float64 where the policy computes in float64, float32 otherwise."""
        return "float64" if self.dtype_policy.compute_dtype == "float64" else "float32"

    def quantized_call(self, *args, **kwargs):
        """Under a quantised policy the layer computes as under the one that it comes from."""
        return self.call(*args, **kwargs)

    def _build_parameters(self, features):
        if features is None:
            raise ValueError(
                f"Layer {self.name!r} needs the number of features (the last axis). Received: None"
            )
        directions = (2,) if self.bidirectional else ()
        modes = (self.num_modes,)
        lambda_shape = modes if self.eigenvalues == "shared" else (*directions, features, *modes)
        options = {
            "lambda": (self.lambda_regularizer, self.lambda_constraint),
            "log_dt": (self.log_dt_regularizer, self.log_dt_constraint),
            "w": (self.w_regularizer, self.w_constraint),
            "d": (self.d_regularizer, self.d_constraint),
        }

        def add(name, shape, initializer, kind):
            regularizer, constraint = options[kind]
            return self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                regularizer=regularizer,
                constraint=constraint,
                dtype=self.ssm_dtype,
                autocast=False,
            )

        re_name = "lambda_log_neg_re" if self.parameterization == "exp" else "lambda_re"
        self.lambda_re = add(re_name, lambda_shape, self.lambda_re_initializer, "lambda")
        self.lambda_im = add("lambda_im", lambda_shape, self.lambda_im_initializer, "lambda")
        self.log_dt = add("log_dt", (features,), self.log_dt_initializer, "log_dt")
        w_shape = (*directions, features, *modes, 2)
        self.W = add("W", w_shape, self.w_initializer, "w")
        self.D = add("D", (features,), self.d_initializer, "d")

    def step(self):
        """Sampling step rate * dt of each feature, (H, 1)."""
        return self.rate * ops.exp(ops.convert_to_tensor(self.log_dt))[:, None]

    def log_poles(self):
        """x = step * lambda for `keras_dss.ops`, tensors (H, N) or (2, H, N)."""
        re, im = ops.convert_to_tensor(self.lambda_re), ops.convert_to_tensor(self.lambda_im)
        re = -ops.exp(re) if self.parameterization == "exp" else re
        step = self.step()
        x = step * re, step * im
        if keras.backend.standardize_dtype(im.dtype) == "float64":
            return x
        return x + phases.turns(im, ops.convert_to_tensor(self.log_dt)[:, None], self.rate)

    def residues(self, log_poles=None):
        """c of K_l = Re sum_n c_n exp(l x_n), pair (H, N) or (2, H, N), for x of `log_poles`."""
        x = self.log_poles() if log_poles is None else log_poles
        weights = self.W[..., 0], self.W[..., 1]
        if self.parameterization == "softmax":
            return dss_ops.softmax_residues(x, self.step(), weights, self.kernel_length)
        return dss_ops.zero_order_hold(x, self.step(), weights)

    def system_tensor(self):
        """What `system_regularizer` sees: [Re a, Im a, Re c, Im c] of K_l = Re sum_n c_n a_n^l.

        Returns:
            (H, 4, N), or (2, H, 4, N) when bidirectional. Softmax layers have one more leading axis
            of size 2: the system of their decaying modes, and that of their growing modes as seen
            backwards from the last tap, where they decay too.
        """
        x, step = self.log_poles(), self.step()
        weights = self.W[..., 0], self.W[..., 1]
        if self.parameterization == "exp":
            return _stacked(x, dss_ops.zero_order_hold(x, step, weights))
        x, c, growing = dss_ops.softmax_modes(x, step, weights, self.kernel_length)
        parts = ((part * share for part in c) for share in (1.0 - growing, growing))
        return ops.stack([_stacked(x, tuple(part)) for part in parts])

    def _get_own_losses(self):
        losses = super()._get_own_losses()
        if self.system_regularizer is not None and self.built and self.trainable:
            losses.append(self.system_regularizer(self.system_tensor()))
        return losses

    def to_system(self):
        """The layer as discrete-time systems in float64, `D` included as feedthrough.

        Returns:
            `keras_dss.ssm.DiagonalSystem` of shape (H, N); (2, H, N) when bidirectional, where the
            backward system has no feedthrough and its lag 0 is lag -1 of the layer.

        Raises:
            ValueError: before the layer is built, or when a parameter is not finite.

        Example:

        >>> import keras_dss
        >>> layer = keras_dss.layers.DSS(4)
        >>> layer.build((None, 10, 3))
        >>> layer.to_system().poles.shape
        (3, 4)
        """
        if not self.built:
            raise ValueError(
                f"Layer {self.name!r} has no system before it is built: call it on an input or "
                "build it first."
            )
        values = {w.name: np.asarray(ops.convert_to_numpy(w), "float64") for w in self.weights}
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise ValueError(
                    f"Weight {name!r} of layer {self.name!r} must be finite. Received: "
                    f"{int((~np.isfinite(value)).sum())} of {value.size} values that are not"
                )
        step = self.rate * np.exp(values["log_dt"])[:, None]  # (H, 1)
        if self.parameterization == "exp":
            re = -np.exp(values["lambda_log_neg_re"])
        else:
            re = values["lambda_re"]
        x = step * (re + 1j * values["lambda_im"])  # (..., H, N)
        weights = values["W"][..., 0] + 1j * values["W"][..., 1]
        residues = weights * step * residue_ratio(x, self.kernel_length)
        feedthrough = values["D"]
        if self.bidirectional:
            feedthrough = np.stack([feedthrough, np.zeros_like(feedthrough)])
        return DiagonalSystem(np.broadcast_to(np.exp(x), residues.shape), residues, feedthrough)

    def get_config(self):
        config = super().get_config() | {
            "state_size": self.num_modes,
            "parameterization": self.parameterization,
            "kernel_length": self.kernel_length,
            "bidirectional": self.bidirectional,
            "eigenvalues": self.eigenvalues,
            "rate": self.rate,
            "dt_min": self.dt_min,
            "dt_max": self.dt_max,
        }
        for name in ("lambda_re", "lambda_im", "log_dt", "w", "d"):
            initializer = getattr(self, f"{name}_initializer")
            config[f"{name}_initializer"] = keras.initializers.serialize(initializer)
        for name in ("lambda", "log_dt", "w", "d"):
            regularizer = getattr(self, f"{name}_regularizer")
            constraint = getattr(self, f"{name}_constraint")
            config[f"{name}_regularizer"] = keras.regularizers.serialize(regularizer)
            config[f"{name}_constraint"] = keras.constraints.serialize(constraint)
        config["system_regularizer"] = keras.regularizers.serialize(self.system_regularizer)
        return config


def _stacked(log_poles, residues):
    """[Re a, Im a, Re c, Im c] (..., 4, N) of poles a = exp(x)."""
    poles = dss_ops.powers(log_poles, ops.ones((), dtype="int32"))
    poles = (ops.broadcast_to(part, ops.shape(residues[0])) for part in poles)
    return ops.stack([*poles, *residues], axis=-2)


def residue_ratio(x, kernel_length=None):
    """c / (step W) in float64: phi(x) = (exp(x) - 1) / x, over exp(L x) - 1 for a softmax layer.

    Args:
        x: complex array, step * lambda. kernel_length: L of a softmax layer, None for exp.

    Returns:
        complex128 array of the shape of x.
    """
    x = np.where(np.abs(x) < 1e-12, 1e-12, x)
    if kernel_length is None:
        return np.expm1(x) / x
    growing = x.real > 0
    y = np.where(growing, -x, x)
    ratio = np.expm1(y) / (np.expm1(kernel_length * y) * x)
    return np.where(growing, ratio * np.exp((kernel_length - 1) * y), ratio)


def parameters_from_system(system, step, parameterization, kernel_length=None):
    """Weights of a per-feature layer that computes a system; the inverse of `to_system`.

    A pole at zero becomes exp(-80), a negative real pole -|a| becomes exp(log|a| + i pi).

    Args:
        system: `DiagonalSystem` (H, N) or (2, H, N). step: (H,), the layer's rate * dt.
        parameterization: `"exp"` or `"softmax"`. kernel_length: L of a softmax layer.

    Returns:
        dict of float64 arrays `lambda_re`, `lambda_im` (..., H, N) and `W` (..., H, N, 2).

    Raises:
        ValueError: for poles on or outside the unit circle with `"exp"`.
    """
    largest = float(np.abs(system.poles).max())
    if parameterization == "exp" and largest >= 1.0:
        raise ValueError(
            "parameterization='exp' needs every pole inside the unit circle. "
            f"Received: a pole of modulus {largest:.6g}"
        )
    step = np.asarray(step, "float64")[:, None]  # (H, 1)
    modulus = np.maximum(np.abs(system.poles), np.exp(-80.0))
    x = np.log(modulus) + 1j * np.angle(system.poles)  # (..., H, N)
    weights = system.residues / (step * residue_ratio(x, kernel_length))
    re = x.real / step
    return {
        "lambda_re": np.log(-re) if parameterization == "exp" else re,
        "lambda_im": x.imag / step,
        "W": np.stack([weights.real, weights.imag], axis=-1),
    }


def positive_integer(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def one_of(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
    return value
