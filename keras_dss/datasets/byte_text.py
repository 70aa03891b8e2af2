"""Texts as sequences of bytes: the code of a byte is its value + 1, and 0 is padding."""

import numpy as np

from keras_dss.datasets.labels import UNKNOWN

VOCABULARY_SIZE = 257


def encode(texts, max_length):
    """Returns texts as padded byte codes.

    Every byte has a code, so texts in any character set keep their bytes, and lone surrogates of a
    string keep theirs.

    Args:
        texts: sequence of n texts, each a string (encoded as UTF-8) or bytes.
        max_length: length of the result; what is longer is cut.

    Returns:
        uint16 (n, max_length), codes 1 to 256, padded with 0 on the right.

    Raises:
        TypeError: if a text is neither a string nor bytes, or `texts` is a single text.

    Example:

    >>> encode(["ab", b"\\xff"], 3)
    array([[ 98,  99,   0],
           [256,   0,   0]], dtype=uint16)
    """
    if isinstance(texts, str | bytes | bytearray) or not hasattr(texts, "__len__"):
        raise TypeError(f"Expected a sequence of texts. Received: one {type(texts).__name__}")
    codes = np.zeros((len(texts), max_length), np.uint16)
    for row, text in zip(codes, texts, strict=True):
        values = np.frombuffer(_to_bytes(text)[:max_length], np.uint8)
        row[: len(values)] = values
        row[: len(values)] += 1
    return codes


def encode_one(text):
    """Returns the byte codes of one text, whole and without padding, uint16 (L,).

    Example:

    >>> encode_one("ab")
    array([98, 99], dtype=uint16)
    """
    return np.frombuffer(_to_bytes(text), np.uint8) + np.uint16(1)


def decode(codes):
    """Returns the bytes of codes, the inverse of `encode` as far as nothing was cut.

    Args:
        codes: ints (L,) or (n, L), padded with 0.

    Returns:
        Bytes, or a list of n bytes.

    Raises:
        ValueError: for a code outside 0 to 256.

    Example:

    >>> decode(encode(["ab", "cde"], 4))
    [b'ab', b'cde']
    """
    codes = np.asarray(codes)
    if codes.size and not 0 <= codes.min() <= codes.max() < VOCABULARY_SIZE:
        raise ValueError(f"Expected codes 0 to 256. Received: {codes.min()} to {codes.max()}")
    if codes.ndim > 1:
        return [decode(row) for row in codes]
    return (codes[codes > 0] - 1).astype(np.uint8).tobytes()


def label_steps(codes, find):
    """Returns labels of some bytes of texts, 0 at others and 255 at padding.

    Args:
        codes: byte codes (..., L), padded with 0.
        find: a function of a text, which returns the positions of bytes and their labels; called
            once for each text.

    Returns:
        uint8 as `codes`.

    Example:

    >>> label_steps(encode(["a b", "c"], 4), lambda text: ([0], [7]))
    array([[  7,   0,   0, 255],
           [  7, 255, 255, 255]], dtype=uint8)
    """
    codes = np.asarray(codes)
    labels = np.where(codes > 0, 0, UNKNOWN).astype(np.uint8)
    length, known = codes.shape[-1], {}
    texts = decode(codes.reshape(-1, length))
    for row, text in zip(labels.reshape(-1, length), texts, strict=True):
        if text not in known:
            known[text] = find(text)
        positions, found = known[text]
        row[positions] = found
    return labels


def _to_bytes(text):
    if isinstance(text, str):
        return text.encode(errors="surrogatepass")
    if isinstance(text, bytes | bytearray):
        return bytes(text)
    raise TypeError(f"Expected a text, a string or bytes. Received: {type(text).__name__}")
