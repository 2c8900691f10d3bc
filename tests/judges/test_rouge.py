import json
import os
import time
from pathlib import Path
from statistics import fmean

import pytest

from harness.config import RougeMetric, Source
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from harness.types import Outcome
from judges import RougeJudge
from judges.rouge import Tokenizer
from tests.builders.judge_requests import GOOD, grade, outcome, outcomes, prefer, rouge, sample

DATA = os.environ.get("HARNESS_DATA_DIR")
GOLDEN = Path(__file__).parents[1] / "golden" / "rouge.json"
PARTS = ("precision", "recall", "f1")


def overlap(reference: str | None, answer: str, *, stemmer: bool = True) -> Outcome:
    return outcome(
        RougeJudge(), grade(answer, rouge(stemmer=stemmer), of=sample(reference=reference))
    )


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text())["cases"])
def test_values_are_those_of_rouge_score(case: dict):
    values = overlap(case["target"], case["prediction"], stemmer=case["stemmer"]).values
    for variant in ("rouge1", "rouge2", "rougeL"):
        expected = dict(zip(PARTS, case["scores"][variant], strict=True))
        assert {part: values[f"{variant}_{part}"] for part in PARTS} == pytest.approx(
            expected, abs=1e-12
        )


@pytest.mark.parametrize("stemmer", [True, False])
@pytest.mark.parametrize(
    "text",
    [GOOD, "don't under_score 3.5mg/day e-mail", "DIES died dying sky", "Sjögren's café", "", "…"],
)
def test_latin_text_is_cut_as_rouge_score_cuts_it(text: str, stemmer: bool):
    from rouge_score.tokenizers import DefaultTokenizer

    assert Tokenizer(stemmer).tokenize(text) == DefaultTokenizer(stemmer).tokenize(text)


@pytest.mark.parametrize(
    "text", ["孩子晚上咳嗽怎么办", "ребёнок кашляет ночью", "طفلي يسعل ليلا", "το παιδί μου βήχει"]
)
def test_identical_text_in_any_script_scores_one(text: str):
    values = overlap(text, text).values
    assert values is not None
    assert set(values.values()) == {1.0}


def test_chinese_is_compared_by_character():
    values = overlap("晚上咳嗽", "早上咳嗽").values
    assert values is not None
    assert values["rouge1_f1"] == 0.75


def test_composed_and_decomposed_letters_are_equal():
    values = overlap("\u0439\u043e\u0434", "\u0438\u0306\u043e\u0434").values
    assert values is not None
    assert values["rouge1_f1"] == 1.0


@pytest.mark.parametrize(
    ("reference", "answer", "f1"),
    [("किताब", "कतब", 0.0), ("كِتَابٌ", "كتاب", 1.0), ("ﬁne", "fine", 1.0), ("ผิว", "ผัว", 0.5)],
)
def test_words_are_compared_with_their_marks(reference: str, answer: str, f1: float):
    values = overlap(reference, answer).values
    assert values is not None
    assert values["rouge1_f1"] == f1


def test_several_references_count_by_the_best():
    several = sample(reference="Any one of these:\n1. rest\n2. drink water").model_copy(
        update={"references": ("rest", "drink water")}
    )
    values = outcome(RougeJudge(), grade("drink water", rouge(), of=several)).values
    assert values is not None
    assert values["rouge1_f1"] == 1.0


def test_empty_answer_scores_zero():
    assert set((overlap(GOOD, "").values or {"": 1.0}).values()) == {0.0}


@pytest.mark.parametrize("reference", [None, "", " \n", "?!"])
def test_empty_reference_leaves_the_item_unscored(reference: str | None):
    assert overlap(reference, GOOD) == Outcome(reason="the item has no reference to compare with")


def test_only_the_asked_variants_are_computed():
    metric = RougeMetric(kind="rouge", variants=("rougeL",))
    values = outcome(RougeJudge(), grade(GOOD, metric)).values
    assert set(values or {}) == {"rougeL_precision", "rougeL_recall", "rougeL_f1"}


def test_long_texts_are_compared_by_their_first_words():
    started = time.monotonic()
    given = overlap("cough night " * 100_000, "night cough " * 100_000)
    assert time.monotonic() - started < 20
    assert given.rationale == "only the first 2,000 words were compared of: reference, answer."


def test_preference_cannot_be_asked_of_rouge():
    assert outcome(RougeJudge(), prefer(GOOD, GOOD)).reason is not None


def test_card_names_the_library():
    assert "rouge-score 0.1.2" in RougeJudge().card.nature


@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set")
@pytest.mark.parametrize(
    ("stemmer", "expected"),
    [(True, (0.200594, 0.076518, 0.156011)), (False, (0.189653, 0.071822, 0.149408))],
)
def test_meqsum_means_are_those_of_rouge_score(stemmer: bool, expected: tuple[float, ...]):
    path = "MeQSum/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx"
    table = load_rows(Source(path=path), Path(DATA or ""))
    samples = make_samples(table, {"input": "CHQ", "reference": "Summary"}, None)
    requests = [grade(each.input, rouge(stemmer=stemmer), of=each) for each in samples]
    values = [given.values or {} for given in outcomes(RougeJudge(), requests)]
    means = [fmean(v[f"{variant}_f1"] for v in values) for variant in rouge().variants]
    assert means == pytest.approx(expected, abs=5e-7)
