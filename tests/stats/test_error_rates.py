"""How often the tests err on ceiling-heavy differences, simulated with a fixed seed.

Limits are those of the design for 2,000 simulations: .063 for exact tests, .065 for gates.
"""

import numpy as np

from harness.stats.one_sided import mean_above_test
from harness.stats.permutation import signflip_test

SIMULATIONS = 2000
VALUES = np.arange(-8.0, 6.0)
CHANCES = np.array(
    [0.022, 0.02, 0.016, 0.012, 0.01, 0.02, 0.03, 0.08, 0.38, 0.25, 0.12, 0.03, 0.008, 0.002]
)
"""38 % ties, standard deviation 2.2, skew -1.8: many small gains, a few disasters."""


def test_sign_flip_test_errs_no_more_than_it_says():
    rng = np.random.default_rng(20)
    magnitudes = np.abs(rng.choice(VALUES, p=CHANCES, size=(SIMULATIONS, 60)))
    samples = magnitudes * rng.choice([-1, 1], size=magnitudes.shape)
    rejected = [signflip_test(d).p_value <= 0.05 for d in samples]
    assert np.mean(rejected) <= 0.063


def test_skew_guarded_gate_holds_its_level_where_plain_t_does_not():
    rng = np.random.default_rng(21)
    samples = rng.choice(VALUES, p=CHANCES, size=(SIMULATIONS, 100))
    results = [mean_above_test(d, float(VALUES @ CHANCES)) for d in samples]
    assert np.mean([result.p_gate <= 0.05 for result in results]) <= 0.065
    assert np.mean([result.p_t <= 0.05 for result in results]) > 0.065
