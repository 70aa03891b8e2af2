"""The examples of the README that need neither data nor training."""

import re
from pathlib import Path

import keras_dss

README = Path(__file__).parents[2] / "README.md"


def example(heading):
    """The first block of Python under a heading."""
    section = README.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_layers():
    names = {"keras_dss": keras_dss}
    exec(example("## Layers"), names)
    assert names["system"].residues.shape == (2, 4, 64)
