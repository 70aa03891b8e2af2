"""ListOps of Long Range Arena as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import lra_listops


class Builder(tfds.core.GeneratorBasedBuilder):
    """Token sequences without padding, and their values."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put basic_train.tsv, basic_val.tsv and basic_test.tsv of Long Range Arena here. "
        "Without them the data is generated."
    )

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "tokens": tfds.features.Tensor(shape=(None,), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(num_classes=lra_listops.NUM_CLASSES),
                }
            ),
            supervised_keys=("tokens", "label"),
            homepage="https://arxiv.org/abs/2011.04006",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in lra_listops.SPLITS}

    def _generate_examples(self, split, folder):
        x, y = lra_listops.load(split, folder)
        for key, (tokens, label) in enumerate(zip(x, y, strict=True)):
            yield key, {"tokens": tokens[tokens > 0], "label": int(label)}
