import numpy as np
import pytest

from keras_dss.ssm import DiagonalSystem, hinf_bounds, hinf_norm
from tests import oracles
from tests.ssm.systems import KINDS, hippo_system, random_system


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modes", [1, 4, 20])
def test_the_bracket_holds_the_norm(kind, modes):
    rng = np.random.default_rng(modes)
    system = random_system(rng, kind, 5, modes)
    system = DiagonalSystem(system.poles, system.residues, rng.standard_normal(5))
    lower, upper = hinf_bounds(system, rtol=1e-6)
    assert np.all(upper <= lower * (1 + 1.001e-6))
    for i in range(5):
        seen = oracles.hinf_norm(system.poles[i], system.residues[i], system.feedthrough[i])
        assert seen <= upper[i] * (1 + 1e-9)
        assert lower[i] <= seen * 1.01


@pytest.mark.parametrize("rtol", [0.3, 1e-3, 1e-8])
def test_the_tolerance_is_kept(rtol):
    system = hippo_system(np.random.default_rng(0), 6, 16)
    exact = hinf_norm(system, rtol=1e-10)
    lower, upper = hinf_bounds(system, rtol=rtol)
    assert np.all(lower <= exact * (1 + 1e-10)) and np.all(exact <= upper * (1 + 1e-10))
    assert np.all(upper <= lower * (1 + rtol) * (1 + 1e-12))


def test_closed_forms():
    # One real pole: 1/(1 - a) at frequency 0, or at pi for a negative pole.
    system = DiagonalSystem([[0.9], [-0.9], [1 - 1e-6], [0.0]], np.ones((4, 1)))
    np.testing.assert_allclose(system.hinf_norm(), [10, 10, 1e6, 1.0], rtol=1e-9)
    # An all-pass system, (a v - 1)/(v - a): modulus one everywhere.
    a = 0.7
    allpass = DiagonalSystem([a], [a - 1 / a], 1 / a)
    np.testing.assert_allclose(allpass.hinf_norm(), 1.0, rtol=1e-12)
    assert DiagonalSystem([0.5], [0.0], -3.0).hinf_norm() == 3.0
    assert DiagonalSystem([0.5], [0.0]).hinf_norm() == 0.0


def test_norms_of_cancelling_systems():
    system = random_system(np.random.default_rng(1), "spread", 4, 10, closest=1e-3)
    nearby = DiagonalSystem(system.poles, system.residues * (1 + 1e-8))
    np.testing.assert_allclose(
        (system - nearby).hinf_norm(1e-6) / system.hinf_norm(1e-9), 1e-8, rtol=1e-4
    )
    assert np.all((system - system).hinf_norm(1e-3) <= 1e-12 * system.hinf_norm(1e-3))


@pytest.mark.parametrize("rtol", [0.0, -1.0, 1.0, 1e-13, np.nan, True, "small"])
def test_bad_tolerances_are_refused(rtol):
    with pytest.raises(ValueError, match="Received: rtol="):
        DiagonalSystem([0.5], [1.0]).hinf_norm(rtol=rtol)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_norms_of_any_scale(scale):
    system = DiagonalSystem([0.5, 0.3], [scale, 1e-3 * scale], 0.25 * scale)
    same = DiagonalSystem([0.5, 0.3], [1.0, 1e-3], 0.25)
    for norm in (DiagonalSystem.h2_norm, DiagonalSystem.hinf_norm):
        assert norm(system) == pytest.approx(scale * norm(same), rel=1e-12, abs=0.0)


def test_h2_norm_where_the_feedthrough_cancels_the_first_lag():
    """Lags 0, 1, 2, ... of 0, 1e-9, 1e-18, ..."""
    norm = DiagonalSystem([1e-9], [1.0], -1.0).h2_norm()
    assert norm == pytest.approx(1e-9, rel=1e-12, abs=0.0)
