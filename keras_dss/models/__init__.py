"""Models of stacked DSS blocks."""

from keras_dss.models.classifier import DSSClassifier, DSSPairClassifier
from keras_dss.models.exchanged import ExchangedLayers
from keras_dss.models.language import DSSLanguageModel
from keras_dss.models.regressor import DSSRegressor

__all__ = [
    "DSSClassifier",
    "DSSLanguageModel",
    "DSSPairClassifier",
    "DSSRegressor",
    "ExchangedLayers",
]
