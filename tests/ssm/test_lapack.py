import threading

import numpy as np
import pytest

from keras_dss.ssm.lapack import call
from keras_dss.ssm.spectrum import symmetric_svd


def test_arrays_are_overwritten_in_place():
    matrix = np.array([[4.0, 2.0], [2.0, 2.0]])
    assert call("dpotrf", "L", 2, matrix, 2) == 0
    np.testing.assert_allclose(matrix, [[2.0, 1.0], [2.0, 1.0]])  # column by column
    assert call("dpotrf", "L", 2, -np.eye(2), 2) == 1  # not positive definite


def test_illegal_arguments_and_unknown_routines_are_refused():
    with pytest.raises(ValueError, match="Argument 4 of dpotrf is illegal"):
        call("dpotrf", "L", 2, np.eye(2), 1)
    with pytest.raises(KeyError, match="nothing"):
        call("nothing", 1)


@pytest.mark.parametrize("size, vectors", [(1, 1), (2, 1), (5, 3), (40, 10), (40, 40)])
def test_singular_values_and_vectors(size, vectors):
    rng = np.random.default_rng(size)
    matrix = rng.standard_normal((size, size))
    matrix = matrix + matrix.T
    ut, sigma, vt = symmetric_svd(matrix, vectors)
    np.testing.assert_allclose(sigma, np.linalg.svd(matrix)[1], rtol=1e-10)
    np.testing.assert_allclose(ut @ ut.T, np.eye(vectors), atol=1e-11)
    np.testing.assert_allclose(ut @ matrix @ vt.T, np.diag(sigma[:vectors]), atol=1e-11)


def test_equal_values_have_orthogonal_vectors():
    matrix = np.kron(np.array([[2.0, 1.0], [1.0, 2.0]]), np.eye(6))
    ut, sigma, vt = symmetric_svd(matrix, 6)
    np.testing.assert_allclose(sigma, np.repeat([3.0, 1.0], 6), rtol=1e-14)
    np.testing.assert_allclose(ut @ ut.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(ut @ matrix, 3.0 * vt, atol=1e-12)


def test_calls_leave_the_lock():
    """Another thread goes on while a routine runs."""
    size = 1500
    matrix, work = np.random.default_rng(0).standard_normal((size, size)), np.empty(64 * size)
    matrix, values = matrix @ matrix.T, np.empty(size)
    during, done = [], threading.Event()

    def run():
        call("dsyev", "N", "L", size, matrix, size, values, work, work.size)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not done.wait(0.005):
        during.append(1)
    thread.join()
    assert len(during) > 2 and np.all(values[1:] >= values[:-1])
