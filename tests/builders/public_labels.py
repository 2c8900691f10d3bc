"""Recorded judges held to people's labels, as tables.

    HARNESS_DATA_DIR=… python -m tests.builders.public_labels

LLMBar (arXiv 2310.07641): which of two outputs follows its instruction, in both orders. XSTest
(arXiv 2308.01263): does a completion comply or refuse, by the final label of its annotators.
"""

import csv
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from harness.analysis.comparisons import compare_scores
from harness.scoring.columns import PreferenceColumn
from harness.scoring.paired import pair_scores
from harness.stats.agreement import Agreement, cohen_kappa, gwet_ac1, percent_agreement
from harness.stats.vectors import Vector
from harness.types import Comparison
from judges import OfflineJudge
from tests.builders.judge_requests import evasion, grade, outcomes, sample

DATA = Path(os.environ.get("HARNESS_DATA_DIR", ""))

Partial = Literal["as refusals", "left out", "as themselves"]
PARTIAL: tuple[Partial, ...] = ("as refusals", "left out", "as themselves")
XSTEST_JUDGES = ("GPT-4", "string match", "offline rules")
MODELS = ("llama2new", "mistralinstruct")


class Held(NamedTuple):
    """One judge against people; `unread` are the items or verdicts that it gave no label."""

    percent: Agreement
    kappa: Agreement
    ac1: Agreement
    unread: int


def hold(gold: Vector, given: Vector, categories: list[float]) -> Held:
    """The agreement of a judge's labels with gold ones; NaN is a label that is missing."""
    ratings = np.array([gold, given])
    both = ~np.isnan(ratings).any(axis=0)
    return Held(
        percent=percent_agreement(ratings),
        kappa=cohen_kappa(gold[both], given[both], categories=categories),
        ac1=gwet_ac1(ratings, categories=categories),
        unread=int((np.isnan(given) & ~np.isnan(gold)).sum()),
    )


# --- LLMBar ----------------------------------------------------------------------------------


class Recorded(NamedTuple):
    """A judge's verdicts by item: the output (1 or 2) that is better, NaN where it named none."""

    subset: str
    judge: str
    prompt: str
    gold: Vector
    second_shown_last: Vector
    second_shown_first: Vector


@cache
def llmbar() -> tuple[Recorded, ...]:
    """Every judge, prompt and subset of the recorded verdicts."""
    found: dict[tuple[str, str, str], dict[tuple[int, bool], tuple[float, float]]] = {}
    with (DATA / "LLMBar" / "raw_verdicts.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            winner = np.nan if row["winner"] is None else float(row["winner"])
            cells = found.setdefault((row["set"], row["judge"], row["strategy"]), {})
            cells[row["idx"], row["swap"]] = (float(row["label"]), winner)
    recorded = []
    for key, cells in found.items():
        items = sorted({item for item, _ in cells})
        assert len(cells) == 2 * len(items)
        gold = np.array([cells[item, False][0] for item in items])
        orders = [np.array([cells[i, swap][1] for i in items]) for swap in (False, True)]
        recorded.append(Recorded(*key, gold, *orders))
    return tuple(recorded)


def hold_both_orders(judge: Recorded) -> Held:
    """Over all verdicts, two an item."""
    given = np.concatenate([judge.second_shown_last, judge.second_shown_first])
    return hold(np.concatenate([judge.gold, judge.gold]), given, [1, 2])


def compare_outputs(judge: Recorded) -> Comparison:
    """Output 2 as a candidate against output 1, as the product compares two models."""
    column = PreferenceColumn(
        metric="llmbar",
        baseline="output 1",
        candidate="output 2",
        sample_ids=tuple(map(str, range(judge.gold.size))),
        clusters=None,
        by_order={
            "baseline_first": judge.second_shown_last - 1,
            "candidate_first": judge.second_shown_first - 1,
        },
        reasons=[],
        generation_failed=0,
    )
    (pair,) = pair_scores(column, column.baseline)
    return compare_scores(column, pair, {})


# --- XSTest ----------------------------------------------------------------------------------


class Completion(NamedTuple):
    """What people and judges said of one completion; None where a judge's reply is no label."""

    prompt: int
    people: str
    annotators: tuple[str, str]
    given: dict[str, str | None]


@cache
def xstest() -> tuple[Completion, ...]:
    """The completions of both models; the offline rules' evasive ones are their refusals."""
    return tuple(completion for model in MODELS for completion in _completions(model))


def code(label: str | None, partial: Partial) -> float:
    """0 complies, 1 refuses; a partial refusal as told."""
    if label is None:
        return np.nan
    if label != "3_partial_refusal":
        return float(label == "2_full_refusal")
    return {"as refusals": 1.0, "left out": np.nan, "as themselves": 2.0}[partial]


def hold_xstest(judge: str, partial: Partial, *, held_out: bool = False) -> Held:
    """`held_out`: the even items only, which the offline rules were not written on."""
    rows = [row for row in xstest() if not held_out or row.prompt % 2 == 0]
    gold = np.array([code(row.people, partial) for row in rows])
    given = np.array([code(row.given[judge], partial) for row in rows])
    return _hold_labels(gold, given, partial)


def hold_annotators(partial: Partial) -> Held:
    """The two annotators held to each other: what a judge could at best be expected to reach."""
    pairs = np.array([[code(label, partial) for label in row.annotators] for row in xstest()])
    return _hold_labels(pairs[:, 0], pairs[:, 1], partial)


def _hold_labels(gold: Vector, given: Vector, partial: Partial) -> Held:
    asked = ~np.isnan(gold)
    categories = [0.0, 1.0, 2.0] if partial == "as themselves" else [0.0, 1.0]
    return hold(gold[asked], given[asked], categories)


def _completions(model: str) -> Iterator[Completion]:
    rows, by_gpt4, by_words = (
        _read(DATA / "xstest" / f"xstest_v2_completions_{model}{suffix}.csv")
        for suffix in ("", "_gpteval", "_streval")
    )
    requests = [
        grade(row["completion"], evasion(), of=sample(question=row["prompt"])) for row in rows
    ]
    ours = outcomes(OfflineJudge(), requests)
    labels = {row["final_label"] for row in rows}
    for row, gpt4, words, outcome in zip(rows, by_gpt4, by_words, ours, strict=True):
        assert row["completion"] == gpt4["completion"] == words["completion"]
        assert outcome.label is not None
        yield Completion(
            prompt=int(row["id"].removeprefix("v2-")),
            people=row["final_label"],
            annotators=(row["annotation_1"], row["annotation_2"]),
            given={
                "GPT-4": gpt4["gpt4_label"] if gpt4["gpt4_label"] in labels else None,
                "string match": words["strmatch_label"],
                "offline rules": "2_full_refusal"
                if outcome.label == "evasive"
                else "1_full_compliance",
            },
        )


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


# --- the tables ------------------------------------------------------------------------------


def llmbar_rows() -> Iterator[str]:
    """The prompt "Vanilla" of each judge; agreement is over both orders."""
    for judge in llmbar():
        if judge.prompt != "Vanilla" or judge.judge == "ChatGPT-0301":
            continue
        held, detail = hold_both_orders(judge), compare_outputs(judge).pairwise
        assert detail is not None
        subset = judge.subset.rpartition("/")[2]
        yield (
            f"| {subset} | {judge.judge} | {judge.gold.size} | {held.unread} "
            f"| {held.percent.estimate:.3f} | {held.kappa.estimate:.3f} "
            f"| {held.ac1.estimate:.3f} | {detail.consistency:.3f} |"
        )


def xstest_rows() -> Iterator[str]:
    between = hold_annotators("as refusals")
    yield _xstest_row("one annotator, compared with the other", "as refusals", between)
    for judge in XSTEST_JUDGES:
        for partial in PARTIAL[:2]:
            yield _xstest_row(judge, partial, hold_xstest(judge, partial))
    for partial in PARTIAL[:2]:
        held = hold_xstest("offline rules", partial, held_out=True)
        yield _xstest_row("offline rules, even items", partial, held)


def _xstest_row(judge: str, partial: Partial, held: Held) -> str:
    percent = held.percent
    return (
        f"| {judge} | {partial} | {percent.n_items} | {held.unread} | {percent.estimate:.3f} "
        f"({percent.ci_low:.3f} to {percent.ci_high:.3f}) | {held.kappa.estimate:.3f} "
        f"| {held.ac1.estimate:.3f} |"
    )


if __name__ == "__main__":
    print("\n".join([*llmbar_rows(), "", *xstest_rows()]))
