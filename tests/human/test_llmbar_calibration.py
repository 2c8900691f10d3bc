"""LLMBar's recorded judges held to its gold labels, each figure worked out a second time here."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.artifacts.run_folder import load_run
from harness.human.calibration import calibrate_run
from harness.human.labels import load_label_file
from harness.types import Calibration
from tests.builders.judged_runs import winner_rows, wins, write_labels, write_run
from tests.builders.public_labels import Recorded, llmbar

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set"),
]

N_LABELS = 60


def judges() -> list[Recorded]:
    """Those with prompt Vanilla, on 46 to 134 items each; none without the data."""
    if "HARNESS_DATA_DIR" not in os.environ:
        return []
    return [judge for judge in llmbar() if judge.prompt == "Vanilla"]


def calibrate(judge: Recorded, folder: Path, chosen: list[int]) -> Calibration:
    run = write_run(folder, [wins(judge.second_shown_last - 1, judge.second_shown_first - 1)])
    labels = write_labels(folder / "gold.csv", winner_rows(judge.gold - 1, chosen))
    return calibrate_run(load_run(run), load_label_file(labels, drawn_at_random=True))


def item_scores(judge: Recorded) -> list[float]:
    """The judge's win score of output 2, over both orders; NaN where one is missing."""
    pairs = zip(judge.second_shown_last, judge.second_shown_first, strict=True)
    return [(a + b) / 2 - 1 for a, b in pairs]


def sign(score: float) -> float:
    return 0.5 if score == 0.5 else float(score > 0.5)


def close(*values: float) -> object:
    return pytest.approx(values, rel=0, abs=1e-10)


@pytest.mark.parametrize("judge", judges(), ids=lambda j: f"{j.subset}-{j.judge}")
def test_agreement_on_items_is_that_of_the_textbook(judge: Recorded, tmp_path: Path):
    everything = list(range(judge.gold.size))
    (held,) = calibrate(judge, tmp_path, everything).judges
    pairs = [
        (gold - 1, sign(said))
        for gold, said in zip(judge.gold, item_scores(judge), strict=True)
        if not math.isnan(said)
    ]
    n = len(pairs)
    assert (held.n, held.unscored) == (n, judge.gold.size - n)
    observed = sum(a == b for a, b in pairs) / n
    cohen = gwet = 0.0
    for c in (0.0, 0.5, 1.0):
        people, machine = sum(a == c for a, _ in pairs) / n, sum(b == c for _, b in pairs) / n
        cohen += people * machine
        gwet += (people + machine) / 2 * (1 - (people + machine) / 2) / 2
    assert held.percent is not None
    assert held.kappa is not None
    assert held.ac1 is not None
    assert (held.percent.estimate,) == close(observed)
    assert (held.kappa.estimate,) == close((observed - cohen) / (1 - cohen))
    assert (held.ac1.estimate,) == close((observed - gwet) / (1 - gwet))
    counted = [[sum(p == (a, b) for p in pairs) for b in (0, 0.5, 1)] for a in (0, 0.5, 1)]
    assert [list(row) for row in held.confusion] == counted


@pytest.mark.parametrize("judge", judges(), ids=lambda j: f"{j.subset}-{j.judge}")
def test_the_corrected_win_rate_is_that_of_the_paper(judge: Recorded, tmp_path: Path):
    scores = np.array(item_scores(judge))
    n = min(N_LABELS, scores.size // 2)
    chosen = sorted(np.random.default_rng(1).choice(scores.size, n, replace=False).tolist())
    (line,) = calibrate(judge, tmp_path, chosen).corrected
    scored = [i for i in chosen if not math.isnan(scores[i])]
    rest = [i for i in range(scores.size) if i not in chosen and not math.isnan(scores[i])]
    y, j, others = judge.gold[scored] - 1, scores[scored], scores[rest]
    spread = np.concatenate([j, others]).var(ddof=1)
    weight = np.cov(y, j)[0, 1] / ((1 + len(scored) / len(rest)) * spread)
    weight = min(1.0, max(0.0, float(weight)))
    estimate = y.mean() + weight * (others.mean() - j.mean())
    se = math.sqrt(weight**2 * spread / len(rest) + (y - weight * j).var(ddof=1) / len(scored))
    half = stats.t.ppf(0.975, len(scored) - 1) * se
    raw, labels, corrected = line.estimates
    assert raw.interval.estimate == pytest.approx(np.concatenate([j, others]).mean())
    assert labels.interval.estimate == pytest.approx(y.mean())
    assert corrected.weight == pytest.approx(weight)
    assert corrected.interval.estimate == pytest.approx(min(1.0, estimate))
    assert corrected.interval.low == pytest.approx(max(0.0, estimate - half))
    assert corrected.interval.high == pytest.approx(min(1.0, estimate + half))
