"""Tiny Shakespeare: the next character of 40,000 lines of Shakespeare's plays.

1,115,394 characters, 65 different ones, divided by position: the first 90 % train, the next 5 %
validate, the last 5 % test. Each part is cut into windows of 256 characters that do not overlap,

    x[i, t] = character 256 i + t,    y[i, t] = character 256 i + t + 1,

so that every character of a part except its first is predicted once. The last window is padded
with 0, and predictions where y = 0 do not count.

Source: Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015 (project
char-rnn).
"""

import gzip
import zlib

import numpy as np

from keras_dss.datasets.paths import check_split, data_folder
from keras_dss.datasets.provenance import Provenance, describe_file

KIND = "language"
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # codes 1 to 65
UNKNOWN = len(CHARACTERS) + 1  # code of every other character
VOCABULARY_SIZE = UNKNOWN + 1  # 0 is padding
MAX_LENGTH = 256
SPLITS = {"train": 3_922, "validation": 218, "test": 218}
FILES = ("tinyshakespeare.txt.gz", "tinyshakespeare.txt", "input.txt")

_ORIGINAL = "the text of the project char-rnn, 1,115,394 characters."
_KNOWN = {
    "13125fe8f49092165d7d489e3944db52d1ba546e64a60080cc9523bcd0c5e46a": (
        f"A file tinyshakespeare.txt.gz, {_ORIGINAL}",
        (),
    ),
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed": (
        f"A file of {_ORIGINAL}",
        (),
    ),
}

_CODES = np.full(128, UNKNOWN, np.uint8)  # from ASCII
_CODES[np.frombuffer(CHARACTERS.encode(), np.uint8)] = np.arange(1, UNKNOWN)
_SYMBOLS = np.array(["", *CHARACTERS, "\N{REPLACEMENT CHARACTER}"])


def load(split, data_dir=None):
    """Returns one split as arrays `(x, y)` of windows and the characters that follow.

    `tinyshakespeare.txt.gz`, `tinyshakespeare.txt` or `input.txt` is read from `data_dir` if one
    of them is there, otherwise `tiny_shakespeare` of TensorFlow Datasets, downloaded once.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.

    Returns:
        x: uint8 (n, 256), codes of characters, see `encode`.
        y: uint8 (n, 256), the code of the character after each; 0 where there is none.

    Raises:
        ValueError: for an unknown split, a damaged file or one too short to divide.
        FileNotFoundError: if no file is there and nothing can be downloaded.
    """
    split = check_split(split, SPLITS)
    path = _find(data_dir)
    text = _download(data_dir) if path is None else _read(path)
    part = divide(encode(text))[split]
    if len(part) < 2:
        raise ValueError(
            f"{path or 'tiny_shakespeare'}: every split needs at least 2 characters. "
            f"Received: {len(text)} characters in all, {len(part)} for {split}"
        )
    return _windows(part[:-1]), _windows(part[1:])


def divide(text):
    """Returns a dict from split to its part of a sequence: first 90 %, next 5 %, last 5 %.

    Example:

    >>> divide("abcdefghijklmnopqrst")
    {'train': 'abcdefghijklmnopqr', 'validation': 's', 'test': 't'}
    """
    first = len(text) * 9 // 10
    second = first + (len(text) - first) // 2
    return {"train": text[:first], "validation": text[first:second], "test": text[second:]}


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    path = _find(data_dir)
    source, defects = "tiny_shakespeare of TensorFlow Datasets.", ()
    if path is not None:
        source, defects = describe_file(path, _KNOWN)
    return Provenance(
        "Tiny Shakespeare (Karpathy, 2015) as windows of 256 characters, of each of which the next "
        "is predicted: the first 90 % of the text for training, the next 5 % for validation, the "
        "last 5 % for test.",
        source,
        defects,
    )


def encode(raw):
    """Returns text as codes of its characters: 1 to 65 in `CHARACTERS`, 66 for any other.

    Args:
        raw: a string of any length, or a sequence of n strings.

    Returns:
        uint8 (L,) for one string; (n, L) for a sequence, padded with 0 to the longest.

    Raises:
        TypeError: for anything but strings.

    Example:

    >>> encode(["To be", "é?"])
    array([[33, 54,  2, 41, 44],
           [66, 13,  0,  0,  0]], dtype=uint8)
    """
    if isinstance(raw, str):
        points = np.frombuffer(raw.encode("utf-32-le", "surrogatepass"), np.uint32)
        return np.where(points < 128, _CODES[np.minimum(points, 127)], np.uint8(UNKNOWN))
    if isinstance(raw, bytes) or not all(isinstance(text, str) for text in raw):
        raise TypeError(f"Expected a string or a sequence of strings. Received: {raw!r:.80}")
    rows = [encode(text) for text in raw]
    x = np.zeros((len(rows), max(map(len, rows), default=0)), np.uint8)
    for row, codes in zip(x, rows, strict=True):
        row[: len(codes)] = codes
    return x


def decode(tokens):
    """Returns codes as text, the inverse of `encode`; unknown characters become U+FFFD.

    Args:
        tokens: ints (L,) or (n, L); 0 is left out.

    Returns:
        A string, or a list of n strings.

    Raises:
        ValueError: for a code that is no token.

    Example:

    >>> decode(encode("To be"))
    'To be'
    """
    tokens = np.asarray(tokens)
    if tokens.ndim > 1:
        return [decode(row) for row in tokens]
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < VOCABULARY_SIZE:
        raise ValueError(
            f"Expected codes 0 to {VOCABULARY_SIZE - 1}. "
            f"Received: codes {tokens.min()} to {tokens.max()}"
        )
    return "".join(_SYMBOLS[tokens].tolist())


def _windows(codes):
    x = np.zeros((-(-len(codes) // MAX_LENGTH), MAX_LENGTH), np.uint8)
    x.ravel()[: len(codes)] = codes
    return x


def _find(data_dir):
    folder = data_folder(data_dir)
    candidates = [] if folder is None else [folder / name for name in FILES]
    return next((path for path in candidates if path.exists()), None)


def _read(path):
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"File {path}: expected whole gzip data. Received: {error}") from error
    return content.decode(errors="replace")


def _download(folder):
    """The whole text, put together again from the splits of TensorFlow Datasets."""
    try:
        import tensorflow_datasets as tfds

        data = tfds.load("tiny_shakespeare")
        examples = [tfds.as_numpy(data[split]) for split in ("train", "validation", "test")]
        return b"".join(row["text"] for part in examples for row in part).decode(errors="replace")
    except Exception as error:
        raise FileNotFoundError(
            f"One of the files {', '.join(FILES)} is needed, the text of Karpathy's char-rnn, and "
            "tiny_shakespeare of TensorFlow Datasets could not be downloaded. Put one into a "
            "folder, and pass that as `data_dir` or name it in the environment variable "
            f"KERAS_DSS_DATA_DIR. Received: folder {folder}, error: {error}"
        ) from error
