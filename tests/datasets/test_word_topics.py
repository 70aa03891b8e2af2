import numpy as np
import pytest

from keras_dss.datasets import byte_text
from keras_dss.datasets.word_topics import COMPONENTS, NUM_TOPICS, WordTopics, _decompose, _words

GROUPS, SIZE = 8, 20  # words of each


def word(group, i):
    return f"{'abcdefgh'[group]}{chr(97 + i)}{'xyzw'[i % 4]}"


WORDS = [word(group, i).encode() for group in range(GROUPS) for i in range(SIZE)]


@pytest.fixture(scope="module")
def texts():
    """Texts of words of one group, and of some words that all texts share."""
    rng = np.random.default_rng(0)
    found = []
    for n in range(160):
        own = [word(n % GROUPS, i) for i in rng.choice(SIZE, 12)]
        found.append(" ".join(rng.permutation([*own, *own[:3], "the", "of", "paper"])))
    return byte_text.encode(found, 100)


@pytest.fixture(scope="module")
def words(texts):
    return WordTopics(texts)


def test_words_of_a_topic_occur_together(words):
    groups = {}
    for number, found in enumerate(WORDS):
        groups.setdefault(words.topics[found], set()).add(number // SIZE)
    assert set(groups) <= set(range(1, NUM_TOPICS + 1)) and len(groups) > NUM_TOPICS // 2
    assert np.mean([len(found) == 1 for found in groups.values()]) > 0.9


def test_vectors_are_those_of_the_decomposition(texts):
    counts = np.array(
        [[_words(text).count(found) for found in WORDS] for text in byte_text.decode(texts)]
    )
    idf = np.log(len(counts) / (counts > 0).sum(axis=0))
    weights = (1 + np.log(counts.clip(1))) * (counts > 0) * idf
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    _, scales, axes = np.linalg.svd(weights)
    expected = (scales[1:COMPONENTS, None] * axes[1:COMPONENTS]).T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    counted = [{w: n for w, n in zip(WORDS, row, strict=True) if n} for row in counts.tolist()]
    found = _decompose(counted, WORDS)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-6)


def test_words_of_all_texts_or_of_few_have_no_topic(words):
    assert set(words.topics) == set(WORDS)  # not "the", "of" and "paper"


def test_labels_are_at_the_last_letters(words):
    first, second = word(0, 0), word(5, 3)
    text = f"{first.upper()}, the {second}s {second}"
    labels = words.label(byte_text.encode([text, ""], 60))
    assert labels.dtype == np.uint8 and labels.shape == (2, 60)
    ends = [len(first) - 1, len(text) - 1]
    assert np.flatnonzero(labels[0, : len(text)]).tolist() == ends
    assert labels[0, ends].tolist() == [words.topics[w.encode()] for w in (first, second)]
    assert (labels[0, len(text) :] == 255).all() and (labels[1] == 255).all()


def test_labels_have_the_shape_of_pairs_and_do_not_change(texts, words):
    pairs = texts[:8].reshape(4, 2, -1)
    labels = words.label(pairs)
    assert labels.shape == pairs.shape
    np.testing.assert_array_equal(labels.reshape(8, -1), words.label(texts[:8]))
    assert WordTopics(np.concatenate([texts, texts[:50]])).topics == words.topics  # known texts


def test_too_few_texts_have_no_topics():
    texts = byte_text.encode(["some words", "some others", "some more"], 12)
    words = WordTopics(texts)
    assert words.topics == {}
    assert set(words.label(texts).ravel().tolist()) == {0, 255}
