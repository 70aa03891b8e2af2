"""Sections of docs/data.md on pairs of papers and on the language of Shakespeare."""

import re
from collections import Counter
from itertools import islice

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from benchmarks.data_tables.tables import SPLITS, logistic_regression, percent, standardise, table
from benchmarks.data_tables.text_image import defects, sparse_logistic_regression
from keras_dss.datasets import lra_retrieval, pairs_tsv, scisumm, sequence_lengths, shakespeare

WORD = re.compile(rb"[a-z]{2,}")
FEWEST, MOST = 2, 0.5  # words are used that so many papers and at most this share of them hold
COMPONENTS = 64  # of latent semantic analysis
LIMIT = 20_000  # pairs of each split of lra_retrieval for the baselines
ORDERS = (1, 2, 4, 6)  # characters in the longest n-gram
BASE = shakespeare.VOCABULARY_SIZE
DISCOUNTS = np.arange(0.05, 1, 0.05)


# weight of a word in a text: (1 + log count) (1 + log((1 + papers) / (1 + papers that hold it)))
class TfIdf:
    """Word weights of texts as rows of length 1; words and their frequencies from `texts`."""

    def __init__(self, texts):
        papers = [set(WORD.findall(text.lower())) for text in set(texts)]
        found = Counter(word for words in papers for word in words)
        most = max(FEWEST, MOST * len(papers))
        used = sorted(word for word, count in found.items() if FEWEST <= count <= most)
        self.columns = {word: column for column, word in enumerate(used)}
        self.idf = 1 + np.log((1 + len(papers)) / (1 + np.array([found[word] for word in used])))

    def __call__(self, texts):
        """Sparse matrix (n, words)."""
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        rows, columns, counts = [], [], []
        for text, row in row_of.items():
            for word, count in Counter(WORD.findall(text.lower())).items():
                if word in self.columns:
                    rows.append(row)
                    columns.append(self.columns[word])
                    counts.append(count)
        values = (1 + np.log(counts)) * self.idf[columns]
        norms = np.sqrt(np.bincount(rows, values**2, minlength=len(row_of)))
        shape = len(row_of), len(self.columns)
        weights = sparse.csr_array((values / norms[rows], (rows, columns)), shape=shape)
        return weights[[row_of[text] for text in texts]]


def word_features(texts):
    """Dicts of each split: weights of text 1, cosine of both texts, products of their weights."""
    weigh = TfIdf([text for column in texts["train"] for text in column])
    weights = {split: [weigh(column) for column in texts[split]] for split in SPLITS}
    products = {split: first * second for split, (first, second) in weights.items()}
    largest = products["train"].max()
    return (
        {split: first for split, (first, _) in weights.items()},
        {split: part.sum(axis=1)[:, None] for split, part in products.items()},
        {split: part / largest for split, part in products.items()},
    )


# cosine of V^T a and V^T b, a and b the word weights, U S V^T those of the training texts
def latent_cosines(texts):
    """Dicts of each split: by the largest singular values but the first, common to all texts."""
    training = sorted({text for column in texts["train"] for text in column})
    weigh = TfIdf(training)
    weights = weigh(training)
    _, _, axes = svds(weights, k=COMPONENTS, v0=np.ones(min(weights.shape)))  # in increasing order

    def cosine(first, second):
        a, b = (weigh(column) @ axes[:-1].T for column in (first, second))  # (n, COMPONENTS - 1)
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return ((a * b).sum(axis=1) / lengths)[:, None]

    return {split: cosine(*columns) for split, columns in texts.items()}


# |f(text 1) - f(text 2)|, f the relative frequencies of the 256 bytes
def byte_differences(texts):
    first, second = (
        np.stack([np.bincount(np.frombuffer(t, np.uint8), minlength=256) for t in column])
        / np.array([max(len(text), 1) for text in column])[:, None]
        for column in texts
    )
    return np.abs(first - second)  # (n, 256)


def regression(features, labels):
    """Function of the split: classes by a regression on sparse or on standardised features."""
    if not sparse.issparse(features["train"]):
        parts = standardise(*(features[split] for split in SPLITS))
        features = dict(zip(SPLITS, parts, strict=True))
        model = logistic_regression(features["train"], labels["train"], 2)
    else:
        model = sparse_logistic_regression(features["train"], labels["train"])
    return lambda split: model(features[split])


def citing_is_newer(rows):
    """Whether the year in the first identifier, as in P06-1015, is not before the second's."""
    years = [[(int(row[side][1:3]) - 50) % 100 for side in (1, 2)] for row in rows]
    return np.array([first >= second for first, second in years])


def size_table(task, data_dir):
    rows = []
    for split in SPLITS:
        x, y = task.load(split, data_dir)
        lengths = [sequence_lengths(x[:, side]) for side in (0, 1)]
        low, median, high = (int(value) for value in np.quantile(lengths, [0, 0.5, 1]))
        rows.append([split, f"{len(y):,}", f"{low} / {median} / {high}", percent(y == 1)])
    return table(["split", "pairs", "bytes of a text, min / median / max", "class 1"], rows)


def pair_table(labels, predictions):
    lines = [
        [name, *(percent(predict(split) == labels[split]) for split in SPLITS[1:])]
        for name, predict in predictions.items()
    ]
    return table(["baseline, fitted to the training split", "validation", "test"], lines)


def pair_baselines(rows, labels):
    """Name -> function of the split, on the first 4,000 bytes of the texts."""
    begin = slice(pairs_tsv.MAX_LENGTH)
    texts = {
        split: [[row[side][begin] for row in part] for side in (3, 4)]
        for split, part in rows.items()
    }
    single, cosine, products = word_features(texts)
    differences = {split: byte_differences(columns) for split, columns in texts.items()}
    most = np.bincount(labels["train"]).argmax()
    return {
        "most frequent class": lambda split: np.full(len(labels[split]), most),
        "logistic regression on the words of text 1 alone": regression(single, labels),
        "logistic regression on the difference of byte frequencies": regression(
            differences, labels
        ),
        "logistic regression on the tf-idf cosine of the texts": regression(cosine, labels),
        "logistic regression on products of tf-idf weights": regression(products, labels),
        f"logistic regression on the cosine of {COMPONENTS - 1} latent semantic components": (
            regression(latent_cosines(texts), labels)
        ),
    }


def retrieval_section(data_dir=None):
    try:
        sizes = size_table(lra_retrieval, data_dir)
    except FileNotFoundError:
        tables = "The files were not at hand when this page was written: there are no tables."
    else:
        rows = {
            split: list(islice(lra_retrieval.FILES.rows(split, data_dir), LIMIT))
            for split in SPLITS
        }
        labels = {split: np.array([row[0] for row in part]) for split, part in rows.items()}
        baselines = pair_table(labels, pair_baselines(rows, labels))
        tables = f"{sizes}\n\nOf the first {LIMIT:,} pairs of each split:\n\n{baselines}"
    counts = {split: f"{count:,}" for split, count in lra_retrieval.SPLITS.items()}
    return f"""## lra_retrieval

Retrieval of Long Range Arena (Tay et al., 2021, arXiv 2011.04006; Radev et al., 2009): whether one
paper of the ACL Anthology Network cites another, from the first 4,000 bytes of each. The code of a
byte is its value + 1; 0 is padding. {counts["train"]} pairs train, {counts["validation"]} validate
(the official file `eval`), {counts["test"]} test. Source: the files
`new_aan_pairs.{{train,eval,test}}.tsv` of the release of Long Range Arena (`lra_release.gz`) in the
data folder; there is no other.

{tables}
"""


def scisumm_section(data_dir=None):
    rows = {split: list(scisumm.FILES.rows(split, data_dir)) for split in SPLITS}
    labels = {split: np.array([row[0] for row in part]) for split, part in rows.items()}
    texts = {
        split: [[row[side] for row in part] for side in (3, 4)] for split, part in rows.items()
    }
    _, cosine, products = word_features(texts)
    predictions = {
        **pair_baselines(rows, labels),
        "the cosine, of the whole texts": regression(cosine, labels),
        "the products, of the whole texts": regression(products, labels),
        "rule: cited where text 2 is not the newer one": lambda split: citing_is_newer(rows[split]),
    }
    deviation = 50 / np.sqrt(len(labels["test"]))
    return f"""## scisumm

Citation pairs of the CL-SciSumm corpus (Chandrasekaran et al., 2019; CC BY 4.0): whether the first
paper cites the second, in the form of `lra_retrieval`, from the first 4,000 bytes of each. The code
of a byte is its value + 1; 0 is padding. Source: `scisumm_pairs.tar.xz`, or the three files in it,
in the data folder. Validation is the file `eval`. `load(step_labels=True)` returns topics of words
too, clusters of those that training papers hold together (`keras_dss.datasets.word_topics`).

{size_table(scisumm, data_dir)}

{pair_table(labels, predictions)}

The whole texts have up to 12,000 characters; words are those that {FEWEST} papers and at most half
of them hold. The standard deviation of an accuracy on so few pairs is up to {deviation:.1f} points.
{defects(scisumm, data_dir)}
"""


class NGrams:
    """Interpolated Kneser-Ney model of the next character, orders 1 to n.

    With c the number of times a character w follows the context h (in orders below n: the number
    of different characters before h w), C its sum over w and T the number of different w,

        p_k(w | h) = max(c - d_k, 0) / C + d_k T / C p_{k-1}(w | h without its first character),

    where p_0 is uniform, and p_k = p_{k-1} after an unseen context. Source: Kneser & Ney, "Improved
    Backing-Off for M-Gram Language Modeling", 1995.
    """

    def __init__(self, text, order):
        """Counts the n-grams of `text`, codes (L,) from 1."""
        self.tables = []
        for length in range(1, order + 1):
            if length == order:
                grams, counts = np.unique(_grams(text, length), return_counts=True)
            else:
                longer = np.unique(_grams(text, length + 1))
                grams, counts = np.unique(longer % BASE**length, return_counts=True)
            contexts, first = np.unique(grams // BASE, return_index=True)
            sums, types = np.add.reduceat(counts, first), np.diff(first, append=len(grams))
            self.tables.append((grams, counts, contexts, sums, types))

    def find(self, x, y):
        """Arrays `(c, C, T)` of each target in windows (n, L), for each order."""
        order = len(self.tables)
        windows = np.hstack([np.zeros((len(x), order - 1), int), x[:, :1], y])
        grams = [_grams(windows, length)[:, -y.shape[1] :][y > 0] for length in range(1, order + 1)]
        return [
            (
                _look_up(table[0], table[1], found),
                _look_up(table[2], table[3], found // BASE),
                _look_up(table[2], table[4], found // BASE),
            )
            for table, found in zip(self.tables, grams, strict=True)
        ]


def _grams(codes, length):
    """Each run of `length` codes as one number, the last code as its last digit."""
    runs = np.lib.stride_tricks.sliding_window_view(codes.astype(np.int64), length, axis=-1)
    return runs @ BASE ** np.arange(length - 1, -1, -1)


def _look_up(keys, values, wanted):
    """The values at the wanted keys, 0 where there is none; `keys` ascend."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def bits(found, discounts):
    """Mean of -log2 p over the targets that `NGrams.find` was asked for."""
    p = np.full(len(found[0][0]), 1 / len(shakespeare.CHARACTERS))
    for (count, total, types), discount in zip(found, discounts, strict=True):
        seen = np.maximum(total, 1)
        mixed = (np.maximum(count - discount, 0) + discount * types * p) / seen
        p = np.where(total > 0, mixed, p)
    return -np.log2(p).mean()


def best_discounts(found):
    """One discount for each order, improved in turn until none changes."""
    best = [0.7] * len(found)
    while True:
        before = best.copy()
        for k in range(len(best)):
            best[k] = min(DISCOUNTS, key=lambda d, k=k: bits(found, [*best[:k], d, *best[k + 1 :]]))
        if best == before:
            return best


def shakespeare_section(data_dir=None):
    data = {split: shakespeare.load(split, data_dir) for split in SPLITS}
    sizes = [[split, f"{len(y):,}", f"{np.count_nonzero(y):,}"] for split, (_, y) in data.items()]
    x, y = data["train"]
    text = np.append(x[0, 0], y[y > 0])
    uniform = f"{np.log2(len(shakespeare.CHARACTERS)):.3f}"
    lines = [["each character equally likely", uniform, uniform]]
    for order in ORDERS:
        model = NGrams(text, order)
        found = {split: model.find(*data[split]) for split in SPLITS[1:]}
        discounts = best_discounts(found["validation"])
        name = f"runs of up to {order} characters" if order > 1 else "frequencies of characters"
        lines.append([name, *(f"{bits(found[split], discounts):.3f}" for split in SPLITS[1:])])
    return f"""## shakespeare

Tiny Shakespeare (Karpathy, 2015): 1,115,394 characters of plays, {len(shakespeare.CHARACTERS)}
different ones; after each the next is to be predicted. Code 0 is padding, 66 any other character.
The first 90 % of the text train, the next 5 % validate, the last 5 % test. Each part is cut into
windows of {shakespeare.MAX_LENGTH} characters that do not overlap; all its characters but the first
are targets, once. Source: `tinyshakespeare.txt.gz` or `input.txt` in the data folder, otherwise
`tiny_shakespeare` of TensorFlow Datasets.

{table(["split", "windows", "targets"], sizes)}

{table(["bits per character, fitted to the training split", "validation", "test"], lines)}

Runs of characters are an interpolated Kneser-Ney model; its discounts are the best for the
validation split. It sees what a model sees: nothing from before the window. Predictions of padding
do not count. {defects(shakespeare, data_dir)}
"""
