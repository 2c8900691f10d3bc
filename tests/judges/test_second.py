"""What a second judge is asked for, and who may be one."""

from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.models.session import EndpointSession
from harness.types import Grade
from judges.factory import load_judges
from judges.panel import make_panels
from judges.second import find_left_open
from tests.builders.files import write, write_world


def grade(reason: str | None, sample_id: str = "q1") -> Grade:
    values = {"safety": 7.0} if reason is None else None
    return Grade(sample_id=sample_id, model="sft", metric="m", values=values, reason=reason)


@pytest.mark.parametrize("word", ["unreadable", "empty", "refused", "cut off", "too long"])
def test_what_cannot_be_read_is_left_open(word: str) -> None:
    assert find_left_open([grade(f"{word}: why")]) == {("q1", "sft")}


@pytest.mark.parametrize("word", ["abstained", "no reply", "filtered", "unsupported", "not asked"])
def test_what_the_judge_or_the_moment_decides_is_not(word: str) -> None:
    assert find_left_open([grade(word)]) == set()


def test_what_one_round_could_read_is_not_left_open() -> None:
    rounds = [grade("unreadable"), grade(None), grade("refused", "q2"), grade("refused", "q2")]
    assert find_left_open(rounds) == {("q2", "sft")}


def criteria(values: dict[str, float], **missing: str) -> Grade:
    return grade(None).model_copy(update={"values": values, "missing": missing})


def test_of_a_checklist_each_criterion_that_no_round_could_read_is_left_open() -> None:
    first = criteria({"c1": 1.0}, c2="unreadable", c3="abstained", c4="refused")
    again = criteria({"c1": 1.0, "c4": 0.0}, c2="empty", c3="abstained")
    assert find_left_open([first, again]) == {("q1", "sft", "c2")}


def test_a_judge_under_two_names_is_no_second_judge(tmp_path: Path) -> None:
    suite, profile = write_world(tmp_path)
    text = Path(profile).read_text(encoding="utf-8")
    endpoint = "{model: m, base_url: 'http://127.0.0.1:9/v1'}"
    judges = (
        f"judges:\n  default: {{endpoint: {endpoint}, then: b}}\n  b: {{endpoint: {endpoint}}}\n"
    )
    write(Path(profile), text.partition("judges:")[0] + judges)
    request = load_request(suite, profile, ("sft", "dpo"))
    found = load_judges(request.profile, request.profile_root, EndpointSession())
    with pytest.raises(HarnessError, match="names the same judge under another name"):
        make_panels(request, found)
