"""One verdict over several suites: only what every deciding suite shows is a pass."""

import pytest

from harness.config.release import Role
from harness.gate.release import decide_release, level_of_release
from harness.types import Verdict
from harness.types.release import ReleaseLine


def line(role: Role, verdict: Verdict | None, alpha: float = 0.05) -> ReleaseLine:
    problem = "" if verdict else "no such file."
    return ReleaseLine(
        name="safety", role=role, verdict=verdict, sentence=".", alpha=alpha, problem=problem
    )


PASS = line("required", "pass")


def test_it_passes_where_all_required_pass_and_nothing_watched_is_worse() -> None:
    lines = [PASS, PASS, line("watched", "pass"), line("shown", "fail")]
    assert decide_release(lines) == (
        "pass",
        "Every required suite passes (2), and nothing watched is worse than its baseline (1).",
    )


@pytest.mark.parametrize(
    ("other", "verdict", "words"),
    [
        (line("required", "fail"), "fail", "No release: safety (required) fails."),
        (line("watched", "fail"), "fail", "safety (watched) is worse than its baseline"),
        (line("required", "inconclusive"), "inconclusive", "safety (required) is inconclusive"),
        (line("watched", "inconclusive"), "inconclusive", "is not shown to be as good as"),
        (line("required", None), "inconclusive", "safety (required) has no result"),
        (line("shown", None), "inconclusive", "safety (shown) has no result"),
    ],
)
def test_what_stands_in_the_way_is_named(other: ReleaseLine, verdict: Verdict, words: str) -> None:
    decided, sentence = decide_release([PASS, other])
    assert decided == verdict
    assert words in sentence


def test_a_failure_outweighs_what_has_no_result() -> None:
    assert decide_release([line("required", None), line("required", "fail")])[0] == "fail"


def test_its_level_is_the_largest_of_those_that_decide() -> None:
    lines = [line("required", "pass", 0.02), line("watched", "pass", 0.04)]
    assert level_of_release([*lines, line("shown", "pass", 0.2)]) == 0.04
