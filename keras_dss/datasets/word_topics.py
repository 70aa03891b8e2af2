"""Topics of words by latent semantic analysis: labels of the steps of texts.

With c_tw how often word w occurs in text t, and T_w how many of the T texts hold it,

    A_tw = (1 + log c_tw) log(T / T_w) / a_t,   A = U S V^T,   a_t such that rows have length 1

The vector of w is its row of V S, without the component of the largest singular value, which is
common to all texts, and divided by its length. Topics are clusters of these vectors: words that
occur together.

Source: Deerwester, Dumais, Furnas, Landauer & Harshman, "Indexing by latent semantic analysis",
1990.
"""

import re
from collections import Counter

import numpy as np

from keras_dss.datasets import byte_text

NUM_TOPICS = 128
COMPONENTS = 64  # of the decomposition
TEXTS_OF_A_WORD = 3, 0.5  # the fewest that hold a word, and the largest share of all

_WORD = re.compile(rb"[a-z]{2,}")


class WordTopics:
    """The topics of the words of some texts, which other texts may hold too.

    Args:
        texts: byte codes (n, L), padded with 0; a text that occurs again counts once.

    Attributes:
        topics: dict from words, bytes in small letters, to ints 1 to `NUM_TOPICS`. Words have a
            topic that 3 texts and at most half of them hold; none have where there are fewer such
            words than topics, or at most `COMPONENTS` texts.
    """

    def __init__(self, texts):
        counts = [Counter(_words(text)) for text in dict.fromkeys(map(byte_text.decode, texts))]
        fewest, share = TEXTS_OF_A_WORD
        texts_of = Counter(word for found in counts for word in found)
        words = sorted(w for w, n in texts_of.items() if fewest <= n <= share * len(counts))
        self.topics = {}
        if len(words) >= NUM_TOPICS and len(counts) > COMPONENTS:
            self.topics = dict(zip(words, _cluster(_decompose(counts, words)), strict=True))

    def label(self, codes):
        """Returns the topic of each word at its last letter.

        Args:
            codes: byte codes (..., L), padded with 0.

        Returns:
            uint8 as `codes`, 0 at other letters and at words without a topic, 255 at padding.
        """
        return byte_text.label_steps(codes, self._ends)

    def _ends(self, text):
        found = [
            (match.end() - 1, self.topics[match[0]])
            for match in _WORD.finditer(text.lower())
            if match[0] in self.topics
        ]
        return np.array(found, int).reshape(-1, 2).T


def _words(text):
    return _WORD.findall(text.lower())


def _decompose(counts, words):
    """The vectors (W, COMPONENTS - 1)."""
    from scipy import sparse
    from scipy.sparse.linalg import svds

    column_of = {word: column for column, word in enumerate(words)}
    entries = [
        (row, column_of[word], 1.0 + np.log(count))
        for row, found in enumerate(counts)
        for word, count in found.items()
        if word in column_of
    ]
    rows, columns, values = map(np.array, zip(*entries, strict=True))
    shape = len(counts), len(words)
    idf = np.log(shape[0] / np.bincount(columns, minlength=shape[1]))  # (W,)
    values = values * idf[columns]
    lengths = np.sqrt(np.bincount(rows, values**2, shape[0]))
    weights = sparse.csr_array((values / lengths[rows], (rows, columns)), shape=shape)
    start = np.ones(min(shape))  # the decomposition is the same each time
    _, scales, axes = svds(weights, k=COMPONENTS, v0=start)  # (COMPONENTS, W), smallest first
    vectors = (scales[:, None] * axes)[:-1].T
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _cluster(vectors):
    """The topics, ints from 1 on."""
    from scipy.cluster.vq import kmeans2

    _, found = kmeans2(vectors, NUM_TOPICS, minit="++", rng=np.random.default_rng(0))
    return (found + 1).tolist()
