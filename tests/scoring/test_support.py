import math

import pytest

from harness.config import GroundedMetric
from harness.scoring.support import score_support
from harness.types import Grade, Response

METRIC = GroundedMetric(kind="grounded")
ANSWER = "Rest helps most people. Ice helps some people. Heat helps few people."


def score(text: str | None, **grade: object) -> tuple[tuple[float, ...], str | None]:
    response = Response(sample_id="q", model="m", text=text, finish="stop")
    made = Grade.model_validate({"sample_id": "q", "model": "m", "metric": "g", **grade})
    found, reason = score_support(METRIC, response, made)
    return tuple(found), reason


def test_a_score_is_the_share_of_supported_statements() -> None:
    found, reason = score(ANSWER, values={"c1": 1.0, "c2": 0.0, "c3": 1.0})
    assert found == pytest.approx((2 / 3,) * 3)
    assert reason is None


def test_statements_without_a_verdict_leave_limits() -> None:
    (value, least, greatest), reason = score(ANSWER, values={"c1": 1.0, "c3": 1.0})
    assert math.isnan(value)
    assert (least, greatest) == pytest.approx((2 / 3, 1))
    assert reason == "no verdict on 1 of 3 parts"


def test_an_answer_without_statements_has_no_score_and_a_missing_answer_the_worst() -> None:
    (value, *limits), reason = score("Yes.", values=None, reason="nothing said: …")
    assert (math.isnan(value), limits, reason) == (True, [0, 1], "nothing said: …")
    assert score(None, values=None)[0] == (0, 0, 0)
