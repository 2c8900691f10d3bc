"""Everything with an opinion: offline rules, recorded verdicts, ROUGE."""

from judges.make import make_judge, rouge_judge
from judges.offline import OfflineJudge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge

__all__ = ["Judge", "OfflineJudge", "RecordedJudge", "RougeJudge", "make_judge", "rouge_judge"]
