"""What the data sets of pairs of texts share."""

import numpy as np
import tensorflow_datasets as tfds


class PairsBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Byte codes of two texts without padding, and a label.

    Attributes:
        TASK: the module of `keras_dss.datasets`.
        HOMEPAGE: where the data is described.
    """

    TASK = None
    HOMEPAGE = None

    def _info(self):
        text = tfds.features.Tensor(shape=(None,), dtype=np.uint16)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "tokens1": text,
                    "tokens2": text,
                    "label": tfds.features.ClassLabel(num_classes=self.TASK.NUM_CLASSES),
                }
            ),
            supervised_keys=(("tokens1", "tokens2"), "label"),
            homepage=self.HOMEPAGE,
        )

    def _split_generators(self, dl_manager):
        folder = dl_manager.manual_dir
        return {split: self._generate_examples(split, folder) for split in self.TASK.SPLITS}

    def _generate_examples(self, split, folder):
        for key, (pair, label) in enumerate(zip(*self.TASK.load(split, folder), strict=True)):
            first, second = (text[text > 0] for text in pair)
            yield key, {"tokens1": first, "tokens2": second, "label": int(label)}
