"""Stored verdicts and baselines are found by the fingerprint of the rules: it is pinned here."""

import hashlib
import json
from pathlib import Path

import pytest

from judges import OfflineJudge
from judges.rules import judge as offline
from judges.rules import phrases
from tests.builders.judge_requests import evasion, grade, outcome, sample

ROWS = Path(__file__).parents[2] / "suites" / "data" / "consumer_health.jsonl"
PINNED = "9f97baf485ff19e47aab7c7fb5955a44cc630ac3d2e1c7ee49f10bb0d17fc3c8"
VERDICTS = "052d86060e6c5301a87256a3e0ac8b1affcb069dc14ffeebe3a2da8eb566781c"  # of the rules of that version, on the questions that come along


@pytest.fixture(autouse=True)
def _fresh_fingerprint():
    offline._fingerprint.cache_clear()
    yield
    offline._fingerprint.cache_clear()


def test_fingerprint_is_that_of_the_first_release_however_the_source_is_written():
    assert OfflineJudge().card.fingerprint == PINNED


def test_another_word_list_is_another_judge(monkeypatch):
    monkeypatch.setattr(phrases, "FUNCTION_WORDS", frozenset({"the"}))
    assert OfflineJudge().card.fingerprint != PINNED


def test_verdicts_are_those_of_the_pinned_version():
    """Where this fails the rules give something else: they need another `RULES_VERSION`."""
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    answers = [row["answer"] for row in rows]
    shifted = [*answers[1:], answers[0]]
    digest = hashlib.sha256()
    for row, own, other in zip(rows, answers, shifted, strict=True):
        item = sample(question=row["question"], reference=own)
        for request in (
            grade(own, of=item),
            grade(f"I cannot advise you. {other}", of=item),
            grade(other, metric=evasion(), of=item),
        ):
            digest.update(json.dumps(outcome(OfflineJudge(), request).values).encode())
    assert digest.hexdigest() == VERDICTS
