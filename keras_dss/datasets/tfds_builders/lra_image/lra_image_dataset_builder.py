"""Image of Long Range Arena as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import lra_image


class Builder(tfds.core.GeneratorBasedBuilder):
    """Gray pictures as standardised sequences of pixels, and what they show."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put cifar-10-binary.tar.gz, the folder cifar-10-batches-bin or "
        "cifar10_gray.npz.xz here. Without them keras.datasets.cifar10 downloads the images."
    )

    def _info(self):
        shape = (lra_image.MAX_LENGTH, lra_image.CHANNELS)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "pixels": tfds.features.Tensor(shape=shape, dtype=np.float32),
                    "label": tfds.features.ClassLabel(names=list(lra_image.CLASSES)),
                }
            ),
            supervised_keys=("pixels", "label"),
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in lra_image.SPLITS}

    def _generate_examples(self, split, folder):
        x, y = lra_image.load(split, folder)
        for key, label in enumerate(y):
            yield key, {"pixels": x[key], "label": int(label)}
