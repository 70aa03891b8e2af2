"""Polarity of words by logistic regression: labels of the steps of texts of two classes.

With c_tv how often text t, of n_t words, holds term v, a word or a pair of neighbouring words, and
y_t = +1 or -1 its class,

    z_t = WORDS sum_v a_v c_tv / n_t + b
    minimise over a, b:  1/T sum_t log(1 + exp(-y_t z_t)) + DECAY/2 |a|^2

The polarity of a word where it stands is a of the word, plus a of its pair with the word before;
that of a text is their mean.

Source: Wang & Manning, "Baselines and bigrams: simple, good sentiment and topic classification",
2012, on what words and their pairs are worth for reviews.
"""

import re
from collections import Counter

import numpy as np

from keras_dss.datasets import byte_text

DEGREES = 4  # of each sign
NUM_POLARITIES = 2 * DEGREES
TEXTS_OF_A_WORD = 5  # the fewest that hold a word, or a pair
WORDS = 200  # of a text, whose log odds are z
DECAY = 1e-3
QUANTILE = 0.99  # of the sizes of a, which is the highest degree

_WORD = re.compile(rb"[a-z']+")
_MARKUP = re.compile(rb"<[^>]*>")


class WordPolarity:
    """The polarities of the words of some texts, which other texts may hold too.

    Args:
        texts: byte codes (n, L), padded with 0.
        labels: ints (n,), 0 or 1.

    Attributes:
        weights: dict from words and pairs of words, bytes in small letters, to floats, the a of
            those that 5 texts hold. Empty where there are none, or only texts of one class.
        highest: float, the size of a that is the highest degree.
    """

    def __init__(self, texts, labels):
        found = [_terms(text) for text in byte_text.decode(texts)]
        texts_of = Counter(term for terms in found for term in set(terms))
        terms = sorted(term for term, n in texts_of.items() if n >= TEXTS_OF_A_WORD)
        labels = np.asarray(labels)
        self.weights, self.highest = {}, 1.0
        if terms and len(np.unique(labels)) > 1:
            values = _regress(found, terms, labels)
            self.weights = dict(zip(terms, values.tolist(), strict=True))
            self.highest = float(np.quantile(np.abs(values), QUANTILE))

    def label(self, codes):
        """Returns the polarity of each word at its last letter, in degrees.

        Args:
            codes: byte codes (n, L), padded with 0.

        Returns:
            uint8 as `codes`: 1 to 4 from weakly to strongly of class 0, 5 to 8 of class 1; 0 at
            other letters and at words of neither, 255 at padding.
        """
        return byte_text.label_steps(codes, self._ends)

    def _ends(self, text):
        """Of the words of a text: where they end, and their degrees."""
        words = _words(text)
        values = [self.weights.get(word, 0.0) for word, _ in words]
        pairs = zip(words, words[1:], strict=False)
        both = [self.weights.get(first + b" " + second, 0.0) for (first, _), (second, _) in pairs]
        polarities = np.array(values) + np.array([0.0, *both])[: len(words)]
        degrees = np.rint(DEGREES * polarities / self.highest)
        sizes = np.minimum(np.abs(degrees), DEGREES)
        ends = np.array([end - 1 for _, end in words], int)
        return ends, np.where(degrees > 0.0, sizes + DEGREES, sizes)


def _words(text):
    """Words and where they end; markup, as long as it was, holds none."""
    text = _MARKUP.sub(lambda match: b" " * len(match[0]), text.lower())
    return [(match[0], match.end()) for match in _WORD.finditer(text)]


def _terms(text):
    words = [word for word, _ in _words(text)]
    return [*words, *(b" ".join(pair) for pair in zip(words, words[1:], strict=False))]


def _regress(found, terms, labels):
    """The weights of the terms (V,)."""
    from scipy import sparse
    from scipy.optimize import minimize
    from scipy.special import expit

    column_of = {term: column for column, term in enumerate(terms)}
    counts = [Counter(column_of[term] for term in text if term in column_of) for text in found]
    starts = np.cumsum([0, *map(len, counts)])
    columns = np.fromiter((column for text in counts for column in text), np.int32, starts[-1])
    values = np.fromiter((n for text in counts for n in text.values()), float, starts[-1])
    words = np.array([(len(text) + 1) // 2 for text in found])  # n words have n - 1 pairs
    values *= np.repeat(WORDS / np.maximum(words, 1), np.diff(starts))
    shares = sparse.csr_array((values, columns, starts), (len(found), len(terms)))
    signs = np.where(labels > 0, 1.0, -1.0)

    def objective(values):
        weights, bias = values[:-1], values[-1]
        margins = signs * (shares @ weights + bias)
        slopes = -signs * expit(-margins) / len(signs)
        loss = np.mean(np.logaddexp(0.0, -margins)) + 0.5 * DECAY * weights @ weights
        return loss, np.append(shares.T @ slopes + DECAY * weights, np.sum(slopes))

    start = np.zeros(len(terms) + 1)
    return minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x[:-1]
