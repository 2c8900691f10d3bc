"""How far several judges agree."""

from harness.types.estimates import Interval
from harness.types.record import Record


class JudgeAgreement(Record):
    """How far the members of a jury gave the same items the same verdicts.

    `column` is a column of the metric, `n` the verdicts that at least two members gave. `percent`
    is the share of exactly equal verdicts among pairs of members, `alpha` Krippendorff's (ordinal
    for scores, nominal for labels), `ac1` Gwet's (with quadratic weights for scores, where it is
    also called AC2), `kappa` Cohen's (likewise), for two judges only. None means not estimable.
    """

    column: str
    judges: tuple[str, ...]
    n: int
    percent: Interval | None
    alpha: Interval | None
    ac1: Interval | None
    kappa: Interval | None
