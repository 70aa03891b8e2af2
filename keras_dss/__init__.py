"""Long-sequence state space models in Keras, and small ones.

Importing the package registers every class with Keras, so that saved models load.
"""

import importlib

from keras_dss import initializers, layers, models, optimizers, regularizers, ssm
from keras_dss.compression import compress_model
from keras_dss.deploy import to_streaming
from keras_dss.memory import keep_freed_memory
from keras_dss.version import __version__

__all__ = [
    "__version__",
    "callbacks",
    "compress_model",
    "datasets",
    "deploy",
    "initializers",
    "keep_freed_memory",
    "layers",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "report",
    "scoring",
    "ssm",
    "to_streaming",
    "tuner",
    "zoo",
]

from keras_dss import callbacks, datasets, ops, scoring, zoo  # isort: skip


def __getattr__(name):
    """What needs keras-tuner or draws pictures is imported when it is asked for."""
    if name in ("report", "tuner"):
        return importlib.import_module(f"keras_dss.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
