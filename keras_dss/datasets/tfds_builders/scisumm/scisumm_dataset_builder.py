"""Citation pairs of the CL-SciSumm corpus as a data set of TensorFlow Datasets."""

import tensorflow_datasets as tfds

from keras_dss.datasets import scisumm
from keras_dss.datasets.tfds_builders.pairs import PairsBuilder


class Builder(PairsBuilder):
    """Pairs of papers, and whether one cites the other."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put scisumm_pairs.tar.xz, or scisumm_pairs.train.tsv, scisumm_pairs.eval.tsv and "
        "scisumm_pairs.test.tsv, here."
    )
    TASK = scisumm
    HOMEPAGE = "https://github.com/WING-NUS/scisumm-corpus"
