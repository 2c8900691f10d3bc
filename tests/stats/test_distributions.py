"""Tails and quantiles equal those of scipy.stats, which takes much longer to import."""

import numpy as np
import pytest
from scipy import stats

from harness.stats import distributions as own

TAILS = (1e-12, 1e-4, 0.025, 0.3, 0.95)
DEGREES = (1, 2, 30, 499, 100_000)


@pytest.mark.parametrize("tail", TAILS)
def test_normal(tail: float) -> None:
    z = own.normal_quantile(tail)
    assert z == pytest.approx(stats.norm.isf(tail), rel=1e-12)
    assert own.normal_tail(z) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("tail", TAILS)
def test_student(tail: float, df: int) -> None:
    t = own.t_quantile(tail, df)
    assert t == pytest.approx(stats.t.isf(tail, df), rel=1e-9)
    assert own.t_tail(t, df) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("shift", [-1e6, -22.0, -15.0, -3.0, -0.1, 0.0, 0.1, 3.0, 22.0, 1e6])
def test_noncentral_t(df: int, shift: float) -> None:
    t = own.t_quantile(0.025, df)
    assert own.noncentral_t_tail(t, df, shift) == pytest.approx(
        float(stats.nct.sf(t, df, shift)), abs=1e-9
    )


@pytest.mark.parametrize("tail", [1e-4, 0.025, 0.5, 0.99])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 40), (499, 998), (1000, 2)])
def test_f_and_beta(tail: float, a: int, b: int) -> None:
    assert own.f_quantile(tail, a, b) == pytest.approx(stats.f.isf(tail, a, b), rel=1e-9)
    assert own.beta_quantile(tail, a, b) == pytest.approx(stats.beta.isf(tail, a, b), rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (30, 0.9), (500, 0.95), (2000, 0.5)])
def test_binomial(n: int, p: float) -> None:
    for k in np.linspace(-1, n + 1, 9).astype(int).tolist():
        assert own.binomial_at_most(k, n, p) == pytest.approx(
            float(stats.binom.cdf(k, n, p)), rel=1e-9, abs=1e-200
        )
        assert own.binomial_at_least(k, n, p) == pytest.approx(
            float(stats.binom.sf(k - 1, n, p)), rel=1e-9, abs=1e-200
        )
