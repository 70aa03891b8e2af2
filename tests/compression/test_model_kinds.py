"""Models of every kind are reduced alike, with Gramians measured on their own inputs."""

import numpy as np
import pytest

from keras_dss import compress_model
from tests.layers.oracles import numpy
from tests.test_models import OTHERS, make_inputs, make_model


@pytest.mark.parametrize("variant", OTHERS)
def test_full_rank_changes_nothing(variant):
    model, x = make_model(variant), make_inputs(variant, length=40)
    same, report = compress_model(model, rank=4, calibration=x, return_report=True)
    assert type(same) is type(model)
    np.testing.assert_allclose(numpy(same(x)), numpy(model(x)), atol=2e-3)
    smaller = compress_model(model, rank=2, calibration=x)
    assert [block.ssm.state_size for block in smaller.blocks] == [2, 2]
    assert smaller(x).shape == model(x).shape
