"""The examples of the README that need neither data nor training."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_dss

README = Path(__file__).parents[2] / "README.md"


def example(heading, number=0):
    """A block of Python under a heading."""
    section = f"\n{README.read_text(encoding='utf-8')}".partition(f"\n{heading}\n")[2]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[number]


def test_first_lines():
    names = {}
    exec(example("# keras_dss").replace("small.fit(...)", "pass"), names)
    assert float(names["small"].optimizer.learning_rate) == pytest.approx(1e-3)
    assert {layer.rank_after for layer in names["report"].layers} == {16}


def test_layers():
    names = {"keras": keras, "keras_dss": keras_dss}
    exec(example("## Layers"), names)
    assert names["system"].residues.shape == (2, 4, 64)
    exec(example("## Layers", 1), names)
    assert names["model"].output_shape == (None, 10)


def test_one_step_at_a_time():
    model = keras_dss.models.DSSLanguageModel(5, features=4, num_blocks=1, state_size=4)
    names = {"keras_dss": keras_dss, "model": model, "step": np.ones(1, "int32")}
    exec(example("## One step at a time, and on other runtimes"), names)
    expected = model.predict_on_batch(np.ones((1, 1), "int32"))[:, 0]
    np.testing.assert_allclose(names["outputs"], expected, atol=1e-4)
