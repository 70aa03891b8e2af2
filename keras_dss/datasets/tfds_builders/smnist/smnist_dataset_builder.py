"""Sequential MNIST as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import smnist


class Builder(tfds.core.GeneratorBasedBuilder):
    """Digits as standardised sequences of pixels."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put mnist.npz here. Without it keras.datasets.mnist downloads the images."
    )

    def _info(self):
        shape = (smnist.MAX_LENGTH, smnist.CHANNELS)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "pixels": tfds.features.Tensor(shape=shape, dtype=np.float32),
                    "label": tfds.features.ClassLabel(num_classes=smnist.NUM_CLASSES),
                }
            ),
            supervised_keys=("pixels", "label"),
            homepage="https://arxiv.org/abs/1504.00941",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in smnist.SPLITS}

    def _generate_examples(self, split, folder):
        for key, (pixels, label) in enumerate(zip(*smnist.load(split, folder), strict=True)):
            yield key, {"pixels": pixels, "label": int(label)}
