"""Citation pairs of an open corpus: whether one paper of the ACL Anthology cites another.

Two classes, 4,434 / 552 / 554 pairs of papers as bytes, the first 4,000 of each: the form of
`lra_retrieval`, but other and far fewer pairs. Validation is the file `eval`.

Source: the citations recorded in the CL-SciSumm corpus, Chandrasekaran, Yasunaga, Radev, Freitag &
Kan, "Overview and Results: CL-SciSumm Shared Task 2019", 2019.
"""

from keras_dss.datasets import pairs_tsv, word_topics
from keras_dss.datasets.pairs_tsv import MAX_LENGTH, NUM_CLASSES, VOCABULARY_SIZE, decode, encode
from keras_dss.datasets.paths import check_split
from keras_dss.datasets.provenance import Provenance

__all__ = [
    "FILES",
    "KIND",
    "MAX_LENGTH",
    "NUM_CLASSES",
    "SPLITS",
    "STEP_WEIGHTS",
    "VOCABULARY_SIZE",
    "decode",
    "encode",
    "load",
    "provenance",
]

KIND = "pairs"
STEP_WEIGHTS = (0.2, *(1.0,) * word_topics.NUM_TOPICS)  # of the labels of steps, in a training
SPLITS = {"train": 4_434, "validation": 552, "test": 554}
FILES = pairs_tsv.PairFiles(
    {
        "train": "scisumm_pairs.train.tsv",
        "validation": "scisumm_pairs.eval.tsv",
        "test": "scisumm_pairs.test.tsv",
    },
    "Pairs of papers made from the CL-SciSumm corpus (project WING-NUS/scisumm-corpus) are needed, "
    "as three files or their archive; they cannot be downloaded from here.",
    folders=("", "scisumm"),
    archive="scisumm_pairs.tar.xz",
)

_SOURCE = (
    "scisumm_pairs, citing and cited papers of the CL-SciSumm corpus (WING-NUS, CC BY 4.0): texts "
    "without tags and reference lists, cut after 12,000 characters; negative pairs drawn by "
    "permuting the cited papers."
)
_DEFECTS = (
    "These are not the AAN pairs of Long Range Arena; accuracies cannot be compared with published "
    "ones.",
    "The corpus is small: 4,434 training pairs, and 391 of the 439 papers of the test pairs occur "
    "in training pairs too. No pair occurs in two splits.",
    "The citations recorded in the corpus are a sample: a few negative pairs may cite each other "
    "all the same.",
    "Chronology gives part of the answer: the cited paper is the newer one in 609 of the 2,770 "
    "negative pairs and in no positive one. On the test pairs the years of the identifiers alone "
    "are worth 59.9 % accuracy, the newest year named in either text 65.9 %.",
    "On the test pairs the difference of the texts' byte frequencies alone is worth 61.6 %.",
    "122 of the 2,770 positive pairs do not mention the cited paper in the citing text; in 18, the "
    "citing text holds the title of the cited paper.",
    "The texts hold errors of optical character recognition, and some papers lack their title.",
)
_KNOWN = {
    digest: (_SOURCE, _DEFECTS)
    for digest in (
        "aadf11d9eeba3475f0842cf9a7c87e3605f3e7256eac329068b1de1ddcd9f24c",  # the archive
        "4f8fe9b99633e99a1eb5de3ba9007722c73af0ace03794bb638e102e0d5954a1",  # train
        "ad576c3277e371c28dcf62f51b4625079f4fe3e8e5fe0182b8c9a64ea9d87a09",  # eval
        "563e029ebe415d7411d0ef351eaa1082b2e850fc5092c402b8fccce749d5192c",  # test
    )
}


def load(split, data_dir=None, *, cache_dir=None, step_labels=False):
    """Returns one split as arrays `(x, y)`, or `(x, y, z)` with `step_labels`.

    The archive `scisumm_pairs.tar.xz`, or the three files in it, are read from `data_dir`. The
    first reading writes the codes to `cache_dir`, from where they are mapped into memory.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.
        cache_dir: folder. Defaults to the environment variable `KERAS_DSS_CACHE_DIR`, else
            `keras_dss` in the folder of Keras (`~/.keras`).
        step_labels: whether to return the topics of words too, from papers of the training split
            that hold the same words: easier questions that a training may ask beside the task's
            own.

    Returns:
        x: uint16 (n, 2, 4000), byte codes of the citing and the cited paper, padded with 0;
            read-only if large.
        y: uint8 (n,), 1 where the first paper cites the second.
        z: with `step_labels`, uint8 as x: at the last letter of a word its topic, 1 to 128, see
            `keras_dss.datasets.word_topics`; 0 elsewhere, and 255 at padding.

    Raises:
        ValueError: for an unknown split, a damaged archive, or a row with other columns or another
            label.
        FileNotFoundError: if the files are missing.
    """
    split = check_split(split, SPLITS)
    x, y = FILES.load(split, data_dir, cache_dir)
    if not step_labels:
        return x, y
    training = x if split == "train" else FILES.load("train", data_dir, cache_dir)[0]
    topics = word_topics.WordTopics(training.reshape(-1, MAX_LENGTH))
    return x, y, topics.label(x)


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    return Provenance(
        "Citation pairs of the ACL Anthology from the CL-SciSumm corpus, the first 4,000 bytes of "
        "each paper: 4,434 pairs for training, 552 for validation, 554 for test.",
        *FILES.describe(data_dir, _KNOWN),
    )
