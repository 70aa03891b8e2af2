"""Writes docs/data.md: sizes, lengths, class balance and simple baselines of the data sets.

    python -m benchmarks.data_table [--output docs/data.md] [--data_dir FOLDER]

`mnist.npz` is read from `--data_dir` or `KERAS_DSS_DATA_DIR`. Takes about two minutes on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from keras_dss.datasets import lra_listops, sequence_lengths, smnist
from keras_dss.datasets.paths import replacing

SPLITS = ("train", "validation", "test")
PENALTY = 1e-5


def standardise(train, *others):
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    return [(features - mean) / deviation for features in (train, *others)]


# loss(V, v) = -mean_i log softmax(V f_i + v)_{y_i} + penalty |V|^2
def logistic_regression(features, labels, num_classes):
    """Returns a function from features (n, p) to classes (n,), fitted by L-BFGS."""
    features = np.hstack([features, np.ones((len(features), 1))]).astype(np.float32)  # (n, p + 1)
    targets = np.eye(num_classes, dtype=np.float32)[labels]  # (n, k)

    def loss(weights):
        matrix = weights.reshape(-1, num_classes).astype(np.float32)
        logs = log_softmax(features @ matrix, axis=1)
        gradient = features.T @ (np.exp(logs) - targets) / len(labels) + 2 * PENALTY * matrix
        value = -(logs * targets).sum() / len(labels) + PENALTY * (matrix**2).sum()
        return float(value), gradient.ravel().astype(np.float64)

    start = np.zeros(features.shape[1] * num_classes)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    matrix = weights.reshape(-1, num_classes)
    return lambda other: (other @ matrix[:-1] + matrix[-1]).argmax(axis=1)


def token_counts(x):
    return np.stack([(x == code).sum(axis=1) for code in range(1, lra_listops.VOCABULARY_SIZE)], 1)


def percent(correct):
    return f"{100 * np.mean(correct):.1f} %"


def balance(y):
    return " ".join(f"{100 * share:.1f}" for share in np.bincount(y, minlength=10) / len(y))


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def split_table(data, lengths):
    rows = []
    for split, (_, y) in data.items():
        low, median, high = (int(value) for value in np.quantile(lengths[split], [0, 0.5, 1]))
        rows.append([split, f"{len(y):,}", f"{low} / {median} / {high}", balance(y)])
    return table(["split", "examples", "length min / median / max", "classes 0 to 9, %"], rows)


def baseline_table(data, predictions):
    """`predictions`: name -> function of the split."""
    rows = [
        [name, *(percent(predict(split) == data[split][1]) for split in SPLITS[1:])]
        for name, predict in predictions.items()
    ]
    return table(["baseline, fitted to the training split", "validation", "test"], rows)


def majority(data):
    most = np.bincount(data["train"][1]).argmax()
    return lambda split: np.full(len(data[split][1]), most)


def regression(data, features):
    features = dict(zip(SPLITS, standardise(*(features[split] for split in SPLITS)), strict=True))
    model = logistic_regression(features["train"], data["train"][1], 10)
    return lambda split: model(features[split])


def listops_section(data_dir):
    data = {split: lra_listops.load(split, data_dir) for split in SPLITS}
    lengths = {split: sequence_lengths(x) for split, (x, _) in data.items()}
    x, y = data["train"]
    by_root = [np.bincount(y[x[:, 0] == root], minlength=1).argmax() for root in range(16)]
    predictions = {
        "most frequent class": majority(data),
        "most frequent class for the outermost operator": lambda split: np.take(
            by_root, data[split][0][:, 0]
        ),
        "logistic regression on the counts of the 15 tokens": regression(
            data, {split: token_counts(x) for split, (x, _) in data.items()}
        ),
    }
    origin = "official files" if lra_listops.find_official(data_dir) else "generated data"
    return f"""## lra_listops

ListOps of Long Range Arena (Tay et al., 2021, arXiv 2011.04006; Nangia & Bowman, 2018,
arXiv 1804.06028): the value of a nested expression of digits and the operators MIN, MAX, MED and
SM. There are 16 token codes; 0 is padding. Source: the official `basic_{{train,val,test}}.tsv` if
the data folder holds them, otherwise generated with the same distribution from a fixed seed. The
tables are of the {origin}.

{split_table(data, lengths)}

{baseline_table(data, predictions)}

The outermost operator alone decides much: MAX is mostly 9, MIN mostly 0. A model that has learned
nothing else reaches the second line.
"""


def smnist_section(data_dir):
    data = {split: smnist.load(split, data_dir) for split in SPLITS}
    lengths = {split: np.full(len(y), smnist.MAX_LENGTH) for split, (_, y) in data.items()}
    predictions = {
        "most frequent class": majority(data),
        "logistic regression on the 784 pixels": regression(
            data, {split: x[:, :, 0] for split, (x, _) in data.items()}
        ),
    }
    return f"""## smnist

Sequential MNIST (LeCun et al., 1998; Le, Jaitly & Hinton, 2015, arXiv 1504.00941): 28 x 28 pixels,
row by row, as 784 steps of one real number, standardised with the mean {smnist.MEAN:.4f} and the
standard deviation {smnist.STANDARD_DEVIATION:.4f} of the training pixels.
Source: `mnist.npz` in the data folder, otherwise `keras.datasets.mnist`. The validation split is
held out from the 60,000 training images by a fixed permutation.

{split_table(data, lengths)}

{baseline_table(data, predictions)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="docs/data.md")
    parser.add_argument("--data_dir", default=None)
    arguments = parser.parse_args()
    sections = [listops_section(arguments.data_dir), smnist_section(arguments.data_dir)]
    text = "\n".join(["# Data sets\n\nWritten by `python -m benchmarks.data_table`.\n", *sections])
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
