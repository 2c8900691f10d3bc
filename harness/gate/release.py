"""The verdict over several suites: each required one must pass, and nothing watched may be worse.

Each is tested at its own alpha. A release that should fail in any one of them passes only if that one
passes wrongly, which has probability at most that alpha: the intersection-union test (Berger 1982,
"Multiparameter hypothesis testing and acceptance sampling", Technometrics 24:295). So alpha is not
divided, however the suites depend on each other.
"""

from collections.abc import Iterator, Sequence

from harness.types.base import Verdict
from harness.types.release import ReleaseLine


def decide_release(lines: Sequence[ReleaseLine]) -> tuple[Verdict, str]:
    """Return the verdict over all suites and its sentence, which names what stands in the way.

    A suite without a result leaves no pass, whatever its role.
    """
    deciding = [line for line in lines if line.role != "shown"]
    reasons = "; ".join(_reasons(lines))
    if any(line.verdict == "fail" for line in deciding):
        return "fail", f"No release: {reasons}."
    if reasons:
        return "inconclusive", f"Not decided: {reasons}."
    n_watched = sum(line.role == "watched" for line in lines)
    watched = f", and nothing watched is worse than its baseline ({n_watched})" if n_watched else ""
    return "pass", f"Every required suite passes ({len(deciding) - n_watched}){watched}."


def level_of_release(lines: Sequence[ReleaseLine]) -> float | None:
    """Return the largest level of what decides, which bounds the error of a pass; None without any."""
    return max((line.alpha for line in lines if line.alpha and line.role != "shown"), default=None)


_WORDS = {
    ("required", "fail"): "fails",
    ("required", "inconclusive"): "is inconclusive",
    ("watched", "fail"): "is worse than its baseline",
    ("watched", "inconclusive"): "is not shown to be as good as its baseline",
}


def _reasons(lines: Sequence[ReleaseLine]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            yield f"{line.name} ({line.role}) has no result"
        elif line.verdict and (line.role, line.verdict) in _WORDS:
            yield f"{line.name} ({line.role}) {_WORDS[line.role, line.verdict]}"
