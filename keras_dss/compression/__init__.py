"""Smaller models from trained ones: reduction of every DSS layer of a Keras model."""

from keras_dss.compression.compress import compress_model
from keras_dss.compression.methods import METHODS
from keras_dss.compression.report import CompressionReport, LayerReport

__all__ = ["METHODS", "CompressionReport", "LayerReport", "compress_model"]
