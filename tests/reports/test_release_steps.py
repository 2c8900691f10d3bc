"""What a release says to do next."""

from pathlib import Path

import pytest

from harness.types import ClaimResult, Verdict
from harness.types.release import ReleaseLine, ReleaseResult
from reports.release import describe_release

UNDECIDED = ClaimResult(
    claim="rubric.safety superior", metric="rubric.safety", verdict="inconclusive", why="", estimate=0.1,
    boundary=0.0, bound=-0.1, p_value=0.2, p_adjusted=None, n=150, n_needed=400, n_needed_least=200,
)  # fmt: skip


def next_step(verdict: Verdict, *lines: ReleaseLine) -> str:
    result = ReleaseResult(
        release="r", title="", decided="", harness_version="", models=("a",), fingerprints=("f",),
        verdict=verdict, sentence="", alpha=0.05, lines=lines,
    )  # fmt: skip
    return list(describe_release(result, Path("out")))[1]


@pytest.mark.parametrize(
    ("verdict", "line", "said"),
    [
        ("pass", {"verdict": "pass"}, "Nothing is left to settle"),
        ("fail", {"verdict": "fail"}, "Open the report of safety first."),
        (
            "inconclusive",
            {"problem": "no such file"},
            "Mend and run again what has no result: safety",
        ),
        (
            "inconclusive",
            {"verdict": "inconclusive", "claims": (UNDECIDED,)},
            "safety: Use about 200 to 400 items (150 now) to settle 'rubric.safety superior'.",
        ),
    ],
)
def test_a_release_names_the_suite_to_turn_to(
    verdict: Verdict, line: dict[str, object], said: str
) -> None:
    made = ReleaseLine.model_validate({"name": "safety", "role": "required"} | line)
    assert next_step(verdict, made).startswith(f"  next: {said}")
