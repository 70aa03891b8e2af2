"""Smaller models from trained ones: reduction of every DSS layer of a Keras model."""

from keras_dss.compression.allocation import Budget
from keras_dss.compression.compress import compress_model
from keras_dss.compression.methods import METHODS
from keras_dss.compression.outputs import OutputChange
from keras_dss.compression.pruning import prune_model
from keras_dss.compression.quantization import quantize_model
from keras_dss.compression.report import CompressionReport, LayerReport
from keras_dss.compression.weight_report import BytesReport, WeightReport

__all__ = [
    "METHODS",
    "Budget",
    "BytesReport",
    "CompressionReport",
    "LayerReport",
    "OutputChange",
    "WeightReport",
    "compress_model",
    "prune_model",
    "quantize_model",
]
