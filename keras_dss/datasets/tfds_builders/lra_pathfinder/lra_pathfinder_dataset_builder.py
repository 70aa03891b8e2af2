"""Pathfinder of Long Range Arena as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import lra_pathfinder

SHAPE = (lra_pathfinder.SIZE, lra_pathfinder.SIZE, lra_pathfinder.CHANNELS)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Images of dashed contours, and whether both markers are on the same one."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put pathfinder32/curv_contour_length_14 of Long Range Arena here, with its "
        "folders imgs and metadata. Without it the images are drawn."
    )

    def _info(self):
        image = tfds.features.Image(shape=SHAPE, dtype=np.uint8, encoding_format="png")
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": image,
                    "label": tfds.features.ClassLabel(num_classes=lra_pathfinder.NUM_CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://arxiv.org/abs/2011.04006",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in lra_pathfinder.SPLITS}

    def _generate_examples(self, split, folder):
        x, y = lra_pathfinder.load(split, folder)
        for key, (pixels, label) in enumerate(zip(x.raw, y, strict=True)):
            yield key, {"image": pixels.reshape(SHAPE), "label": int(label)}
