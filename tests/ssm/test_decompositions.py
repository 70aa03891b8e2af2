import numpy as np
import pytest

from keras_dss.ssm import DiagonalSystem, balanced_truncation, measured_gramian, spectrum
from keras_dss.ssm.decompositions import eigh, pseudo_inverse, svd

RNG = np.random.default_rng(0)
GRADED = RNG.normal(size=(2, 3, 6, 6)) * np.geomspace(1.0, 1e-12, 6)
SYMMETRIC = GRADED + GRADED.mT
SYSTEM = DiagonalSystem(0.9 * RNG.uniform(size=(3, 4)) + 0.3j, RNG.normal(size=(3, 4)) + 1.0j)


@pytest.fixture
def gives_up(monkeypatch):
    """NumPy's functions give up on stacks with a matrix in which a number is largest."""
    refused = []

    def give_up(name, largest):
        function = getattr(np.linalg, name)

        def picky(matrices, *args, **kwargs):
            if np.any(np.abs(matrices).max(axis=(-2, -1)) == largest):
                refused.append(np.shape(matrices))
                raise np.linalg.LinAlgError("did not converge")
            return function(matrices, *args, **kwargs)

        monkeypatch.setattr(np.linalg, name, picky)
        return refused

    return give_up


@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (2, 3, 6, 4), (2, 3, 4, 6)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_svd_where_divide_and_conquer_gives_up(gives_up, shape, dtype):
    a = GRADED[..., : shape[-2], : shape[-1]].astype(dtype)
    a = a * (1.0 + 2.0j) if dtype is complex else a
    expected = svd(a)
    refused = gives_up("svd", np.abs(a[1, 2]).max())
    u, sigma, vh = svd(a)
    assert refused == [a.shape, a.shape[1:], a.shape[2:]]  # the others are not done again
    assert [part.shape for part in (u, sigma, vh)] == [part.shape for part in expected]
    np.testing.assert_allclose(sigma, expected[1], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose((u * sigma[..., None, :]) @ vh, a, atol=1e-14)
    unit = np.broadcast_to(np.eye(sigma.shape[-1]), (*sigma.shape, sigma.shape[-1]))
    np.testing.assert_allclose(u.mT.conj() @ u, unit, atol=1e-13)


def test_eigh_where_divide_and_conquer_gives_up(gives_up):
    expected = eigh(SYMMETRIC)
    gives_up("eigh", np.abs(SYMMETRIC[0, 1]).max())
    values, vectors = eigh(SYMMETRIC)
    np.testing.assert_allclose(values, expected[0], atol=1e-14)
    np.testing.assert_allclose((vectors * values[..., None, :]) @ vectors.mT, SYMMETRIC, atol=1e-14)


def test_what_is_not_finite_is_an_error():
    a = SYMMETRIC.copy()
    a[0, 0, 0, 0] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        svd(a)


def test_pseudo_inverse():
    low_rank = SYMMETRIC[..., :2] @ SYMMETRIC[..., :2].mT
    for a in (low_rank, np.zeros((2, 3, 3)), low_rank + 1.0j * (GRADED - GRADED.mT)):
        expected = np.linalg.pinv(a, rcond=1e-9, hermitian=True)
        np.testing.assert_allclose(pseudo_inverse(a, 1e-9), expected, rtol=1e-6, atol=1e-12)


def test_balancing_where_divide_and_conquer_gives_up(monkeypatch):
    inputs = np.random.default_rng(1).normal(size=(4, 50, 3))
    gramian = measured_gramian(SYSTEM.poles, inputs)
    expected = balanced_truncation(SYSTEM, 2, controllability=gramian)

    def give_up(*args, **kwargs):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", give_up)
    monkeypatch.setattr(np.linalg, "eigh", give_up)
    found = balanced_truncation(SYSTEM, 2, controllability=gramian)
    np.testing.assert_allclose(found.hankel_singular_values, expected.hankel_singular_values)
    np.testing.assert_allclose(
        found.system.impulse_response(20), expected.system.impulse_response(20), atol=1e-10
    )


@pytest.mark.parametrize("failing", [1, 2])
def test_graded_matrices_whose_eigenvalues_do_not_converge(monkeypatch, failing):
    scale = np.geomspace(1.0, 1e-6, 8)
    core = RNG.normal(size=(8, 8))
    matrix = (core + core.T + 10.0 * np.eye(8)) * scale * scale[:, None]
    ut, sigma, vt = spectrum.symmetric_svd(matrix, 3)
    calls, call = [], spectrum.call

    def picky(name, *arguments):
        calls.append(name)
        return (
            1 if calls.count("dsterf") == failing and name == "dsterf" else call(name, *arguments)
        )

    monkeypatch.setattr(spectrum, "call", picky)
    found = spectrum.symmetric_svd(matrix, 3)
    assert calls.count("dsterf") >= failing
    np.testing.assert_allclose(found[1], sigma, rtol=1e-9)
    product = found[0].T * found[1][:3] @ found[2]
    np.testing.assert_allclose(product, ut.T * sigma[:3] @ vt, atol=1e-12)
