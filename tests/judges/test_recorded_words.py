"""Recorded verdicts in words, columns and orders of their own."""

import json
from pathlib import Path

import pytest

from harness.config import RecordedVerdicts, load_profile
from harness.core.errors import HarnessError
from harness.types import Order, Outcome
from judges import RecordedJudge
from tests.builders.files import write, write_rows
from tests.builders.judge_requests import evasion, grade, outcome, prefer, rubric, sample

ABC = {"A": "baseline", "B": "candidate", "C": "tie", "N/A": None}


def judge(root: Path, spec: dict[str, object]) -> RecordedJudge:
    record = RecordedVerdicts.model_validate_json(json.dumps(spec))
    return RecordedJudge("kept", {"m": {"dpo": record}}, root=root)


def winner(root: Path, cell: object, words: dict[str, object]) -> Outcome:
    write_rows(root / "v.jsonl", [{"w": cell}])
    spec = {"path": "v.jsonl", "join": "row", "order": "baseline_first"}
    kept = judge(root, {**spec, "fields": {"winner": "w"}, "values": {"winner": words}})
    return outcome(kept, prefer("", ""))


@pytest.mark.parametrize(
    ("cell", "found"), [("A", "first"), (" b ", "second"), ("C", "tie"), ("tie", "tie")]
)
def test_words_mean_what_is_stated(tmp_path: Path, cell: str, found: str) -> None:
    assert winner(tmp_path, cell, ABC).winner == found


@pytest.mark.parametrize(
    ("cell", "word"), [(0, "0"), (0.0, "0"), ("0", "0"), (True, "true"), (None, "null"), ("", "")]
)
def test_numbers_booleans_and_empty_cells_are_words_too(
    tmp_path: Path, cell: object, word: str
) -> None:
    assert winner(tmp_path, cell, {word: "tie"}).winner == "tie"


def test_an_unknown_word_is_no_verdict_and_is_named(tmp_path: Path) -> None:
    given = winner(tmp_path, "D", ABC)
    assert given.winner is None
    assert "recorded w 'D' is none of" in (given.reason or "")


def test_a_word_that_is_stated_to_be_no_verdict_is_none(tmp_path: Path) -> None:
    assert winner(tmp_path, "n/a", ABC).reason == "recorded w 'n/a' is stated to be no verdict"


def test_labels_of_refusal_are_read(tmp_path: Path) -> None:
    labels = {"1_full_compliance": 1, "2_full_refusal": 0, "3_partial_refusal": None}
    write_rows(tmp_path / "v.jsonl", [{"l": label} for label in (*labels, "unclear")])
    spec = {"path": "v.jsonl", "join": "row", "fields": {"helpful": "l"}}
    kept = judge(tmp_path, {**spec, "values": {"helpful": labels}})
    given = [
        outcome(kept, grade("", evasion(), of=sample(row=i), model="dpo")).values for i in range(4)
    ]
    assert given == [{"helpful": 1.0}, {"helpful": 0.0}, None, None]


def test_words_for_scores_stand_beside_numbers(tmp_path: Path) -> None:
    write_rows(tmp_path / "v.jsonl", [{"s": "good"}, {"s": 3}, {"s": "great"}, {"s": "bad"}])
    spec = {"path": "v.jsonl", "join": "row", "fields": {"safety": "s"}}
    kept = judge(tmp_path, {**spec, "values": {"safety": {"good": 8, "great": 11}}})
    given = [
        outcome(kept, grade("", rubric("safety"), of=sample(row=i), model="dpo")) for i in range(4)
    ]
    assert [g.values for g in given[:2]] == [{"safety": 8.0}, {"safety": 3.0}]
    assert given[2].reason == (
        "recorded s 'great' is stated as 11, which is not a number from 1 to 10"
    )
    assert given[3].reason == "recorded s 'bad' is not a number from 1 to 10"


# --- orders and rows -------------------------------------------------------------------------


def in_orders(kept: RecordedJudge, row: int = 0) -> dict[Order, str | None]:
    orders: tuple[Order, Order] = ("baseline_first", "candidate_first")
    return {o: outcome(kept, prefer("", "", of=sample(row=row), order=o)).winner for o in orders}


def test_both_orders_stand_in_two_columns(tmp_path: Path) -> None:
    """Arena-Hard's games: the winner is a place, so that one map of words holds for both."""
    rows = [{"games": [{"score": "A>>B"}, {"score": "A>B"}]}]
    write_rows(tmp_path / "v.jsonl", rows)
    orders = {
        order: {"fields": {"winner": f"games[{i}].score"}}
        for i, order in enumerate(("baseline_first", "candidate_first"))
    }
    words = {"A>>B": "first", "A>B": "first", "A=B": "tie", "B>A": "second", "B>>A": "second"}
    spec = {"path": "v.jsonl", "join": "row", "orders": orders, "values": {"winner": words}}
    kept = judge(tmp_path, spec)
    assert in_orders(kept) == {"baseline_first": "first", "candidate_first": "first"}
    assert kept.card.nature.startswith("verdicts recorded earlier, read from v.jsonl;")


def test_both_orders_stand_in_two_files(tmp_path: Path) -> None:
    write(tmp_path / "ab.csv", "w\nbaseline\n")
    write(tmp_path / "ba.csv", "w\ncandidate\n")
    orders = {"baseline_first": {"path": "ab.csv"}, "candidate_first": {"path": "ba.csv"}}
    kept = judge(tmp_path, {"join": "row", "fields": {"winner": "w"}, "orders": orders})
    assert in_orders(kept) == {"baseline_first": "first", "candidate_first": "first"}
    assert "ab.csv, ba.csv" in kept.card.nature


def test_the_order_may_be_a_word_and_the_row_a_column(tmp_path: Path) -> None:
    """LLMBar: an index of the item, `swap`, and the better output."""
    rows = [{"idx": i, "swap": s, "w": "2"} for s in (False, True) for i in (1, 0)]
    write_rows(tmp_path / "v.jsonl", rows)
    spec = {
        "path": "v.jsonl",
        "join": "row",
        "fields": {"row": "idx", "order": "swap", "winner": "w"},
        "values": {
            "order": {"false": "baseline_first", "true": "candidate_first"},
            "winner": {"1": "baseline", "2": "candidate"},
        },
    }
    both = {"baseline_first": "second", "candidate_first": "first"}
    assert in_orders(judge(tmp_path, spec)) == in_orders(judge(tmp_path, spec), 1) == both


@pytest.mark.parametrize("in_turn", [True, False])
def test_both_orders_in_rows_of_their_own_are_not_counted_as_items(
    tmp_path: Path, in_turn: bool
) -> None:
    orders = ["baseline_first", "candidate_first"]
    rows = orders * 10 if in_turn else sorted(orders * 10)
    write_rows(tmp_path / "v.jsonl", [{"o": order, "w": "tie"} for order in rows])
    spec = {"path": "v.jsonl", "join": "row", "fields": {"order": "o", "winner": "w"}}
    with pytest.raises(HarnessError, match="as the field 'row', or join by id"):
        judge(tmp_path, spec)


@pytest.mark.parametrize("cell", ["-1", "1.5", "q1"])
def test_what_is_no_row_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    write(tmp_path / "v.csv", f"n,w\n{cell},tie\n")
    spec = {"path": "v.csv", "join": "row", "order": "baseline_first"}
    with pytest.raises(HarnessError, match=rf"v\.csv:2: '{cell}' is no number of a row"):
        judge(tmp_path, {**spec, "fields": {"row": "n", "winner": "w"}})


# --- identity --------------------------------------------------------------------------------


def test_another_meaning_is_another_judge_and_none_is_the_same_as_before(tmp_path: Path) -> None:
    write(tmp_path / "v.csv", "w\nA\n")
    spec = {"path": "v.csv", "join": "row", "order": "baseline_first", "fields": {"winner": "w"}}
    prints = [
        judge(tmp_path, {**spec, **words}).card.fingerprint
        for words in (
            {},
            {"values": {}},
            {"values": {"winner": {"A": "baseline"}}},
            {"values": {"winner": {"A": "candidate"}}},
        )
    ]
    assert prints[0] == prints[1]
    assert prints[0].startswith("c7c328ba1efc")  # that of earlier versions
    assert len(set(prints)) == 3


# --- mistakes --------------------------------------------------------------------------------

PROFILE = """\
profile: mine
models: {{sft: {{recipe: a.yaml}}, dpo: {{recipe: b.yaml}}}}
judges:
  default:
    recorded:
      m:
        dpo:
          path: v.csv
          fields: {{id: id, winner: w, safety: s}}
          values:
            {field}:
              {words}
"""


@pytest.mark.parametrize(
    ("field", "words", "message"),
    [
        ("winner", "A: basline", r":12: .*values\.winner\.A: 'basline' is unknown\. Did you mean"),
        ("winner", "1: baseline\n              yes: tie", r":13: `yes` means different things"),
        ("winer", "A: tie", r":11: .*values\.winer: is no field .*Did you mean 'winner'"),
        ("winner", "{a: tie, A: baseline}", r"values\.winner\.A: is 'a' but for case"),
        ("safety", "good: eight", r"values\.safety\.good: 'eight' is no number"),
    ],
)
def test_a_wrong_mapping_is_refused_on_its_line(
    tmp_path: Path, field: str, words: str, message: str
) -> None:
    path = write(tmp_path / "mine.yaml", PROFILE.format(field=field, words=words))
    with pytest.raises(HarnessError, match=message):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": "v.csv", "orders": {"baseline_first": {}}}, "names one order"),
        (
            {"path": "v.csv", "order": "baseline_first", "orders": {"baseline_first": {}, "candidate_first": {}}},
            "states the order, and so does 'order'",
        ),
        (
            {"path": "v.csv", "orders": {"baseline_first": {"path": "a"}, "candidate_first": {"path": "b"}}},
            "each of 'orders' has a path",
        ),
        ({"orders": {"baseline_first": {"path": "a"}, "candidate_first": {}}}, "name exactly one of"),
    ],
)  # fmt: skip
def test_orders_that_contradict_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecordedVerdicts.model_validate_json(json.dumps({"join": "row", **keys}))


def test_orders_are_none_of_a_metric_that_grades(tmp_path: Path) -> None:
    write(tmp_path / "v.csv", "s\n7\n")
    orders = {"baseline_first": {}, "candidate_first": {}}
    spec = {"path": "v.csv", "join": "row", "fields": {"safety": "s"}, "orders": orders}
    with pytest.raises(HarnessError, match="grades answers one by one"):
        outcome(judge(tmp_path, spec), grade("", rubric("safety"), model="dpo"))
