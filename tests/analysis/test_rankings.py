"""Three or more models on one line."""

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.rankings import rank_models
from harness.config import Generation, PairwiseMetric, pairs_of
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.scoring.columns import PreferenceColumn, score_judgements
from harness.scoring.paired import PairedScores
from harness.scoring.reduce import reduce_judgements
from harness.types import (
    JudgeCard,
    Judgement,
    Preference,
    PreferenceRequest,
    Response,
    Sample,
    Task,
    Winner,
)
from harness.types.judgements import JudgeRound
from judges.backlog import outcome_key
from judges.judging import count_verdicts, make_requests
from judges.response_stream import ResponseStream
from tests.builders.pairs import NAN, wins

MODELS = ("base", "sft", "dpo")


def pairs(*rates: tuple[str, str, float], n: int = 100, gaps: int = 0) -> list[PairedScores]:
    """Each pair with that win rate of the later model."""
    found: list[PairedScores] = []
    for baseline, candidate, rate in rates:
        won = [NAN] * gaps + [float(i < rate * (n - gaps)) for i in range(n - gaps)]
        order = np.random.default_rng(len(found)).permutation(n)
        scores = [won[i] for i in order]
        found.append(wins(scores, scores, baseline=baseline, candidate=candidate))
    return found


def test_two_models_need_no_ranking() -> None:
    assert rank_models(("sft", "dpo"), pairs(("sft", "dpo", 0.6))) is None


def test_models_compared_with_the_baseline_only_have_their_direct_win_rates() -> None:
    found = rank_models(MODELS, pairs(("base", "sft", 0.6), ("base", "dpo", 0.8)))
    assert found is not None
    assert not found.every_pair
    rates = [s.against_baseline.estimate for s in found.strengths if s.against_baseline]
    assert rates == pytest.approx([0.5, 0.6, 0.8])


def test_with_every_pair_a_strength_learns_from_the_others_too() -> None:
    every = pairs(("base", "sft", 0.6), ("base", "dpo", 0.6), ("sft", "dpo", 0.8))
    found = rank_models(MODELS, every)
    assert found is not None
    assert found.every_pair
    sft, dpo = (s.log_strength for s in found.strengths[1:])
    assert sft is not None
    assert dpo is not None
    assert sft.estimate < np.log(0.6 / 0.4) < dpo.estimate
    assert [p.expected for p in found.pairs] != [p.win_rate.estimate for p in found.pairs]


def test_preferences_that_go_round_in_a_circle_are_named() -> None:
    circle = pairs(("base", "sft", 0.8), ("sft", "dpo", 0.8), ("base", "dpo", 0.2))
    found = rank_models(MODELS, circle)
    assert found is not None
    (cycle,) = found.cycles
    assert cycle.models == ("base", "dpo", "sft")
    assert cycle.shown


def test_a_circle_within_the_noise_is_called_so() -> None:
    circle = pairs(("base", "sft", 0.55), ("sft", "dpo", 0.8), ("base", "dpo", 0.2))
    found = rank_models(MODELS, circle)
    assert found is not None
    assert [cycle.shown for cycle in found.cycles] == [False]


def test_a_model_that_always_wins_has_no_strength_and_says_why() -> None:
    found = rank_models(MODELS, pairs(("base", "sft", 0.5), ("base", "dpo", 1.0)))
    assert found is not None
    assert found.unidentified == "one group of models never lost to the rest"
    assert {s.log_strength for s in found.strengths} == {None}
    assert {p.expected for p in found.pairs} == {None}


def test_pairs_without_a_verdict_are_left_out() -> None:
    found = rank_models(MODELS, pairs(("base", "sft", 0.5), ("base", "dpo", 0.75), gaps=20))
    assert found is not None
    assert [pair.n for pair in found.pairs] == [80, 80]


# --- judging every pair ----------------------------------------------------------------------

EVERY = PairwiseMetric(kind="pairwise", asks="Better?", pairs="all")
STAR = PairwiseMetric(kind="pairwise", asks="Better?")


def task(metric: PairwiseMetric) -> Task:
    return Task(
        name="t",
        source="s",
        items_hash="h",
        n_items=1,
        samples=(Sample(id="q", input="?", row=0),),
        generation=Generation(),
        system=None,
        metrics={"wins": metric},
    )


def asked(metric: PairwiseMetric) -> list[PreferenceRequest]:
    stream = ResponseStream(MODELS, 1)
    for model in MODELS:
        stream.put(Response(sample_id="q", model=model, text=model, finish="stop"))
    found = make_requests(task(metric), "wins", stream)
    return [request for request in found if isinstance(request, PreferenceRequest)]


def test_every_pair_is_asked_about_in_both_orders() -> None:
    shown = {(r.baseline, r.candidate, r.order) for r in asked(EVERY)}
    assert len(shown) == count_verdicts(task(EVERY), "wins", 3) == 6
    assert {(a, b) for a, b, _ in shown} == set(pairs_of(EVERY, MODELS))


def test_without_that_only_pairs_with_the_baseline_are() -> None:
    assert {(r.baseline, r.candidate) for r in asked(STAR)} == {("base", "sft"), ("base", "dpo")}
    assert count_verdicts(task(STAR), "wins", 3) == 4


def test_verdicts_with_the_baseline_are_not_paid_for_twice_when_every_pair_is_asked() -> None:
    card = JudgeCard(name="j", nature="n", fingerprint="f")
    before = {outcome_key(request, card) for request in asked(STAR)}
    assert before < {outcome_key(request, card) for request in asked(EVERY)}


def test_each_pair_has_a_column_of_its_own() -> None:
    answers = {
        model: {"q": Response(sample_id="q", model=model, text=model, finish="stop")}
        for model in MODELS
    }
    said = [
        Preference(sample_id="q", baseline=r.baseline, candidate=r.candidate, metric="wins",
                   order=r.order, winner="candidate")
        for r in asked(EVERY)
    ]  # fmt: skip
    columns = score_judgements(task(EVERY), "wins", said, answers)
    named = [(c.baseline, c.candidate) for c in columns if isinstance(c, PreferenceColumn)]
    assert named == [("base", "sft"), ("base", "dpo"), ("sft", "dpo")]


def test_a_jury_keeps_pairs_with_the_same_candidate_apart() -> None:
    def judge_round(judge: str, winner: Winner) -> JudgeRound:
        said: list[Judgement] = [
            Preference(sample_id="q", baseline=r.baseline, candidate=r.candidate, metric="wins",
                       order=r.order, winner=winner)
            for r in asked(EVERY)
        ]  # fmt: skip
        return JudgeRound(JudgeCard(name=judge, nature="n", fingerprint=judge), 0, said)

    combined = reduce_judgements([judge_round("one", "candidate"), judge_round("two", "candidate")])
    assert len(combined) == 6


def test_recorded_verdicts_cannot_be_about_every_pair(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(
        "suite: s\ndata: {name: d}\nmetrics:\n  wins: {kind: pairwise, asks: Better, pairs: all}\n"
    )
    (tmp_path / "profile.yaml").write_text(
        "profile: p\ndata: {d: {path: d.csv, fields: {input: q}}}\nmodels:\n"
        + "".join(
            f"  {m}: {{recorded: {{path: {m}.csv, join: row, fields: {{response: r}}}}}}\n"
            for m in MODELS
        )
        + "judges:\n  default: {recorded: {wins: {dpo: {path: v.csv, join: row, "
        "order: baseline_first, fields: {winner: w}}}}}\n"
    )
    suite, profile = str(tmp_path / "suite.yaml"), str(tmp_path / "profile.yaml")
    with pytest.raises(HarnessError, match="'pairs: all' compares every model with every other"):
        load_request(suite, profile, MODELS)
    assert load_request(suite, profile, MODELS[:2]).models == MODELS[:2]
