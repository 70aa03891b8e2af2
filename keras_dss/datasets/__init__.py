"""Data sets, one task per module: `load(split, data_dir=None)` returns NumPy arrays `(x, y)`.

With TensorFlow Datasets, `tfds.load("lra_listops")` works after `import keras_dss.datasets`. The
builder is registered when `tensorflow_datasets` is imported, earlier or later, by a hook of wrapt,
on which that package depends. Nothing here imports it.
"""

from keras_dss.datasets import (
    etth1,
    fsdd,
    lra_image,
    lra_listops,
    lra_pathfinder,
    lra_pathx,
    lra_retrieval,
    lra_text,
    scisumm,
    shakespeare,
    smnist,
)
from keras_dss.datasets.batches import Batches, choose_boundaries, sequence_lengths
from keras_dss.datasets.on_device import OnDevice

try:
    import wrapt
except ImportError:  # then there is no tensorflow_datasets either
    pass
else:
    wrapt.register_post_import_hook(
        "keras_dss.datasets.tfds_builders:register", "tensorflow_datasets"
    )

__all__ = [
    "Batches",
    "OnDevice",
    "choose_boundaries",
    "etth1",
    "fsdd",
    "lra_image",
    "lra_listops",
    "lra_pathfinder",
    "lra_pathx",
    "lra_retrieval",
    "lra_text",
    "scisumm",
    "sequence_lengths",
    "shakespeare",
    "smnist",
]
