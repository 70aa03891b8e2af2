from pathlib import Path

import pytest

from keras_dss import datasets
from keras_dss.cli.sources import Data
from tests.cli import support

FIXTURES = Path(datasets.__file__).parent / "tfds_builders"


@pytest.mark.parametrize("task, size", [("lra_pathfinder", 12), ("lra_listops", 16)])
def test_as_many_examples_as_there_are(task, size, tmp_path):
    support.write_data(tmp_path)
    data = Data(task, tmp_path if task == "lra_listops" else FIXTURES / task / "dummy_data")
    for examples in (0, 5, size, 64, 10**6, None):
        x, y = data.load("validation", examples)
        expected = size if examples is None else min(examples, size)
        assert len(x) == len(y) == expected
