"""Keras callbacks."""

from keras_dss.callbacks.compress import CompressDuringTraining, Reduction

__all__ = ["CompressDuringTraining", "Reduction"]
