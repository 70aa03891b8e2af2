"""A tiny published model and a tiny ListOps copy that the tests of the command line share."""

import numpy as np

from keras_dss import zoo
from keras_dss.datasets import lra_listops
from keras_dss.models import DSSClassifier

NAME = "lra_listops_n6"
SIZES = {"train": 40, "validation": 16, "test": 24}
FILES = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}


def make_model(task=lra_listops, **options):
    return DSSClassifier(
        task.NUM_CLASSES,
        vocabulary_size=task.VOCABULARY_SIZE,
        **({"features": 4, "num_blocks": 2, "state_size": 6} | options),
    )


def write_data(folder):
    """Short expressions in the official format: `[MAX a b c ]` with its value."""
    rng = np.random.default_rng(0)
    for split, size in SIZES.items():
        lines = ["Source\tTarget"]
        for _ in range(size):
            digits = rng.integers(0, 10, rng.integers(3, 30))
            lines.append(f"( ( [MAX {' '.join(map(str, digits))} ] ) )\t{digits.max()}")
        (folder / FILES[split]).write_text("\n".join(lines) + "\n")


def make_card():
    score = {"accuracy": 0.25, "correct": 6, "total": 24}
    return {
        "task": "lra_listops",
        "data": {"description": "short expressions", "source": "made here", "defects": ["few"]},
        "architecture": {"features": 4, "bidirectional": False},
        "parent": None,
        "method": "untrained",
        "recipe": "none",
        "command": "none",
        "seed": 0,
        "epochs": 0,
        "minutes": 0.0,
        "hardware": "any",
        "metrics": {"validation": score, "test": score},
        "baselines": {"chance": 0.1, "majority": 0.5},
        "licence": "Apache-2.0",
    }


def publish(root):
    pin = np.ones((2, 9), "int32")
    return zoo.publish(make_model(), NAME, make_card(), pin, root=root)
