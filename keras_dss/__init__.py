"""Long-sequence state space models in Keras, and small ones.

Importing the package registers every class with Keras, so that saved models load.
"""

from keras_dss import initializers, layers, models, optimizers, regularizers, ssm
from keras_dss.compression import compress_model
from keras_dss.version import __version__

__all__ = [
    "__version__",
    "callbacks",
    "compress_model",
    "datasets",
    "initializers",
    "layers",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "scoring",
    "ssm",
    "zoo",
]

from keras_dss import callbacks, datasets, ops, scoring, zoo  # isort: skip
