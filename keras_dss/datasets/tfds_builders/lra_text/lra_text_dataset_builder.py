"""Text of Long Range Arena as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import lra_text


class Builder(tfds.core.GeneratorBasedBuilder):
    """Film reviews as byte codes without padding, and whether they are positive."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put the folder aclImdb or the archive aclImdb_v1.tar.gz of the Large Movie "
        "Review Dataset here. Without them the data set imdb_reviews is downloaded."
    )

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "tokens": tfds.features.Tensor(shape=(None,), dtype=np.uint16),
                    "label": tfds.features.ClassLabel(names=["neg", "pos"]),
                }
            ),
            supervised_keys=("tokens", "label"),
            homepage="https://ai.stanford.edu/~amaas/data/sentiment/",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in lra_text.SPLITS}

    def _generate_examples(self, split, folder):
        x, y = lra_text.load(split, folder)
        for key, (tokens, label) in enumerate(zip(x, y, strict=True)):
            yield key, {"tokens": tokens[tokens > 0], "label": int(label)}
