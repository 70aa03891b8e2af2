import numpy as np
import pytest

from keras_dss.datasets.splits import hold_out


def test_splits_are_disjoint_and_never_change():
    train, validation = hold_out(60_000, 5_000)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(60_000))
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    assert validation[:4].tolist() == [0, 3, 15, 37]


@pytest.mark.parametrize("count, expected", [(2, 1), (7, 1), (100, 10), (50_000, 5_000)])
def test_an_incomplete_data_set_is_divided_in_proportion(count, expected):
    train, validation = hold_out(count, 5_000, full=50_000)
    assert len(validation) == expected and len(train) == count - expected


def test_one_example_cannot_be_divided():
    with pytest.raises(ValueError, match="at least 2 training examples.*Received: 1"):
        hold_out(1, 1)
