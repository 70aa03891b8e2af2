"""Data set builders for TensorFlow Datasets, over the modules of `keras_dss.datasets`."""


def register(tensorflow_datasets=None):
    """Registers the builders, so that `tfds.load` finds them by name.

    This happens by itself when `keras_dss.datasets` and `tensorflow_datasets` are both imported.

    Args:
        tensorflow_datasets: the module, as handed over by import hooks; not needed.
    """
    from keras_dss.datasets.tfds_builders.etth1 import etth1_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.fsdd import fsdd_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_image import lra_image_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_listops import lra_listops_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_pathfinder import lra_pathfinder_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_pathx import lra_pathx_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_retrieval import lra_retrieval_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.lra_text import lra_text_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.scisumm import scisumm_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.shakespeare import shakespeare_dataset_builder  # noqa: F401
    from keras_dss.datasets.tfds_builders.smnist import smnist_dataset_builder  # noqa: F401
