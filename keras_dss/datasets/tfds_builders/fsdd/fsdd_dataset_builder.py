"""The Free Spoken Digit Dataset as a data set of TensorFlow Datasets."""

import numpy as np
import tensorflow_datasets as tfds

from keras_dss.datasets import fsdd


class Builder(tfds.core.GeneratorBasedBuilder):
    """Recordings at full length, the digits spoken and the speakers."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional: put fsdd.tar.gz, or the folder free-spoken-digit-dataset/recordings, of the "
        "Free Spoken Digit Dataset here. Without it spoken_digit is downloaded."
    )

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Audio(
                        shape=(None,), dtype=np.int16, sample_rate=fsdd.RATE
                    ),
                    "label": tfds.features.ClassLabel(num_classes=fsdd.NUM_CLASSES),
                    "speaker": tfds.features.Text(),
                }
            ),
            supervised_keys=("audio", "label"),
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # nothing was put there
            folder = None
        return {split: self._generate_examples(split, folder) for split in fsdd.SPLITS}

    def _generate_examples(self, split, folder):
        for name, waveform in zip(*fsdd.load_waveforms(split, folder), strict=True):
            digit, speaker, _ = name.split("_")
            yield name, {"audio": waveform, "label": int(digit), "speaker": speaker}
