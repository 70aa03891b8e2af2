"""Sections of docs/data.md on the texts and images of Long Range Arena."""

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from benchmarks.data_tables.tables import (
    SPLITS,
    baseline_table,
    majority,
    regression,
    split_table,
    table,
)
from keras_dss.datasets import lra_image, lra_text, sequence_lengths

ORDERS = 5  # the longest n-grams
HASH_BITS = 20
TEXT_PENALTY = 3e-6  # of 1e-5, 3e-6, 1e-6 the best on the validation split


# f_j = 1 / sqrt(count) for each of the `count` different n-grams j of a text, n = 1..ORDERS
def byte_ngrams(x):
    """Returns which hashed n-grams of bytes occur, a sparse float32 matrix (n, 2^HASH_BITS)."""
    found = []
    for row in x:
        codes = row[row > 0].astype(np.uint32)
        hashes, parts = np.zeros(len(codes), np.uint32), []
        for order in range(1, min(ORDERS, len(codes)) + 1):
            hashes = hashes[: len(codes) - order + 1] * np.uint32(0x01000193) + codes[order - 1 :]
            mixed = (hashes + np.uint32(order)) * np.uint32(0x9E3779B1)
            parts.append(mixed >> np.uint32(32 - HASH_BITS))
        found.append(np.unique(np.concatenate(parts)).astype(np.int32))
    counts = np.array([len(columns) for columns in found])
    values = np.repeat(1 / np.sqrt(counts), counts).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return csr_matrix((values, np.concatenate(found), starts), (len(found), 2**HASH_BITS))


# loss(w, v) = mean_i log(1 + exp(-s_i (w f_i + v))) + penalty |w|^2, s_i = 1 or -1
def sparse_logistic_regression(features, labels):
    """Returns a function from sparse features (n, p) to classes 0 and 1 (n,)."""
    signs = 2.0 * labels - 1
    transposed = features.T

    def loss(weights):
        vector = weights[:-1].astype(np.float32)
        margins = signs * (features @ vector + weights[-1])
        residuals = -signs * expit(-margins) / len(signs)
        gradient = transposed @ residuals.astype(np.float32) + 2 * TEXT_PENALTY * vector
        value = np.logaddexp(0, -margins).mean() + TEXT_PENALTY * (weights[:-1] ** 2).sum()
        return float(value), np.append(gradient, residuals.sum()).astype(np.float64)

    start = np.zeros(features.shape[1] + 1)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 50}).x
    return lambda other: (other @ weights[:-1] + weights[-1] > 0).astype(np.uint8)


def defects(task, data_dir):
    found = task.provenance(data_dir)
    return f"The tables are of this copy: {found.source} {' '.join(found.defects)}".strip()


def text_section(data_dir):
    data = {split: lra_text.load(split, data_dir) for split in SPLITS}
    rows = []
    for split, (x, y) in data.items():
        lengths = sequence_lengths(x)
        low, median, high = (int(value) for value in np.quantile(lengths, [0, 0.5, 1]))
        cut = 100 * np.mean(lengths == lra_text.MAX_LENGTH)
        length = f"{low} / {median} / {high}"
        rows.append([split, f"{len(y):,}", length, f"{cut:.1f}", f"{100 * y.mean():.1f}"])
    header = ["split", "examples", "length min / median / max", "cut, %", "positive, %"]
    model = sparse_logistic_regression(byte_ngrams(data["train"][0]), data["train"][1])
    predictions = {
        "most frequent class": majority(data),
        f"logistic regression on the hashed byte 1- to {ORDERS}-grams": lambda split: model(
            byte_ngrams(data[split][0])
        ),
    }
    return f"""## lra_text

Text of Long Range Arena (Tay et al., 2021, arXiv 2011.04006; Maas et al., 2011): whether a film
review, read byte by byte, is positive. The code of a byte is its value + 1; 0 is padding. Reviews
of more than {lra_text.MAX_LENGTH} bytes are cut. Source: the Large Movie Review Dataset in the data
folder (`aclImdb` or an archive of it), otherwise `imdb_reviews` of TensorFlow Datasets. The
validation split is held out from the 25,000 training reviews by a fixed permutation.
`load(step_labels=True)` returns the polarities of words too, by logistic regression on the words
and pairs of words of the training reviews (`keras_dss.datasets.word_polarity`).

{defects(lra_text, data_dir)}

{table(header, rows)}

{baseline_table(data, predictions)}
"""


def image_section(data_dir):
    data = {split: lra_image.load(split, data_dir) for split in SPLITS}
    lengths = {split: np.full(len(y), lra_image.MAX_LENGTH) for split, (_, y) in data.items()}
    predictions = {
        "most frequent class": majority(data),
        "logistic regression on the 1024 pixels": regression(
            data, {split: np.asarray(x)[:, :, 0] for split, (x, _) in data.items()}
        ),
    }
    return f"""## lra_image

Image of Long Range Arena (Tay et al., 2021, arXiv 2011.04006; Krizhevsky, 2009): 32 x 32 gray
pixels of CIFAR-10, row by row, as 1024 steps of one real number, (gray - {lra_image.MEAN}) /
{lra_image.STANDARD_DEVIATION}, where gray is the luma of ITU-R 601-2. Source: the binary version of
CIFAR-10 or `cifar10_gray.npz.xz` in the data folder, otherwise `keras.datasets.cifar10`. The
validation split is held out from the 50,000 training images by a fixed permutation.

{defects(lra_image, data_dir)}

{split_table(data, lengths)}

{baseline_table(data, predictions)}
"""
