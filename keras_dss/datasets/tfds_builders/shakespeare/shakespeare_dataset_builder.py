"""Tiny Shakespeare in windows of 256 characters, as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import shakespeare


class Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of characters, and the character that follows each."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put tinyshakespeare.txt.gz, tinyshakespeare.txt or input.txt here. Without it "
        "the data set tiny_shakespeare is downloaded."
    )

    def _info(self):
        window = tfds.features.Tensor(shape=(shakespeare.MAX_LENGTH,), dtype=np.uint8)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"tokens": window, "targets": window}),
            supervised_keys=("tokens", "targets"),
            homepage="https://github.com/karpathy/char-rnn",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in shakespeare.SPLITS}

    def _generate_examples(self, split, folder):
        for key, (tokens, targets) in enumerate(zip(*shakespeare.load(split, folder), strict=True)):
            yield key, {"tokens": tokens, "targets": targets}
