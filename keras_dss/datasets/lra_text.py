"""Text of Long Range Arena: whether a film review, read byte by byte, is positive.

Two classes, negative (0) and positive (1), 22,500 / 2,500 / 25,000 examples of at most 4096 bytes.
The validation examples are held out from the 25,000 training reviews by a fixed permutation.

Reviews stand in the order of a hash of their text: classes are mixed, and the held-out reviews are
the same wherever the data was read from.

Source: Maas, Daly, Pham, Huang, Ng & Potts, "Learning Word Vectors for Sentiment Analysis", 2011;
as bytes: Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
"""

import hashlib
import re

import numpy as np

from keras_dss.datasets import byte_text, word_polarity
from keras_dss.datasets.archives import read_arrays, read_members
from keras_dss.datasets.byte_text import VOCABULARY_SIZE, decode
from keras_dss.datasets.paths import cache_folder, check_split, data_folder, replacing
from keras_dss.datasets.provenance import Provenance, describe_file, file_sha256
from keras_dss.datasets.splits import hold_out

__all__ = [
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

KIND = "classification"
NUM_CLASSES = 2
MAX_LENGTH = 4096
SPLITS = {"train": 22_500, "validation": 2_500, "test": 25_000}
STEP_WEIGHTS = (0.2, *(1.0,) * word_polarity.NUM_POLARITIES)  # of the labels of steps

_FOLDER = "aclImdb"
_ARCHIVES = ("aclImdb_v1.tar.gz", "aclImdb_labeled.tar.gz")
_LABELS = {"neg": 0, "pos": 1}
_MEMBER = re.compile(rf"(?:.*/)?{_FOLDER}/(train|test)/(neg|pos)/([^./][^/]*\.txt)")
_NAME = re.compile(r"\d+_\d+\.txt")  # id and rating

_DUPLICATES = (
    "The data set holds exact duplicates: of the 25,000 training reviews 96 repeat another one, of "
    "the test reviews 199; 123 test reviews also occur among the 25,000, and 14 validation reviews "
    "among those trained on."
)
# Copies whose content is known.
_KNOWN = {
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe": (
        "The archive aclImdb_v1.tar.gz of the authors.",
        (_DUPLICATES,),
    ),
    "80ebb8314197eb713e7ddb636d997a6c39e96bc15caeadb509d8e5d050f4b51e": (
        "An archive aclImdb_labeled.tar.gz of the 50,000 labelled reviews of aclImdb v1.0, rebuilt "
        "from a public copy; all but 8 reviews were compared with a second copy and are the same.",
        (_DUPLICATES,),
    ),
}


def load(split, data_dir=None, *, step_labels=False):
    """Returns one split as arrays `(x, y)`, or `(x, y, z)` with `step_labels`.

    Read from `data_dir`: the folder `aclImdb` with `{train,test}/{neg,pos}/ID_RATING.txt`, or an
    archive of it, `aclImdb_v1.tar.gz` or `aclImdb_labeled.tar.gz`; the reviews of an archive are
    kept in the cache folder (`KERAS_DSS_CACHE_DIR`, else `~/.keras/keras_dss`). If `data_dir` holds
    none of these, TensorFlow Datasets downloads `imdb_reviews` once.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.
        step_labels: whether to return the polarities of words too, as a linear model of the
            training split's words sees them: easier questions that a training may ask beside the
            task's own.

    Returns:
        x: uint16 (n, 4096), see `encode`.
        y: uint8 (n,), 0 negative, 1 positive.
        z: with `step_labels`, uint8 as x: at the last letter of a word its polarity, 1 to 4
            negative, 5 to 8 positive, see `keras_dss.datasets.word_polarity`; 0 elsewhere, and 255
            at padding.

    Raises:
        ValueError: for an unknown split, a damaged archive, or a file whose name is not an id and
            a rating.
        FileNotFoundError: if the reviews are neither there nor can be downloaded.
    """
    split = check_split(split, SPLITS)
    x, y = _load(split, data_dir)
    if not step_labels:
        return x, y
    training = (x, y) if split == "train" else _load("train", data_dir)
    return x, y, word_polarity.WordPolarity(*training).label(x)


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    found = _find(data_dir)
    if found is None:
        source, defects = "imdb_reviews as downloaded by TensorFlow Datasets.", (_DUPLICATES,)
    elif found.is_dir():
        source, defects = f"A folder {_FOLDER} of the user's own.", ()
    else:
        source, defects = describe_file(found, _KNOWN)
    return Provenance(
        "Large Movie Review Dataset (Maas et al., 2011), each review as at most 4096 bytes: 22,500 "
        "reviews for training, 2,500 of the training reviews for validation, 25,000 for test.",
        source,
        defects,
    )


def encode(raw):
    """Returns reviews as padded byte codes: byte + 1, 0 is padding.

    Args:
        raw: sequence of n texts, each a string (encoded as UTF-8) or bytes. What is longer than
            4096 bytes is cut.

    Returns:
        uint16 (n, 4096).

    Raises:
        TypeError: if a text is neither a string nor bytes, or `raw` is a single text.

    Example:

    >>> encode(["A fine film."])[0, :3]
    array([ 66,  33, 103], dtype=uint16)
    """
    return byte_text.encode(raw, MAX_LENGTH)


def _load(split, data_dir):
    texts, y = _read("test" if split == "test" else "train", data_dir)
    if split != "test":
        train, validation = hold_out(len(y), SPLITS["validation"], full=25_000)
        chosen = train if split == "train" else validation
        texts, y = [texts[i] for i in chosen], y[chosen]
    return encode(texts), y


def _find(data_dir):
    """The folder or archive to read, or None."""
    folder = data_folder(data_dir)
    if folder is None:
        return None
    candidates = [folder / name for name in (_FOLDER, *_ARCHIVES)]
    return next((path for path in candidates if path.exists()), None)


def _read(part, data_dir):
    """Texts (list of bytes) and labels (uint8) of the `part`, "train" or "test"."""
    found = _find(data_dir)
    if found is None:
        return _arrange(_download(part, data_folder(data_dir)))
    if found.is_file():
        return _read_archive(found, part)
    examples = list(_read_folder(found, part))
    if not examples:
        raise ValueError(
            f"Folder {found / part}: expected reviews {{neg,pos}}/*.txt. Received: none"
        )
    return _arrange(examples)


def _read_folder(folder, part):
    for name, label in _LABELS.items():
        if not (folder / part / name).is_dir():
            raise FileNotFoundError(
                f"Folder {folder / part / name} is missing. Expected {_FOLDER}/{{train,test}}/"
                f"{{neg,pos}} of the Large Movie Review Dataset. Received: {folder}"
            )
        for path in (folder / part / name).glob("[!.]*.txt"):
            _check_name(path, path.name)
            yield path.read_bytes(), label


def _read_archive(path, part):
    cache = cache_folder() / f"lra_text-{file_sha256(path)[:16]}.npz"
    cached = _read_cache(cache, part)
    if cached:
        return cached
    examples = {"train": [], "test": []}
    for name, text in read_members(path, _MEMBER.fullmatch):
        found, label, file = _MEMBER.fullmatch(name).groups()
        _check_name(f"{path}, member {name}", file)
        examples[found].append((text, _LABELS[label]))
    if not all(examples.values()):
        raise ValueError(
            f"File {path}: expected reviews {_FOLDER}/{{train,test}}/{{neg,pos}}/*.txt. "
            f"Received: {len(examples['train'])} in train, {len(examples['test'])} in test"
        )
    parts = {name: _arrange(found) for name, found in examples.items()}
    _write_cache(cache, parts)
    return parts[part]


def _check_name(where, name):
    if not _NAME.fullmatch(name):
        raise ValueError(f"File {where}: expected a name ID_RATING.txt. Received: {name}")


def _arrange(examples):
    """Texts and labels in the order of a hash of the text without outer white space."""

    def key(example):
        return hashlib.blake2b(example[0].strip(), digest_size=16).digest(), example

    texts, labels = zip(*sorted(examples, key=key), strict=True)
    return list(texts), np.array(labels, np.uint8)


def _write_cache(path, parts):
    """Texts one after another, and their lengths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, (texts, labels) in parts.items():
        arrays[f"{part}_text"] = np.frombuffer(b"".join(texts), np.uint8)
        arrays[f"{part}_lengths"] = np.array([len(text) for text in texts], np.uint32)
        arrays[f"{part}_labels"] = labels
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _read_cache(path, part):
    """What `_write_cache` wrote of a part, or None if the file is missing or damaged."""
    names = [f"{part}_{name}" for name in ("text", "lengths", "labels")]
    try:
        text, lengths, labels = read_arrays(path, names, path)
    except (FileNotFoundError, ValueError):
        return None
    if lengths.shape != labels.shape or text.shape != (lengths.sum(),):
        return None
    text, ends = text.tobytes(), np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    return [text[i:j] for i, j in zip(starts.tolist(), ends.tolist(), strict=True)], labels


def _download(part, folder):
    try:
        import tensorflow_datasets as tfds

        data = tfds.as_numpy(tfds.load("imdb_reviews", split=part, batch_size=-1))
    except Exception as error:
        raise FileNotFoundError(
            f"The Large Movie Review Dataset is needed, as a folder {_FOLDER} or an archive "
            f"{' or '.join(_ARCHIVES)}, and TensorFlow Datasets could not download imdb_reviews. "
            "Put one of them into a folder, and pass that as `data_dir` or name it in the "
            f"environment variable KERAS_DSS_DATA_DIR. Received: folder {folder}, error: {error}"
        ) from error
    return zip(data["text"].tolist(), data["label"].tolist(), strict=True)
