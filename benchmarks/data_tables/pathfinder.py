"""Sections of docs/data.md on Pathfinder and Path-X."""

import numpy as np

from benchmarks.data_tables.tables import SPLITS, baseline_table, majority, regression, table
from keras_dss.datasets import lra_pathfinder, lra_pathx

EXAMPLES = {"train": 20_000, "validation": 2_000, "test": 4_000}  # of each split


def pathfinder_section(data_dir):
    data = {
        split: lra_pathfinder.load(split, data_dir, examples=EXAMPLES[split]) for split in SPLITS
    }
    features = {split: np.asarray(x)[:, :, 0] for split, (x, _) in data.items()}
    predictions = {
        "most frequent class": majority(data),
        "logistic regression on the 1,024 pixels": regression(data, features, num_classes=2),
    }
    return f"""## lra_pathfinder

Pathfinder of Long Range Arena (Linsley et al., 2018, arXiv 1805.08315; Tay et al., 2021, arXiv
2011.04006): whether two circles are joined by a dashed path among distracting ones. 32 x 32 pixels,
row by row, as 1,024 steps. {lra_pathfinder.provenance(data_dir).source}
[docs/pathfinder.md](pathfinder.md) shows the images, and how it is known that they are the task.

{_sizes(lra_pathfinder, data)}

Of the first {EXAMPLES["train"]:,} / {EXAMPLES["validation"]:,} / {EXAMPLES["test"]:,} images:

{baseline_table(data, predictions)}
"""


def pathx_section(data_dir):
    few = {split: count // 20 for split, count in EXAMPLES.items()}
    data = {split: lra_pathx.load(split, data_dir, examples=few[split]) for split in SPLITS}
    return f"""## lra_pathx

Path-X of Long Range Arena: Pathfinder with 128 x 128 pixels, as 16,384 steps.
{lra_pathx.provenance(data_dir).source} [docs/pathfinder.md](pathfinder.md)
shows the images, and what a linear model and a bag of patches make of them.

{_sizes(lra_pathx, data)}
"""


def _sizes(task, data):
    rows = [
        [split, f"{task.SPLITS[split]:,}", f"{task.MAX_LENGTH:,}", f"{100 * np.mean(y):.1f}"]
        for split, (_, y) in data.items()
    ]
    few = " / ".join(f"{len(y):,}" for _, y in data.values())
    return table(["split", "examples", "length", f"joined, % of the first {few}"], rows)
