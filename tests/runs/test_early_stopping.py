"""When judging in looks ends, on scores made of plain numbers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.config import Claim, CriticalRule, Gate
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.gate.interim import schedule_looks
from harness.planning.plan import make_plan
from harness.runs.early_stopping import LookResult, evaluate_look, simulate_looks
from harness.runs.run import run_suite
from harness.scoring.paired import PairedScores, take_items
from harness.selftest.simulation import pair_of
from harness.training.context import make_context
from harness.types import RunResult, TaskLooks
from tests.builders.files import write, write_world

N = 500
SUPERIOR = Claim(metric="m", claim="superior")


def early(*claims: Claim) -> Gate:
    return Gate(claims=claims or (SUPERIOR,), stop_early=True)


def looks_at(gate: Gate, n: int = N) -> TaskLooks:
    found = schedule_looks("items", [1] * n, gate)
    assert found is not None
    return found


def scores(mean: float, *, sd: float = 2.0, seed: int = 1, metric: str = "m") -> PairedScores:
    d = np.clip(np.random.default_rng(seed).normal(mean, sd, N), -9, 9)
    return replace(pair_of(d), metric=metric)


def ended(gate: Gate, pair: PairedScores) -> tuple[str | None, int]:
    found, n = simulate_looks(gate, looks_at(gate), pair)
    return found.reason, n


def walk(gate: Gate, pairs: Sequence[PairedScores]) -> list[LookResult]:
    """The gate at every look, whether it would have ended or not; a column for each pair."""
    looks, found = looks_at(gate), list[LookResult]()
    by_metric = dict.fromkeys((pair.metric.partition(".")[0] for pair in pairs), looks)
    for number, n in enumerate(looks.sizes, start=1):
        seen = {pair.metric: take_items(pair, np.arange(N) < n) for pair in pairs}
        found.append(evaluate_look(gate, by_metric, number, seen, found[-1] if found else None))
    return found


def test_a_clear_gain_passes_early() -> None:
    reason, n = ended(early(), scores(1.0))
    assert reason == "pass"
    assert n < N


def test_a_clear_loss_fails_early() -> None:
    reason, n = ended(early(), scores(-1.0))
    assert reason == "fail"
    assert n < N


def test_where_neither_verdict_is_in_sight_judging_ends_without_one() -> None:
    pair = scores(0.0)
    pair = replace(pair, d=pair.d - pair.d[:200].mean())
    gate = early()
    found, n = simulate_looks(gate, looks_at(gate), pair)
    assert (found.reason, n, found.decision.verdict) == ("futile", 200, "inconclusive")


def test_there_is_no_ending_for_futility_at_the_first_look() -> None:
    pair = scores(0.0)
    first = walk(early(), [replace(pair, d=pair.d - pair.d[:100].mean())])[0]
    chances = first.claims[0].at_look
    assert chances.chance_of_pass is not None
    assert chances.chance_of_pass < 0.1
    assert first.reason is None


def test_a_gain_that_one_look_alone_would_call_significant_is_not_enough_early() -> None:
    pair = scores(0.0)
    d = (pair.d - pair.d[:100].mean()) + 0.4  # t = 2 after 100 items
    first = walk(early(), [replace(pair, d=d)])[0]
    p_value = first.claims[0].result.p_value
    assert p_value is not None
    assert p_value < 0.05
    assert first.decision.verdict == "inconclusive"


def test_a_claim_that_has_crossed_stays_decided_whatever_comes_after() -> None:
    pair = scores(2.0)
    turned = replace(pair, d=np.where(np.arange(N) < 100, pair.d, pair.d - 4))
    ways = walk(early(), [turned])
    assert [each.claims[0].at_look.look for each in ways] == [1] * 5
    assert ways[-1].claims[0].result.verdict == "pass"
    assert ways[-1].claims[0].result.n == 100
    assert turned.d.mean() < 0


def test_the_gate_passes_only_when_the_slowest_claim_has_crossed() -> None:
    quick, slow = scores(2.0), scores(0.25, seed=3, metric="slow")
    gate = early(SUPERIOR, Claim(metric="slow", claim="superior"))
    ways = walk(gate, [quick, slow])
    crossed = [way.claims[1].decided for way in ways]
    assert [way.decision.verdict == "pass" for way in ways] == crossed
    assert ways[0].claims[0].decided
    assert not crossed[0]
    assert crossed[-1]


def test_one_refuted_claim_ends_it() -> None:
    gate = early(SUPERIOR, Claim(metric="bad", claim="non_inferior", margin=0.5))
    ways = walk(gate, [scores(0.3), scores(-2.0, metric="bad")])
    assert ways[1].reason == "fail"


def test_an_alarm_that_may_still_be_raised_holds_a_pass_back() -> None:
    alarm = Claim(metric="harm", claim="regression_alarm")
    gate = early(SUPERIOR, alarm)
    worse = walk(gate, [scores(1.0), scores(-0.25, sd=2.0, seed=5, metric="harm")])
    assert worse[1].decision.verdict == "pass"
    assert worse[1].reason is None
    fine = walk(gate, [scores(1.0), scores(0.4, seed=5, metric="harm")])
    assert fine[1].reason == "pass"


def test_a_rule_on_critical_answers_must_be_shown_too() -> None:
    rule = CriticalRule(metric="m", at_most=-8.5, allowed_share=0.01)
    gate = Gate(claims=(SUPERIOR,), critical=(rule,), stop_early=True)
    ways = walk(gate, [scores(2.0, sd=1.0)])
    assert ways[0].claims[0].result.verdict == "pass"
    # Without any event the upper bound 1 - alpha^(1/n) is within 1 % from the fourth look on.
    assert [way.decision.verdict for way in ways].index("pass") == 3


def test_gaps_count_at_their_worst_at_every_look() -> None:
    pair = scores(0.7)
    gaps = np.random.default_rng(3).random(N) < 0.04
    lost = replace(
        pair, d=np.where(gaps, np.nan, pair.d), least=np.where(gaps, -9.0, pair.d),
        greatest=np.where(gaps, 9.0, pair.d),
    )  # fmt: skip
    assert ended(early(), pair)[1] < ended(early(), lost)[1]


def test_nothing_passes_where_too_much_is_unscored() -> None:
    pair = scores(3.0)
    gaps = np.arange(N) % 5 == 0
    lost = replace(pair, d=np.where(gaps, np.nan, pair.d))
    found, n = simulate_looks(early(), looks_at(early()), lost)
    assert (n, found.decision.verdict) == (N, "inconclusive")


def test_the_chances_are_those_of_the_trend() -> None:
    rising, falling = (walk(early(), [scores(mean, seed=8)])[0] for mean in (0.25, -0.25))
    up, down = rising.claims[0].at_look, falling.claims[0].at_look
    assert up.chance_of_pass is not None
    assert down.chance_of_pass is not None
    assert up.chance_of_pass > 0.5 > down.chance_of_pass


def run_world(folder: Path, options: str = "") -> RunResult:
    """A run in which each model has the better answer to every other question."""
    folder.mkdir()
    suite, profile = write_world(folder, n=150)
    old, new = ((folder / f"{name}.jsonl").read_text().splitlines() for name in ("sft", "dpo"))
    for name, texts in (("sft", (old, new)), ("dpo", (new, old))):
        lines = [texts[i % 2][i] for i in range(150)]
        write(folder / f"{name}.jsonl", "\n".join(lines))
    text = (folder / "small.yaml").read_text()
    write(folder / "small.yaml", text.replace("gate:\n", f"gate:\n{options}"))
    request = load_request(suite, profile, ["sft", "dpo"])
    store, out = folder / "store", folder / "runs"
    return run_suite(request, make_context(store, QuietProgress()), out=out).result


def test_what_is_judged_in_looks_is_what_is_judged_at_once(tmp_path: Path) -> None:
    whole = run_world(tmp_path / "whole")
    looked = run_world(tmp_path / "looks", "  stop_early: true\n  looks: 2\n")
    assert looked.stopping is not None
    assert looked.stopping.reason == "complete"
    at_once, in_looks = whole.comparisons[0], looked.comparisons[0]
    assert in_looks.difference.estimate == pytest.approx(at_once.difference.estimate)
    assert in_looks.test.p_value == pytest.approx(at_once.test.p_value)
    assert looked.scores == whole.scores
    assert looked.coverage == whole.coverage
    assert looked.hygiene == whole.hygiene
    assert looked.tallies == whole.tallies


def test_what_was_not_judged_is_in_no_count(tmp_path: Path) -> None:
    result = run_world(tmp_path / "looks", "  stop_early: true\n")
    assert result.stopping is not None
    assert result.stopping.reason == "futile"
    n = result.stopping.tasks[0].n_items
    assert n < result.stopping.tasks[0].n_most == 150
    assert {cover.n_items for cover in result.coverage} == {n}
    assert {count.n for count in result.hygiene} == {n}
    assert result.stopping.verdicts_skipped == 2 * (150 - n)
    assert result.stopping.answers_skipped == 0  # recorded answers are asked of nobody
    assert "stopped_early" in {caveat.code for caveat in result.caveats}


def test_a_recorded_answer_that_is_missing_is_found_before_the_first_look(tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    suite, profile = write_world(world, n=150)
    text = (world / "small.yaml").read_text()
    write(world / "small.yaml", text.replace("gate:\n", "gate:\n  stop_early: true\n"))
    request = load_request(suite, profile, ["sft", "dpo"])
    last = make_plan(request, {}).tasks[0].samples[-1].id
    kept = [x for x in (world / "dpo.jsonl").read_text().splitlines() if f'"{last}"' not in x]
    write(world / "dpo.jsonl", "\n".join(kept))
    with pytest.raises(HarnessError, match=f"no answer of 'dpo' to item '{last}'"):
        run_suite(request, make_context(world / "store", QuietProgress()), out=world / "runs")
