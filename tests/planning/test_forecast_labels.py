"""`harness plan` says which differences people's labels can confirm."""

from pathlib import Path

import numpy as np
import pytest

from harness.config.request import load_request
from harness.planning.confirmation import LabelsForecast, describe_labels
from harness.planning.forecast import forecast_run
from harness.stats.judge_correction import corrected_lower_bound
from tests.builders.files import write
from tests.builders.human_judges import SUITE, mostly, run, write_profile, write_world
from tests.builders.votes import cast_votes

LICENCE = "judge_licence: {metric: kappa, at_least: 0.6}"
NOTHING = np.empty(0)


def forecasts(
    folder: Path, extra: str, judge: str = "default", claim: str = "superior"
) -> tuple[LabelsForecast, ...]:
    suite = SUITE.format(name="plan", judge=judge, extra=extra).replace("superior", claim)
    names = str(write(folder / "plan.yaml", suite)), str(folder / "profile.yaml")
    request = load_request(*names, ["sft", "dpo"])
    return forecast_run(request, folder / "store").labels


def test_a_gate_that_needs_no_labels_has_no_forecast_of_them(tmp_path: Path):
    assert forecasts(write_world(tmp_path), "") == ()


def test_more_labels_confirm_smaller_differences(tmp_path: Path):
    (found,) = forecasts(write_world(tmp_path), LICENCE)
    distances = list(found.distances.values())
    assert list(found.distances) == [50, 100, 160]
    assert None not in distances
    assert distances == sorted(distances, reverse=True)  # type: ignore[type-var]


@pytest.mark.parametrize("n", [50, 160])
def test_the_difference_is_confirmed_four_times_in_five(tmp_path: Path, n: int):
    """Win scores of the assumed spread, at the distance that is forecast."""
    (found,) = forecasts(write_world(tmp_path), LICENCE)
    distance = found.distances[n]
    assert distance is not None
    rng, runs = np.random.default_rng(n), 1_500
    decided = (2 * found.assumed_sd) ** 2 + 4 * distance**2  # of the scores -1/2, 0, 1/2
    chances = [(decided - 2 * distance) / 2, 1 - decided, (decided + 2 * distance) / 2]
    shown = 0
    for _ in range(runs):
        labels = rng.choice([-0.5, 0.0, 0.5], p=chances, size=n)
        shown += corrected_lower_bound(labels, labels, NOTHING, least=-0.5, alpha=0.05) > 0
    assert shown / runs == pytest.approx(0.8, abs=0.05)


def test_a_boundary_near_the_worst_value_is_no_harder(tmp_path: Path):
    (wide,) = forecasts(write_world(tmp_path), LICENCE, claim="non_inferior, margin: 0.45")
    (near,) = forecasts(tmp_path, LICENCE)
    assert wide.distances[50] is not None
    assert near.distances[50] is not None
    assert wide.distances[50] <= near.distances[50]


def test_on_corrected_scores_few_labels_decide_nothing(tmp_path: Path):
    (found,) = forecasts(write_world(tmp_path), "decide_on: corrected")
    text = "\n".join(describe_labels([found]))
    assert found.least == 100
    assert "50 labels" not in text
    assert "100 labels 0." in text


def test_people_who_judge_confirm_nothing(tmp_path: Path):
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, {"Ada": mostly(8)}, n=60).relative_to(tmp_path)
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}")
    assert forecasts(tmp_path, LICENCE, judge="physicians") == ()
