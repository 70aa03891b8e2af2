"""Keras layers of diagonal state space models."""

from keras_dss.layers.block import DSSBlock
from keras_dss.layers.cell import DSSCell
from keras_dss.layers.dss import DSS
from keras_dss.layers.readout import Readout

__all__ = ["DSS", "DSSBlock", "DSSCell", "Readout"]
