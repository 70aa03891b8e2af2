"""Sections of docs/data.md on ListOps and on sequential MNIST."""

import numpy as np

from benchmarks.data_tables.tables import SPLITS, baseline_table, majority, regression, split_table
from keras_dss.datasets import lra_listops, sequence_lengths, smnist


def token_counts(x):
    return np.stack([(x == code).sum(axis=1) for code in range(1, lra_listops.VOCABULARY_SIZE)], 1)


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
