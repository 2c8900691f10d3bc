"""From what a profile says of a judge to the judge itself."""

from pathlib import Path

from harness.suite import JudgeSpec
from judges.offline import OfflineJudge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge


def make_judge(name: str, spec: JudgeSpec, root: Path) -> Judge:
    """The judge that the profile calls `name`; the paths of its files start from `root`.

    Raises:
        HarnessError: recorded verdicts that are missing or cannot be read.
    """
    match spec.recorded:
        case None:
            return OfflineJudge()
        case recorded:
            return RecordedJudge(spec.title or name, recorded, root=root, note=spec.note)


def rouge_judge() -> Judge:
    """The judge of every ROUGE metric; it needs no profile."""
    return RougeJudge()
