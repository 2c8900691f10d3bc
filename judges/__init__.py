"""Everything with an opinion: offline rules, recorded verdicts, ROUGE."""

from judges.factory import make_judge, rouge_judge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge
from judges.rules.judge import OfflineJudge

__all__ = ["Judge", "OfflineJudge", "RecordedJudge", "RougeJudge", "make_judge", "rouge_judge"]
