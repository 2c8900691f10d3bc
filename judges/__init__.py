"""Judges: rules, language models, recorded verdicts, people and computed metrics, behind one protocol."""

from judges.factory import make_computed_judge, make_judge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge
from judges.rules.judge import OfflineJudge

__all__ = [
    "Judge",
    "OfflineJudge",
    "RecordedJudge",
    "RougeJudge",
    "make_computed_judge",
    "make_judge",
]
