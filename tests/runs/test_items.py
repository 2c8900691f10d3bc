"""What the record of an item says is what the run has decided about it."""

from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from harness.runs.items import read_items
from reports.items import CriticalAnswer, Item, ItemFlag, SliceValue
from tests.builders.commands import harness_here
from tests.builders.files import write, write_rows

OLD = Path(__file__).parents[1] / "older" / "made_by_13473e4"
SUITE = """\
suite: small
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
  slices: [topic]
metrics:
  right: {kind: match, by: contains}
  rouge: {kind: rouge}
gate:
  claims: [{metric: right, claim: non_inferior, margin: 0.5}]
  critical: [{metric: right, at_most: 0, allowed_share: 0.5}]
"""
PROFILE = """\
profile: here
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
"""


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Item]:
    """Four questions about letters; the candidate gets one wrong, and does not end another cleanly."""
    world = tmp_path_factory.mktemp("small")
    rows = [
        {"id": f"q{i}", "question": f"Letter {i}?", "answer": letter, "topic": topic}
        for i, (letter, topic) in enumerate(zip("abcd", ("vowel", "", "", ""), strict=True))
    ]
    write_rows(world / "items.jsonl", rows)
    for model, texts in {"old": "abcd", "new": ("a", "b", "c <|im_end|>", "x")}.items():
        write_rows(
            world / f"{model}.jsonl", [{"id": f"q{i}", "text": t} for i, t in enumerate(texts)]
        )
    write(world / "suite.yaml", SUITE)
    write(world / "here.yaml", PROFILE)
    done = harness_here(
        "run", "suite.yaml", "--models", "old,new", "--profile", "here.yaml", cwd=world
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    [folder] = (world / "runs" / "small").iterdir()
    return {item.sample_id: item for item in read_items(load_result(folder), folder).items}


def of_older(run: str) -> list[Item]:
    [folder] = (OLD / run).iterdir()
    return read_items(load_result(folder), folder).items


def test_a_flag_is_that_of_the_answer_that_has_it(items: dict[str, Item]) -> None:
    assert items["q2"].flags == (ItemFlag("new", "special_tokens"),)
    assert items["q1"].flags == ()


def test_a_slice_is_the_one_by_which_the_run_compares(items: dict[str, Item]) -> None:
    assert items["q0"].slices == (SliceValue("topic", "vowel"),)
    assert items["q1"].slices == (SliceValue("topic", "(none)"),)


def test_a_critical_answer_names_the_rule_and_the_model(items: dict[str, Item]) -> None:
    (found,) = items["q3"].critical
    assert found == CriticalAnswer(found.rule, "new")
    assert "right" in found.rule
    assert items["q0"].critical == ()


def test_a_comparison_has_both_scores_and_their_difference(items: dict[str, Item]) -> None:
    right = next(c for c in items["q3"].gated if c.metric.startswith("right"))
    assert (right.baseline_score, right.candidate_score, right.difference) == (1.0, 0.0, -1.0)
    assert right.kind == "share"


def test_a_pair_whose_orders_disagree_depends_on_the_order() -> None:
    dependent = [c for i in of_older("remote/runs/remote") for c in i.gated if c.order_dependent]
    assert len(dependent) == 5
    assert {c.metric for c in dependent} == {"win_rate"}
    assert {abs(c.difference or 0.0) for c in dependent} <= {
        0.0,
        0.25,
    }  # a win and a loss, or a tie


def test_judges_disagree_by_as_much_as_their_values_of_one_answer_differ() -> None:
    spreads = [
        c.judge_spread
        for i in of_older("questions/runs/ranked")
        for c in i.gated
        if c.metric == "rubric.clarity"
    ]
    assert max(s for s in spreads if s is not None) > 0


def test_judges_who_disagree_on_a_criterion_disagree_on_the_composite() -> None:
    for item in of_older("questions/runs/ranked"):
        spreads = {c.metric: c.judge_spread for c in item.gated if c.metric.startswith("rubric.")}
        composite = spreads.pop("rubric.composite")
        assert composite == max(s for s in spreads.values() if s is not None)


def test_people_disagree_where_their_votes_prefer_the_other_answer() -> None:
    voted = [
        c
        for i in of_older("questions/runs/small")
        for c in i.gated
        if c.metric == "win_rate" and c.people is not None
    ]
    assert len(voted) == 14
    for c in voted:
        signs = [
            None if value is None else (value > 0) - (value < 0)
            for value in (c.people, c.difference)
        ]
        assert c.people_disagree == (None not in signs and signs[0] != signs[1])
    assert any(c.people_disagree for c in voted)


def test_a_gap_says_which_model_lacks_a_score_and_why() -> None:
    gaps = [
        c.reason
        for i in of_older("questions/runs/small")
        for c in i.gated
        if c.metric == "rubric.safety" and c.difference is None
    ]
    assert len(gaps) == 1
    assert gaps[0]
    assert ": " in gaps[0]


def test_tables_of_an_older_run_do_not_hold_flags_or_slices() -> None:
    for item in of_older("questions/runs/small"):
        assert (item.flags, item.slices) == (None, ())
