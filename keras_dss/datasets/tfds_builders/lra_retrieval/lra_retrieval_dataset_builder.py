"""Retrieval of Long Range Arena as a data set of TensorFlow Datasets."""

import tensorflow_datasets as tfds

from keras_dss.datasets import lra_retrieval
from keras_dss.datasets.tfds_builders.pairs import PairsBuilder


class Builder(PairsBuilder):
    """Pairs of papers, and whether one cites the other."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put new_aan_pairs.train.tsv, new_aan_pairs.eval.tsv and new_aan_pairs.test.tsv here, from "
        "the release of Long Range Arena (lra_release.gz)."
    )
    TASK = lra_retrieval
    HOMEPAGE = "https://arxiv.org/abs/2011.04006"
