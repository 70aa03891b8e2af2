"""Retrieval of Long Range Arena: whether one paper of the ACL Anthology Network cites another.

Two classes, 147,086 / 18,090 / 17,437 pairs of papers as bytes, the first 4,000 of each. Only the
official files are read; validation is the official `eval` file.

Source: Radev, Muthukrishnan & Qazvinian, "The ACL Anthology Network Corpus", 2009; Tay et al.,
"Long Range Arena", 2021, arXiv 2011.04006.
"""

from keras_dss.datasets import pairs_tsv
from keras_dss.datasets.pairs_tsv import MAX_LENGTH, NUM_CLASSES, VOCABULARY_SIZE, decode, encode
from keras_dss.datasets.paths import check_split
from keras_dss.datasets.provenance import Provenance

__all__ = [
    "FILES",
    "KIND",
    "MAX_LENGTH",
    "NUM_CLASSES",
    "SPLITS",
    "VOCABULARY_SIZE",
    "decode",
    "encode",
    "load",
    "provenance",
]

KIND = "pairs"
SPLITS = {"train": 147_086, "validation": 18_090, "test": 17_437}
FILES = pairs_tsv.PairFiles(
    {
        "train": "new_aan_pairs.train.tsv",
        "validation": "new_aan_pairs.eval.tsv",
        "test": "new_aan_pairs.test.tsv",
    },
    "The Retrieval files of Long Range Arena are needed; they are in the folder tsv_data of its "
    "release, lra_release.gz, which has to be downloaded by hand.",
    folders=("", "lra_release/tsv_data", "tsv_data", "lra_retrieval"),
)


def load(split, data_dir=None, *, cache_dir=None):
    """Returns one split as arrays `(x, y)`.

    The official files `new_aan_pairs.{train,eval,test}.tsv` are read from `data_dir`, or from
    `lra_release/tsv_data`, `tsv_data` or `lra_retrieval` in it. The first reading writes the codes
    to `cache_dir` (2.4 GB for the training split), from where they are mapped into memory.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.
        cache_dir: folder. Defaults to the environment variable `KERAS_DSS_CACHE_DIR`, else
            `keras_dss` in the folder of Keras (`~/.keras`).

    Returns:
        x: uint16 (n, 2, 4000), byte codes of both texts, padded with 0; read-only if large.
        y: uint8 (n,), 1 where one paper cites the other.

    Raises:
        ValueError: for an unknown split, or a row with other columns or another label.
        FileNotFoundError: if the files are missing.
    """
    return FILES.load(check_split(split, SPLITS), data_dir, cache_dir)


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    return Provenance(
        "Retrieval of Long Range Arena (Tay et al., 2021): pairs of papers of the ACL Anthology "
        "Network, the first 4,000 bytes of each; 147,086 pairs for training, 18,090 for "
        "validation, 17,437 for test.",
        *FILES.describe(data_dir, {}),
    )
