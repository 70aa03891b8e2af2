import numpy as np
import pytest

from keras_dss.datasets import byte_text
from keras_dss.datasets.word_polarity import DECAY, WORDS, WordPolarity, _regress, _terms

LENGTH = 200


@pytest.fixture(scope="module")
def reviews():
    """Reviews of which good ones hold "fine" or "not bad", bad ones "bad" or "not fine"."""
    rng = np.random.default_rng(0)
    kinds = [("bad", "not fine"), ("fine", "not bad")]
    labels = np.arange(200) % 2
    texts = [
        " ".join(rng.permutation([kinds[label][rng.integers(2)], "the", "film", "was", "long"]))
        for label in labels
    ]
    return byte_text.encode(texts, LENGTH), labels


@pytest.fixture(scope="module")
def words(reviews):
    return WordPolarity(*reviews)


def test_words_and_pairs_have_the_signs_of_their_classes(words):
    assert words.weights[b"fine"] > 0 > words.weights[b"bad"]
    assert words.weights[b"not bad"] > 0 > words.weights[b"not fine"]
    strongest = {term for term, weight in words.weights.items() if abs(weight) > words.highest / 2}
    assert {b"not bad", b"not fine"} <= strongest
    assert not strongest & {b"the", b"film", b"was", b"long"}


def test_the_weights_are_where_the_gradient_vanishes(reviews):
    codes, labels = reviews
    found = [_terms(text) for text in byte_text.decode(codes[:60])]
    terms = sorted({term for text in found for term in text})
    signs = 2.0 * labels[:60] - 1.0
    shares = np.array(
        [[text.count(term) / ((len(text) + 1) // 2) for term in terms] for text in found]
    )
    weights = _regress(found, terms, labels[:60])

    def gradient(bias):
        margins = signs * (WORDS * shares @ weights + bias)
        slopes = -signs / (1.0 + np.exp(margins)) / len(signs)
        return WORDS * shares.T @ slopes + DECAY * weights, np.sum(slopes)

    biases = np.linspace(-5.0, 5.0, 20_001)
    bias = biases[np.argmin([abs(gradient(bias)[1]) for bias in biases])]
    np.testing.assert_allclose(gradient(bias)[0], 0.0, atol=2e-3)
    assert np.abs(weights).max() > 0.05


def test_labels_are_at_the_last_letters(words):
    text = "Fine, NOT bad<br />fine the"
    labels = words.label(byte_text.encode([text, ""], 40))
    assert labels.dtype == np.uint8 and labels.shape == (2, 40)
    ends = [text.index(word) + len(word) - 1 for word in ("Fine", "bad", "fine")]
    assert (labels[0, ends] > 4).all()  # the pair outweighs the word "bad"
    unsaid = [text.index("NOT") + 2, len(text) - 1]  # ends of words of neither class
    others = np.setdiff1d(np.arange(len(text)), ends + unsaid)
    assert (labels[0, others] == 0).all()
    assert (labels[0, len(text) :] == 255).all() and (labels[1] == 255).all()
    alone = words.label(byte_text.encode(["bad", "not fine", "fine"], 8))
    assert 0 < alone[0, 2] <= 4 and 2 < alone[1, 7] <= 4 and alone[2, 3] > 4


def test_labels_of_a_text_say_its_class(reviews, words):
    codes, labels = reviews
    degrees = np.array([0, -1, -2, -3, -4, 1, 2, 3, 4])
    found = words.label(codes)
    sums = np.where(found < 9, degrees[np.minimum(found, 8)], 0).sum(axis=1)
    assert ((sums > 0) == labels).mean() > 0.95


@pytest.mark.parametrize("texts, labels", [(["good"] * 9, [1] * 9), (["a", "b"], [0, 1])])
def test_texts_of_one_class_or_too_few_say_nothing(texts, labels):
    codes = byte_text.encode(texts, 6)
    words = WordPolarity(codes, labels)
    assert words.weights == {}
    assert set(words.label(codes).ravel().tolist()) == {0, 255}
