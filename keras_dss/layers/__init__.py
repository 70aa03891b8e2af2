"""Keras layers of diagonal state space models."""

from keras_dss.layers.block import DSSBlock
from keras_dss.layers.cell import DSSCell
from keras_dss.layers.downsample import Downsample
from keras_dss.layers.dss import DSS
from keras_dss.layers.padding import TrailingZeros
from keras_dss.layers.pairs import JoinPairs, SplitPairs
from keras_dss.layers.readout import Readout

__all__ = [
    "DSS",
    "DSSBlock",
    "DSSCell",
    "Downsample",
    "JoinPairs",
    "Readout",
    "SplitPairs",
    "TrailingZeros",
]
