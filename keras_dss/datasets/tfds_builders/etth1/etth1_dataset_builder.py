"""ETTh1 forecasting as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import etth1


class Builder(tfds.core.GeneratorBasedBuilder):
    """Windows of standardised measurements, and the hours that follow."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put ETTh1.csv or ETTh1.csv.gz of the ETDataset project (folder ETT-small) here."
    )

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "inputs": tfds.features.Tensor(
                        shape=(etth1.MAX_LENGTH, etth1.CHANNELS), dtype=np.float32
                    ),
                    "targets": tfds.features.Tensor(
                        shape=(etth1.HORIZON, etth1.NUM_OUTPUTS), dtype=np.float32
                    ),
                }
            ),
            supervised_keys=("inputs", "targets"),
            homepage="https://arxiv.org/abs/2012.07436",
        )

    def _split_generators(self, dl_manager):
        folder = dl_manager.manual_dir
        return {split: self._generate_examples(split, folder) for split in etth1.SPLITS}

    def _generate_examples(self, split, folder):
        x, y = etth1.load(split, folder)
        for key, (inputs, targets) in enumerate(zip(x, y, strict=True)):
            yield key, {"inputs": inputs, "targets": targets}
