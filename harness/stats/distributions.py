"""Tails and quantiles of the reference distributions of tests, from scipy.special.

scipy.stats has them too, but takes most of a second to import, as long as everything else in a
repeated run. All use tails, so that small probabilities keep their digits.
"""

import math

from harness.stats.vectors import Interval

TAIL = (1 - 0.95) / 2  # beyond either end of a 95 % interval


def normal_tail(z: float) -> float:
    """Return P(Z > z)."""
    from scipy.special import ndtr

    return float(ndtr(-z))


def normal_quantile(tail: float) -> float:
    """Return the z with P(Z > z) = tail."""
    from scipy.special import ndtri

    return -float(ndtri(tail))


def t_tail(t: float, df: float) -> float:
    """Return P(T > t) of Student's t."""
    from scipy.special import stdtr

    return float(stdtr(df, -t))


def t_quantile(tail: float, df: float) -> float:
    """Return the t with P(T > t) = tail."""
    from scipy.special import stdtrit

    return -float(stdtrit(df, tail))


def t_interval(estimate: float, se: float, df: float, confidence: float) -> Interval:
    """Return the symmetric interval of Student's t around an estimate."""
    half = t_quantile((1 - confidence) / 2, df) * se
    return Interval(estimate - half, estimate + half)


def noncentral_t_tail(t: float, df: float, shift: float) -> float:
    """Return P(T > t) for noncentral T: the power of a t test, with its critical value t."""
    from scipy.special import nctdtr

    # The distribution of -T is that of the opposite shift. Far out on the wrong side scipy 1.17
    # gives NaN where the tail is 0.
    tail = float(nctdtr(df, -shift, -t))
    return 0.0 if math.isnan(tail) and shift < 0 else tail


def f_quantile(tail: float, df_above: float, df_below: float) -> float:
    """Return the f with P(F > f) = tail."""
    from scipy.special import fdtri

    return 1 / float(fdtri(df_below, df_above, tail))


def beta_quantile(tail: float, a: float, b: float) -> float:
    """Return the x with P(B > x) = tail."""
    from scipy.special import betainccinv

    return float(betainccinv(a, b, tail))


def binomial_at_most(k: int, n: int, p: float) -> float:
    """Return P(X <= k) of n trials with probability p."""
    from scipy.special import bdtr

    return float(bdtr(k, n, p)) if 0 <= k < n else float(k >= n)


def binomial_at_least(k: int, n: int, p: float) -> float:
    """Return P(X >= k) of n trials with probability p."""
    from scipy.special import bdtrc

    return float(bdtrc(k - 1, n, p)) if 0 < k <= n else float(k <= 0)
