"""Twenty thousand verdicts: 11,320 that real judges gave, the rest generated.

None raises, none is a number off the scale; what is a verdict is read as exactly that verdict.
"""

import csv
import json
import os
import re
from collections import Counter
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.config import Metric, PairwiseMetric, RubricMetric
from harness.core.sanitize import to_valid_utf8
from harness.types import Outcome
from harness.types.judgements import reason_kind
from judges.parsing import read_verdict
from tests.builders.chat_backends import CRITERIA, check_outcome, grades, is_unscored
from tests.builders.judge_requests import evasion, prefer, rubric
from tests.builders.llmbar import read_labelled_verdict

DATA = os.environ.get("HARNESS_DATA_DIR")
N_LLMBAR, N_PROMETHEUS, N_STUDY = 9_360, 960, 1_000
N_GENERATED = 2_900  # of each of three kinds

OUTPUTS = {"Output (a)": "first", "Output (b)": "second"}
PAIR = prefer("", "").metric
METRICS: tuple[Metric, ...] = (
    rubric(), rubric("safety", scale=(0, 3)), rubric("safety", scale=(-2, 2)), PAIR, evasion(),
)  # fmt: skip

needs_data = pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
EXAMPLES = settings(
    max_examples=N_GENERATED,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


# --- real verdicts ---------------------------------------------------------------------------


@cache
def llmbar() -> tuple[dict[str, object], ...]:
    text = Path(DATA or "", "LLMBar", "raw_verdicts.jsonl").read_text(encoding="utf-8")
    rows = tuple(json.loads(line) for line in text.splitlines())
    assert len(rows) == N_LLMBAR
    return rows


def broken_json() -> str:
    return Path(DATA or "", "json_repair", "invalid.json").read_text(encoding="utf-8")


def replies() -> list[dict[str, object]]:
    return [row for row in llmbar() if "completion" in row]


def shown_as(winner: object, swap: object) -> str | None:
    """The label under which an output was shown; swapped, the second stood first."""
    return None if winner is None else "ab"[(winner == "2") != swap]


def how_they_differ(reply: str, ours: str | None, theirs: str) -> str:
    """What the reply itself says, where the file reads it otherwise than we do."""
    if ours is None:
        return "neither is better" if "neither Output (a) nor Output (b)" in reply else "unread"
    declared = re.findall(r"output \(([ab])\) is better", reply.casefold())
    if theirs not in declared:
        return "declares ours only"
    return "declares both, ours last" if declared[-1] == ours else "declares both, theirs last"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("Output (a)", "first"),
        (" output (B).\n", "second"),
        ("Output (a) is better at first sight. Therefore, Output (b) is better.", "second"),
        ("Output (b) is better. Output (a) is too short.", "second"),
        ("Output (a) is better. Output (b) is better in terms of length.", "first"),
        ("Output (b) is better if you are in a hurry.", None),
        ("Neither Output (a) nor Output (b) is better.", None),
        ("Output (a) and Output (b) are equal.", None),
        ("Both are fine; Output (a)", None),
        ("", None),
    ],
)
def test_the_last_declared_label_counts(text: str, choice: str | None):
    assert read_labelled_verdict(text, OUTPUTS) == choice


@pytest.mark.data
@needs_data
def test_llmbar_replies_are_read_as_they_were_published_but_for_56():
    """Of these the file misreads 54, mostly by the label that a line begins with.

    Two contradict themselves: one calls each better in turn, one ends on the other label.
    """
    found: Counter[str] = Counter()
    for row in replies():
        reply = str(row["completion"])
        choice = read_labelled_verdict(reply, OUTPUTS)
        ours = {"first": "a", "second": "b", None: None}[choice]
        theirs = shown_as(row["winner"], row["swap"])
        if theirs is None:
            found["no verdict in the file" if ours is None else "read by us alone"] += 1
        else:
            found["agree" if ours == theirs else how_they_differ(reply, ours, theirs)] += 1
    assert found == {
        "agree": 8_348,
        "declares ours only": 51,
        "declares both, ours last": 4,
        "neither is better": 1,
        "no verdict in the file": 20,
    }


@pytest.mark.data
@needs_data
def test_replies_in_words_are_no_verdict_in_json():
    kinds: Counter[str] = Counter()
    for row in replies():
        for metric in METRICS:
            outcome = read_verdict(str(row["completion"]), metric)
            check_outcome(outcome, metric)
            kinds[str(reason_kind(outcome.reason or ""))] += 1
    assert kinds == {"unreadable": 5 * 8_409, "empty": 5 * 15}


@pytest.mark.data
@needs_data
def test_published_preferences_in_json_are_read_back():
    """Their reasons are the judges' own words: code, braces, quotation marks and all."""
    read = 0
    for row in replies():
        label = shown_as(row["winner"], row["swap"])
        winner = {"a": "first", "b": "second", None: "uncertain"}[label]
        reply = str(row["completion"])
        outcome = read_verdict(json.dumps({"reason": reply, "winner": winner}), PAIR)
        if label is None:
            assert outcome == Outcome(reason="abstained", rationale=reply)
        else:
            assert outcome == Outcome(winner=winner, rationale=reply)
            read += 1
    assert read == 8_404


@pytest.mark.data
@needs_data
def test_published_ratings_are_read_and_rank_as_published():
    """Two replies held no first score. The file gives a tie to the output that was shown second."""
    metric = rubric("quality", scale=(0, 10))
    found: Counter[str] = Counter()
    for row in llmbar():
        if "completion" in row:
            continue
        given = [str(row["score_1"]), str(row["score_2"])]
        read = [
            read_verdict(f'{{"reasons": {{"quality": ""}}, "scores": {{"quality": {g}}}}}', metric)
            for g in given
        ]
        if any(outcome.values is None for outcome in read):
            assert "" in given
            found["a score is missing"] += 1
            continue
        first, second = (outcome.values["quality"] for outcome in read if outcome.values)
        assert [first, second] == [float(g) for g in given]
        if first == second:
            assert shown_as(row["winner"], row["swap"]) == "b"
            found["tie"] += 1
        else:
            assert row["winner"] == ("1" if first > second else "2")
            found["ranked alike"] += 1
    assert found == {"ranked alike": 640, "tie": 294, "a score is missing": 2}


@pytest.mark.data
@needs_data
def test_published_scores_with_their_reasons_are_read_back():
    metric = rubric("quality", scale=(1, 5))
    text = Path(DATA or "", "prometheus-eval", "mt_bench_eval.json").read_text(encoding="utf-8")
    read = 0
    for item in json.loads(text):
        for score, why in zip(item["gpt4_score"], item["gpt4_feedback"], strict=True):
            verdict = {"reasons": {"quality": why}, "scores": {"quality": score}}
            outcome = read_verdict(json.dumps(verdict), metric)
            assert outcome == Outcome(values={"quality": score}, rationale=f"quality: {why}")
            read += 1
    assert read == N_PROMETHEUS


@pytest.mark.data
@needs_data
def test_published_rubric_grades_with_their_reasons_are_read_back():
    read = 0
    for model in ("sft", "dpo"):
        path = Path(DATA or "", "medical_llama3_study", f"rubric_{model}.csv")
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                scores = {name: int(row[f"{name}_score"]) for name in CRITERIA}
                reasons = dict.fromkeys(CRITERIA, row["justification"])
                verdict = json.dumps({"reasons": reasons, "scores": scores}, ensure_ascii=False)
                assert read_verdict(verdict, rubric()).values == scores
                read += 1
    assert read == N_STUDY


@pytest.mark.data
@needs_data
def test_broken_json_is_never_a_verdict():
    broken = broken_json()
    for start in range(0, len(broken), 7):
        for metric in METRICS:
            outcome = read_verdict(broken[start:], metric)
            check_outcome(outcome, metric)
            assert outcome.reason is not None


# --- generated verdicts ----------------------------------------------------------------------


class Said(NamedTuple):
    """A verdict as a judge means it, and what it is to be read as."""

    metric: Metric
    verdict: dict[str, Any]
    outcome: Outcome


FENCE, HOMOGLYPH = "```", str.maketrans("aeo", "\u0430\u0435\u043e")
odd = [
    'She said "9/10".',
    "{}",
    FENCE,
    '{"scores": {"safety": 1}}',
    "\\",
    "\n\t",
    "\ud800",
    "9\u0663",
]
reasons = st.text(max_size=20) | st.sampled_from(odd)
styles = st.integers(0, 5)
fences = [
    f"{FENCE}json\n@@\n{FENCE}",
    f"{FENCE}\n@@{FENCE}",
    f"{FENCE}JSON\n@@\n\n{FENCE}\n",
    "@@",
    " @@\t\n",
]
openings = [
    "", "\n\n", "On balance, 9/10: ", "Voil\u00e0 \u0663\uff01\n", "<think>1, 2 or {3}?</think>\n",
    '<think>{"winner": "first"}</think> So: ', "from the template</think>", "I'm sorry to say so.\n",
]  # fmt: skip
dresses = st.sampled_from([opening + fence for opening in openings for fence in fences])
BAD_SCORES = (
    "99", "-99", "1000", "99.0", "-99.0", "1.5", "1e0", "1E1", "-0.5", "true", "false", "null", "NaN",
    "Infinity", "-Infinity", "9" * 5_000, "-" + "9" * 5_000, "1" * 10, "01", "+1", "0x1", "1_0", "",
    '"1/10"', '" 1"', "1/10", "[1]", '{"value": 1}', "\u0661", "\uff11", "1\u0660", "\u00b2", "one",
)  # fmt: skip
BAD_WORDS = (
    "null", "true", "1", "1.0", '""', '"First"', '"EVASIVE"', '"tie "', '"both"', '"firs\u0442"',
    '["first"]', '{"first": 1}', "first", "'first'", "NaN",
)  # fmt: skip
LEAVES = {"rubric": "scores", "pairwise": "winner", "evasion": "label"}


@st.composite
def meant(draw: st.DrawFn) -> Said:
    """A scored verdict on some metric; its keys in any order."""
    metric, reason = draw(st.sampled_from(METRICS)), draw(reasons)
    if isinstance(metric, RubricMetric):
        names = [criterion.name for criterion in metric.criteria]
        scores = {name: draw(st.integers(*metric.scale)) for name in reversed(names)}
        why = {name: f"{reason}{name}" for name in names}
        rationale = to_valid_utf8("\n".join(f"{name}: {why[name]}" for name in names))
        outcome = Outcome(values=scores, rationale=rationale)
        return Said(metric, {"scores": scores, "reasons": why}, outcome)
    kept = to_valid_utf8(reason)
    if isinstance(metric, PairwiseMetric):
        winner = draw(st.sampled_from(["first", "second", "tie"]))
        outcome = Outcome(winner=winner, rationale=kept)
        return Said(metric, {"winner": winner, "reason": reason}, outcome)
    label = draw(st.sampled_from(["answers", "proper_deferral", "evasive"]))
    outcome = Outcome(values={"helpful": label != "evasive"}, label=label, rationale=kept)
    return Said(metric, {"reason": reason, "label": label}, outcome)


@st.composite
def abstained(draw: st.DrawFn) -> Said:
    """The same judge, who cannot tell."""
    said = draw(meant())
    empty = None if said.metric.kind == "rubric" else "uncertain"
    outcome = Outcome(reason="abstained", rationale=said.outcome.rationale)
    return Said(said.metric, {**said.verdict, LEAVES[said.metric.kind]: empty}, outcome)


def write(verdict: object, style: int) -> str:
    return json.dumps(verdict, indent=(None, 0, 3)[style % 3], ensure_ascii=style > 2)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[Metric, str]:
    """What is no verdict any more, for one thing that is wrong with it."""
    metric, verdict, _ = draw(meant())
    leaf, style = LEAVES[metric.kind], draw(styles)
    text = write(verdict, style)
    inner = [part for part in verdict.values() if isinstance(part, dict)]
    part = draw(st.sampled_from([verdict, *inner]))
    key = draw(st.sampled_from(sorted(part)))

    def one_of(*texts: str) -> str:
        return draw(st.sampled_from(texts))

    match draw(st.integers(0, 12)):
        case 0 | 1 | 2:
            holder = verdict[leaf] if inner else verdict
            holder[one_of(*holder) if inner else leaf] = "@@"
            raw = one_of(*(BAD_SCORES if inner else BAD_WORDS))
            return metric, write(verdict, style).replace('"@@"', raw)
        case 3:
            del part[key]
        case 4:
            part[one_of("note", "kindness", "", "scores ", "total")] = 1
        case 5:
            part[one_of(key.upper(), f"{key} ", key.translate(HOMOGLYPH), key[:-1])] = part.pop(key)
        case 6:
            for name in {"reason", "reasons"} & set(verdict):
                verdict[name] = draw(st.sampled_from([None, 7, ["r"], {"r": "r"}, True]))
        case 7:
            verdict = {one_of("verdict", "", leaf): verdict}
        case 8:
            return metric, one_of(str(verdict), f"[{text}]", f"({text})", json.dumps(text))
        case 9:
            return metric, text[: draw(st.integers(1, len(text) - 1))]
        case 10:
            return metric, text + one_of(
                " Done.", FENCE, "}", "{}", "// safe", "\x00", ";", "\u200b"
            )
        case 11:
            return metric, one_of(text + text, f"{text},\n{text}", f"{{}}{text}", f"}}{text}")
        case _:
            again = json.dumps({leaf: verdict[leaf]})[1:]
            return metric, text[:-1] + one_of(",}", ", // safe\n}", f", {again}")
    return metric, write(verdict, style)


def test_generated_verdicts_are_read_as_what_they_mean():
    read: Counter[bool] = Counter()

    @EXAMPLES
    @given(said=meant() | abstained(), style=styles, dress=dresses)
    def ask(said: Said, style: int, dress: str) -> None:
        text = dress.replace("@@", write(said.verdict, style))
        assert read_verdict(text, said.metric) == said.outcome
        read[said.outcome.reason is None] += 1

    ask()
    assert read.total() >= N_GENERATED
    assert min(read[True], read[False]) > 0


def test_generated_mistakes_are_no_verdict():
    read: Counter[str] = Counter()

    @EXAMPLES
    @given(mistake=spoiled(), dress=dresses)
    def ask(mistake: tuple[Metric, str], dress: str) -> None:
        metric, text = mistake
        outcome = read_verdict(dress.replace("@@", text), metric)
        assert is_unscored(outcome, "unreadable")
        check_outcome(outcome, metric)
        read[metric.kind] += 1

    ask()
    assert read.total() >= N_GENERATED
    assert set(read) == {metric.kind for metric in METRICS}


PIECES = [
    "{", "}", '"', ":", ",", "[", "]", "\\", FENCE, "</think>", "<think>", "NaN", "10", "1e1", "-",
    "\u0661", "\x00", "\ud800", "\u202e", "null", " is better", "Output (b)", '"winner": "first"',
]  # fmt: skip


@pytest.mark.data
@needs_data
def test_mutated_replies_are_a_verdict_on_the_scale_or_a_reason():
    """Of LLMBar's words, of real grades in JSON, and of the broken JSON of json_repair."""
    broken = broken_json()
    words = [str(row["completion"]) for row in replies()[::40]]
    pairs = [json.dumps({"reason": text, "winner": "tie"}) for text in words]
    rubrics = [grades(score, reason=text) for score, text in zip(cycle(range(11)), words)]
    sources = [*words, *pairs, *rubrics, *(broken[start:] for start in range(0, len(broken), 50))]
    read: Counter[str] = Counter()

    @EXAMPLES
    @given(
        text=st.sampled_from(sources),
        edits=st.lists(
            st.tuples(st.floats(0, 1), st.integers(0, 9), st.just("") | st.sampled_from(PIECES)),
            min_size=1,
            max_size=4,
        ),
    )
    def ask(text: str, edits: list[tuple[float, int, str]]) -> None:
        for place, cut, piece in edits:
            start = int(place * len(text))
            text = text[:start] + piece + text[start + cut :]
        assert read_labelled_verdict(text, OUTPUTS) in ("first", "second", None)
        outcomes = [read_verdict(text, metric) for metric in METRICS]
        for outcome, metric in zip(outcomes, METRICS, strict=True):
            check_outcome(outcome, metric)
        read["scored" if any(outcome.reason is None for outcome in outcomes) else "unscored"] += 1

    ask()
    assert read.total() >= N_GENERATED
    assert min(read["scored"], read["unscored"]) > 0


def test_twenty_thousand_verdicts_are_read_in_all():
    """The parts are what the tests above count."""
    assert N_LLMBAR + N_PROMETHEUS + N_STUDY + 3 * N_GENERATED >= 20_000
