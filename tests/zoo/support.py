"""Small models and cards that the tests of the zoo share."""

import keras
import numpy as np


def make_model(seed=0, units=5, dropout=0.1):
    """A token classifier with random seeds in it and a mask."""
    initializer = keras.initializers.RandomNormal(seed=seed, stddev=0.5)
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            keras.layers.Embedding(7, 4, mask_zero=True, embeddings_initializer=initializer),
            keras.layers.Dense(units, activation="gelu", kernel_initializer=initializer),
            keras.layers.Dropout(dropout),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3, kernel_initializer=initializer),
        ]
    )


def make_inputs(examples=4):
    inputs = np.random.default_rng(0).integers(1, 7, (examples, 12), dtype="int32")
    inputs[0, 8:] = 0
    return inputs


def make_card(**changes):
    card = {
        "task": "toy",
        "data": {"description": "tokens", "source": "made here", "defects": ["it is small"]},
        "architecture": {"features": 4, "num_blocks": 1},
        "parent": None,
        "method": "random",
        "recipe": "toy",
        "command": "python -m recipes.run --recipe=toy",
        "seed": 0,
        "epochs": 2,
        "minutes": 0.5,
        "hardware": "2 CPU cores",
        "metrics": {
            "validation": {"accuracy": 0.75, "correct": 3, "total": 4},
            "test": {"accuracy": 0.5, "correct": 4, "total": 8},
        },
        "baselines": {"chance": 1 / 3, "majority": 0.4},
        "licence": "Apache-2.0",
    }
    return card | changes


def snapshot(folder):
    """{relative path: bytes} of everything below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
