"""Data sets, one task per module: `load(split, data_dir=None)` returns NumPy arrays `(x, y)`."""

from keras_dss.datasets import lra_listops  # noqa: F401
from keras_dss.datasets.batches import Batches, sequence_lengths  # noqa: F401
