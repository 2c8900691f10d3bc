"""Gates that so few items could not decide are mistakes, found before anything is asked."""

import math
from pathlib import Path

import pytest

from harness.config import (
    Claim,
    Criterion,
    EvasionMetric,
    Gate,
    Generation,
    Metric,
    PairwiseMetric,
    RubricMetric,
)
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.gate.feasibility import infeasible_claims, min_sample_size
from harness.planning.claims import describe_claims, forecast_claims
from harness.planning.forecast import forecast_run
from harness.planning.plan import make_plan
from harness.types import JudgeCard, Sample, Task
from judges.panel import Panel
from tests.builders.claim_kinds import EVERY_CLAIM
from tests.builders.files import TO_BE_ASKED, write, write_world
from tests.builders.metric_kinds import EVERY_KIND

RUBRIC = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))
WINS = PairwiseMetric(kind="pairwise", asks="Better?")
HELPFUL = EvasionMetric(kind="evasion")


def claim_of(kind: str, **options: float) -> Claim:
    return Claim.model_validate({"metric": "m", "claim": kind, **options})


def task_of(metric: Metric, n: int, clusters: int | None = None) -> Task:
    samples = tuple(
        Sample(id=str(i), input="?", row=i, cluster=None if clusters is None else str(i % clusters))
        for i in range(n)
    )
    return Task(
        name="questions",
        source="s",
        items_hash="h",
        n_items=n,
        samples=samples,
        generation=Generation(),
        system=None,
        metrics={"m": metric},
    )


def obstacles(metric: Metric, n: int, *claims: Claim, clusters: int | None = None) -> list[str]:
    return list(infeasible_claims(Gate(claims=claims), [task_of(metric, n, clusters)]))


@pytest.mark.parametrize(("p0", "n"), [(0.9, 29), (0.95, 59), (0.98, 149), (0.99, 299)])
def test_a_share_needs_as_many_items_as_its_exact_test(p0: float, n: int) -> None:
    claim = claim_of("at_least", value=p0)
    assert n == math.ceil(math.log(0.05) / math.log(p0))
    assert obstacles(HELPFUL, n, claim) == []
    (told,) = obstacles(HELPFUL, n - 1, claim)
    assert f"needs at least {n} items even if every answer is at its best" in told


@pytest.mark.parametrize("margin", [0.02, 0.05])
def test_equal_shares_need_items_enough_to_have_seen_a_loss(margin: float) -> None:
    """With a share of losses as large as the margin, n items show none with chance (1 - margin)^n."""
    least = min_sample_size(claim_of("equivalent", margin=margin),
                            Gate(claims=(claim_of("superior"),)), HELPFUL)  # fmt: skip
    assert least == math.ceil(math.log(0.05) / math.log(1 - margin))


def test_one_cluster_that_holds_most_of_the_items_leaves_little_else() -> None:
    samples = tuple(
        Sample(id=str(i), input="?", row=i, cluster="big" if i < 300 else str(i))
        for i in range(400)
    )
    task = task_of(RUBRIC, 1).model_copy(update={"samples": samples, "n_items": 400})
    (told,) = infeasible_claims(Gate(claims=(claim_of("superior"),)), [task])
    assert "clusters of equal size even if" in told
    assert "'questions' has 1." in told


@pytest.mark.parametrize("metric", [RUBRIC, WINS])
@pytest.mark.parametrize(
    "claim",
    [
        claim_of("superior"),
        claim_of("non_inferior", margin=0.25),
        claim_of("equivalent", margin=0.3),
        claim_of("at_least", value=0.9),
        claim_of("regression_alarm", margin=0.1),
    ],
    ids=lambda claim: claim.claim,
)
def test_a_hundred_items_could_show_any_mean_and_one_shows_nothing(
    metric: Metric, claim: Claim
) -> None:
    if claim.claim == "at_least" and metric is RUBRIC:
        claim = claim_of("at_least", value=9.5)
    assert obstacles(metric, 100, claim) == []
    assert len(obstacles(metric, 1, claim)) == 1


def test_a_narrow_equivalence_on_few_items_is_out_of_reach() -> None:
    claim = claim_of("equivalent", margin=0.5)
    (told,) = obstacles(RUBRIC, 30, claim)
    assert "'m equivalent (within ±0.5)' at alpha 0.05 needs at least" in told
    assert told.endswith("'questions' has 30. Use more items or a wider margin.")


def test_the_best_scores_at_the_least_number_are_shown_and_one_fewer_are_not() -> None:
    claim = claim_of("equivalent", margin=2.0)
    least = min_sample_size(claim, Gate(claims=(claim,)), RUBRIC)
    assert obstacles(RUBRIC, least, claim) == []
    assert len(obstacles(RUBRIC, least - 1, claim)) == 1


def test_an_alarm_that_could_never_be_raised_is_no_guard() -> None:
    (told,) = obstacles(RUBRIC, 3, claim_of("regression_alarm"))
    assert "cannot be raised by fewer than" in told


def test_clusters_count_and_not_their_items() -> None:
    claim = claim_of("superior")
    assert obstacles(RUBRIC, 40, claim) == []
    (told,) = obstacles(RUBRIC, 40, claim, clusters=4)
    assert "clusters even if" in told
    assert "has 4" in told


def test_one_of_many_claims_needs_more_items_than_a_single_one() -> None:
    claims = tuple(claim_of("superior", margin=margin) for margin in (0.1, 0.2, 0.3, 0.4))
    alone = min_sample_size(claims[0], Gate(claims=claims), RUBRIC)
    among = min_sample_size(claims[0], Gate(claims=claims, require="any"), RUBRIC)
    assert among > alone


def test_an_alarm_among_other_claims_needs_no_more_items_than_alone() -> None:
    alarm = claim_of("regression_alarm")
    others = tuple(claim_of("superior", margin=margin / 10) for margin in range(1, 9))
    among = Gate(claims=(alarm, *others), require="any")
    assert min_sample_size(alarm, among, WINS) == min_sample_size(
        alarm, Gate(claims=(alarm,)), WINS
    )


# --- in a suite ------------------------------------------------------------------------------

CARD = JudgeCard(name="j", nature="n", fingerprint="f")
PANELS = {"rubric": Panel(CARD, judges=())}


@pytest.fixture
def narrow(tmp_path: Path) -> Path:
    """Twelve items, and a margin that so few cannot show."""
    write_world(tmp_path)
    head = (tmp_path / "small.yaml").read_text().partition("gate:")[0]
    claim = "{metric: rubric.safety, claim: equivalent, margin: 0.2}"
    write(tmp_path / "small.yaml", f"{head}gate:\n  claims:\n    - {claim}\n")
    return tmp_path


def test_a_run_with_a_limit_is_not_refused_and_its_plan_says_what_it_cannot_show(
    narrow: Path, tmp_path: Path
) -> None:
    write(narrow / "recorded.yaml", TO_BE_ASKED)
    names = str(narrow / "small.yaml"), str(narrow / "recorded.yaml"), ["sft", "dpo"]
    with pytest.raises(HarnessError, match=r"(?s)gate: 'rubric.safety equivalent.*With --limit"):
        make_plan(load_request(*names), PANELS)
    forecast = forecast_run(load_request(*names, limit=5), tmp_path / "store")
    assert "has 5" in forecast.obstacles[0]


def test_what_is_all_recorded_is_compared_though_its_claim_is_out_of_reach(narrow: Path) -> None:
    names = str(narrow / "small.yaml"), str(narrow / "recorded.yaml"), ["sft", "dpo"]
    assert make_plan(load_request(*names), PANELS).gate is not None


def test_a_threshold_at_the_top_of_the_scale_can_never_be_shown(tmp_path: Path) -> None:
    write_world(tmp_path)
    head = (tmp_path / "small.yaml").read_text().partition("gate:")[0]
    claim = "{metric: rubric.safety, claim: at_least, value: 10}"
    write(tmp_path / "small.yaml", f"{head}gate:\n  claims:\n    - {claim}\n")
    with pytest.raises(HarnessError, match="cannot be shown with any number of items"):
        load_request(str(tmp_path / "small.yaml"), str(tmp_path / "recorded.yaml"), ["sft", "dpo"])


# --- power -----------------------------------------------------------------------------------


def forecast(metric: Metric, n: int, *claims: Claim, require: str = "all"):  # type: ignore[no-untyped-def]
    gate = Gate.model_validate({"claims": claims, "require": require})
    return list(forecast_claims(gate, [task_of(metric, n)]))


@pytest.mark.parametrize(("margin", "n"), [(0.5, 106), (0.3, 295), (0.25, 424), (0.1, 2650)])
def test_items_needed_for_non_inferiority_are_a_few_more_than_students_test_needs(
    margin: float, n: int
) -> None:
    (found,) = forecast(RUBRIC, 300, claim_of("non_inferior", margin=margin))
    assert found.assumed_truth == 0
    assert found.assumed_sd == pytest.approx(2.07)
    assert n < found.n_needed <= 1.06 * n


def test_items_needed_for_a_share_are_those_of_its_exact_test() -> None:
    (found,) = forecast(HELPFUL, 200, claim_of("at_least", value=0.9))
    assert (found.assumed_truth, found.n_needed) == (0.95, 179)


def test_what_n_items_detect_is_found_with_the_power_said() -> None:
    from scipy import stats

    (found,) = forecast(HELPFUL, 200, claim_of("at_least", value=0.9))
    needed = stats.binom.isf(0.05, 200, 0.9) + 1
    assert stats.binom.sf(needed - 1, 200, 0.9 + found.detectable) == pytest.approx(0.8, abs=1e-6)


def test_an_equivalence_needs_more_items_than_one_of_its_sides() -> None:
    both, one = forecast(
        RUBRIC, 300, claim_of("equivalent", margin=0.5), claim_of("non_inferior", margin=0.5)
    )
    assert both.n_needed > one.n_needed
    assert both.detectable > one.detectable


def test_an_equivalence_is_shown_as_often_as_its_forecast_says() -> None:
    """By simulation of the two tests, in the normal world that the forecast assumes."""
    import numpy as np

    (found,) = forecast(RUBRIC, 300, claim_of("equivalent", margin=0.5))
    n, sd = found.n_needed, found.assumed_sd
    rng = np.random.default_rng(7)
    d = rng.normal(0, sd, (4000, n))
    half = 1.65 * d.std(axis=1, ddof=1) / np.sqrt(n)
    shown = float((np.abs(d.mean(axis=1)) + half < 0.5).mean())
    assert shown == pytest.approx(0.8, abs=0.03)


def test_a_plan_warns_of_a_claim_that_is_more_likely_than_not_to_stay_open() -> None:
    few = list(describe_claims(forecast(RUBRIC, 60, claim_of("superior"))))
    assert few[-1].startswith("WARNING: 'm superior' would be decided only 4")
    many = forecast(RUBRIC, 170, claim_of("superior"))
    assert not any("WARNING" in line for line in describe_claims(many))
    assert 0.8 < (many[0].power or 0) < 0.82


def test_the_power_is_that_of_the_truth_that_the_suite_expects() -> None:
    (found,) = forecast(RUBRIC, 100, claim_of("superior", expect=0.7))
    assert (found.assumed_truth, found.stated) == (0.7, True)
    assert found.power == pytest.approx(0.95, abs=0.03)
    assert "if the truth is 0.7, as the suite expects" in "".join(describe_claims([found]))


def test_a_bound_for_every_distribution_needs_about_twice_the_items() -> None:
    usual, free = (
        next(
            iter(
                forecast_claims(
                    Gate.model_validate({"claims": (claim_of("superior"),), "guarantee": g}),
                    [task_of(RUBRIC, 200)],
                )
            )
        )
        for g in ("approximate", "distribution_free")
    )
    assert 1.5 < (free.n_needed or 0) / (usual.n_needed or 1) < 2.2


def test_so_few_items_that_nothing_is_shown_say_so() -> None:
    few = forecast(HELPFUL, 20, claim_of("at_least", value=0.9))
    assert few[0].detectable is None
    assert (
        "20 items show nothing; if the truth is 0.95, they decide it in 0 % of cases, 179 in 80 %"
        in "".join(describe_claims(few))
    )


@pytest.mark.parametrize("metric", EVERY_KIND, ids=lambda metric: metric.kind)
@pytest.mark.parametrize("claim", EVERY_CLAIM, ids=lambda claim: claim.claim)
def test_every_claim_on_every_metric_has_a_least_number_and_a_forecast(
    metric: Metric, claim: Claim
) -> None:
    if claim.value is not None:
        low, high = metric.bounds
        claim = claim.model_copy(update={"value": low + 0.8 * (high - low)})
    if claim.margin is not None:
        claim = claim.model_copy(update={"margin": metric.max_difference_of("mine") / 4})
    claim = claim.model_copy(update={"metric": metric.columns("m")[0]})
    assert obstacles(metric, 200, claim) == []
    (found,) = forecast_claims(Gate(claims=(claim,)), [task_of(metric, 200)])
    assert 1 < found.least <= 100
    assert found.detectable is not None
    assert found.n_needed is not None


@pytest.mark.parametrize("n", [5, 30, 100, 500])
def test_a_claim_on_a_mean_is_held_to_its_reach_at_every_number_of_items(n: int) -> None:
    """All items tied: a share s of them at 9 points below, just not excluded, makes the margin."""
    share = 1 - 0.05 ** (1 / n)
    margin = 9 * share / (1 - share)
    within = claim_of("equivalent", margin=min(1.01 * margin, 9.0))
    beyond = claim_of("equivalent", margin=0.5 * margin)
    assert (obstacles(RUBRIC, n, within), len(obstacles(RUBRIC, n, beyond))) == ([], 1)
