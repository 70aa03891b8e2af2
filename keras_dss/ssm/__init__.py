"""Diagonal state space systems, their Gramians, norms and reductions, in float64.

NumPy and SciPy alone: nothing here needs Keras.
"""

from keras_dss.ssm.balanced import BalancedTruncation, balanced_truncation
from keras_dss.ssm.finite_kernel import (
    finite_balanced_truncation,
    finite_hankel_values,
    finite_kernel,
)
from keras_dss.ssm.gramians import controllability_gramian, observability_gramian
from keras_dss.ssm.h2_optimal import h2_optimal, output_norm, refit_residues
from keras_dss.ssm.hankel import hankel_singular_values
from keras_dss.ssm.hinf import hinf_bounds, hinf_norm
from keras_dss.ssm.hippo import skew_hippo
from keras_dss.ssm.inputs import InputSequences, input_sequences
from keras_dss.ssm.measured import GramianAccumulator, measured_gramian
from keras_dss.ssm.modal import (
    complex_balanced_truncation,
    modal_truncation,
    random_truncation,
)
from keras_dss.ssm.norms import h2_norm
from keras_dss.ssm.shared import SharedTruncation, shared_balanced_truncation
from keras_dss.ssm.shared_h2 import shared_h2_optimal
from keras_dss.ssm.singular_perturbation import dc_gain, singular_perturbation
from keras_dss.ssm.system import DiagonalSystem, UnstableSystemError

__all__ = [
    "BalancedTruncation",
    "DiagonalSystem",
    "GramianAccumulator",
    "InputSequences",
    "SharedTruncation",
    "UnstableSystemError",
    "balanced_truncation",
    "complex_balanced_truncation",
    "controllability_gramian",
    "dc_gain",
    "finite_balanced_truncation",
    "finite_hankel_values",
    "finite_kernel",
    "h2_norm",
    "h2_optimal",
    "hankel_singular_values",
    "hinf_bounds",
    "hinf_norm",
    "input_sequences",
    "measured_gramian",
    "modal_truncation",
    "observability_gramian",
    "output_norm",
    "random_truncation",
    "refit_residues",
    "shared_balanced_truncation",
    "shared_h2_optimal",
    "singular_perturbation",
    "skew_hippo",
]
