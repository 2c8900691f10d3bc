"""The kinds of claims with their facts: boundary, direction, and wording, one row each.

Everything that differs by kind is read from this table: the test (harness/gate/claim_tests.py), the
verdict, the least number of items, the forecast, the sensitivity analysis and the reports.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

ClaimName = Literal["superior", "non_inferior", "equivalent", "at_least", "regression_alarm"]


class Reasons(NamedTuple):
    """The reason for each verdict on a claim, in words."""

    passed: str
    failed: str
    inconclusive: str

    def of(self, verdict: Literal["pass", "fail", "inconclusive"]) -> str:
        match verdict:
            case "pass":
                return self.passed
            case "fail":
                return self.failed
            case "inconclusive":
                return self.inconclusive


BY_LOWER_BOUND = Reasons(
    passed="the lower bound lies above the boundary",
    failed="the upper bound lies below the boundary",
    inconclusive="the boundary lies between the two bounds",
)


@dataclass(frozen=True, kw_only=True)
class ClaimKind:
    """The facts of one kind of claim.

    The boundary of a claim on a difference is the null value plus `margin_sign` times the margin;
    the claim holds if the lower confidence bound exceeds it. A `two_sided` claim has a second
    boundary at the null value plus the margin, and its upper bound must be below that as well. The
    boundary of a claim on the candidate's own mean (`own_mean`) is the stated `value`.

    Attributes:
        words: The kind in words, in plans and reports.
        amount: The margin or value behind the words; left out where the margin is 0.
        own_mean: Whether the claim is about the candidate's mean against a `value`, and not about
            the difference to the baseline with a `margin`.
        margin_sign: 1 or -1; not used with `own_mean`.
        margin_needed: The meaning of the margin, where one above 0 must be stated; otherwise empty.
        two_sided: Whether the mean must be between two boundaries.
        alarm: Whether the claim only guards: shown to be false it fails the gate, and shown to be
            true it supports no pass.
        assumes_no_difference: Whether its forecast assumes equal models. Otherwise the assumed
            truth is a small effect beyond the boundary: above it, or below it for an alarm.
        easier_with: The change, apart from more items, that makes the claim easier to decide.
        reasons: Why the claim passed, failed or is inconclusive.
        gate_note: What a reader of the gate's rule must know about the kind; often empty.
        mark: The label of the boundary in charts, with the boundary as `{exact}` or `{rounded}`.
    """

    words: str
    amount: str
    own_mean: bool = False
    margin_sign: Literal[1, -1] = 1
    margin_needed: str = ""
    two_sided: bool = False
    alarm: bool = False
    assumes_no_difference: bool = False
    easier_with: str
    reasons: Reasons = BY_LOWER_BOUND
    gate_note: str = ""
    mark: str


CLAIM_KINDS: dict[ClaimName, ClaimKind] = {
    "superior": ClaimKind(
        words="superior",
        amount=" by {:g}",
        easier_with="a smaller margin",
        mark="must exceed {exact}",
    ),
    "non_inferior": ClaimKind(
        words="non-inferior",
        amount=" (margin {:g})",
        margin_sign=-1,
        margin_needed="how much worse is still acceptable",
        assumes_no_difference=True,
        easier_with="a wider margin",
        mark="must stay above {rounded}",
    ),
    "equivalent": ClaimKind(
        words="equivalent",
        amount=" (within ±{:g})",
        margin_sign=-1,
        margin_needed="how far apart still counts as the same",
        two_sided=True,
        assumes_no_difference=True,
        easier_with="a wider margin",
        reasons=Reasons(
            passed="both bounds lie within the margins",
            failed="both bounds lie beyond one of the margins, even at half the error",
            inconclusive="the bounds do not lie on one side of the margins",
        ),
        gate_note="An equivalence claim takes two such tests, one for each margin.",
        mark="must stay above {rounded}",
    ),
    "at_least": ClaimKind(
        words="at least",
        amount=" {:g}",
        own_mean=True,
        easier_with="a lower value",
        mark="must exceed {exact}",
    ),
    "regression_alarm": ClaimKind(
        words="regression alarm",
        amount=" (beyond {:g})",
        margin_sign=-1,
        alarm=True,
        easier_with="a smaller margin",
        reasons=Reasons(
            passed="the alarm is cleared: the lower bound lies above the boundary",
            failed="the alarm is raised: the upper bound lies below the boundary, so harm is shown",
            inconclusive="the alarm is silent: such harm is neither shown nor ruled out",
        ),
        gate_note="A regression alarm that is raised fails the gate; one that is not raised does not "
        "show that there is no regression.",
        mark="alarm below {rounded}",
    ),
}
