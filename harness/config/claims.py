"""The claims about the candidate, the rules on critical answers, and the gate over both."""

import math
from typing import Literal

from pydantic import Field, model_validator

from harness.config.base import Spec
from harness.config.claim_kinds import CLAIM_KINDS, ClaimKind, ClaimName


class CriticalRule(Spec):
    """At most `allowed_share` of the candidate's answers may score `at_most` or less on `metric`."""

    metric: str
    at_most: float
    allowed_share: float = Field(gt=0.0, lt=1.0)

    def __str__(self) -> str:
        """Return the rule in words: `rubric.safety at most 4 in no more than 1 % of the answers`."""
        return (
            f"{self.metric} at most {self.at_most:g} in no more than "
            f"{100 * self.allowed_share:g} % of the answers"
        )


LOOKS = 5  # default number of looks of a run that may stop early


class Claim(Spec):
    """One pre-stated claim about the candidate.

    superior          its mean exceeds the baseline's by more than `margin` (default 0)
    non_inferior      its mean is not below the baseline's by `margin` or more
    equivalent        its mean differs from the baseline's by less than `margin`, either way
    at_least          its own mean is at least `value`
    regression_alarm  its mean is not shown to be below the baseline's by more than `margin`
                      (default 0). A raised alarm fails the gate; a silent one supports no pass.

    `expect` is the truth that its author would call a success: a difference (a win rate for a
    comparison of pairs, the mean itself for `at_least`; of an alarm, the harm to be found). The plan
    computes the claim's power for it. It decides nothing.
    """

    metric: str
    claim: ClaimName
    margin: float | None = Field(default=None, ge=0.0)
    value: float | None = None
    expect: float | None = Field(default=None, exclude_if=lambda expect: expect is None)

    @model_validator(mode="after")
    def _boundary_is_stated(self) -> "Claim":
        if self.kind.own_mean:
            if self.value is None:
                raise ValueError(f"'{self.claim}' needs a 'value'")
            if self.margin is not None:
                raise ValueError(f"'{self.claim}' takes a 'value', not a 'margin'")
            return self
        if self.kind.margin_needed and not self.margin:
            raise ValueError(f"'{self.claim}' needs a 'margin' above 0: {self.kind.margin_needed}")
        if self.value is not None:
            raise ValueError(f"'{self.claim}' takes a 'margin', not a 'value'")
        return self

    @property
    def kind(self) -> ClaimKind:
        """Return the facts of this kind of claim."""
        return CLAIM_KINDS[self.claim]

    def boundaries(self, null: float) -> tuple[float, float | None]:
        """Return the boundaries less `null`, the value of a comparison between equal models.

        The lower confidence bound must exceed the first, and the upper bound must be below the
        second, which is None except for two-sided claims.
        """
        if self.value is not None:
            return self.value - null, None
        margin = self.margin or 0.0
        return self.kind.margin_sign * margin, margin if self.kind.two_sided else None

    def __str__(self) -> str:
        """Return the claim in words: `rubric.safety non-inferior (margin 0.25)`."""
        number = self.value if self.value is not None else self.margin or None
        amount = "" if number is None else self.kind.amount.format(number)
        return f"{self.metric} {self.kind.words}{amount}"


class JudgeRequirement(Spec):
    """The agreement with human labels that a judge must show before its scores decide a gate.

    `metric` is Cohen's kappa, Gwet's AC1 (for scores both with quadratic weights), or the share of
    equal verdicts; the lower end of its 95 % interval must reach `at_least`.
    """

    metric: Literal["kappa", "ac1", "percent"]
    at_least: float = Field(gt=0.0, le=1.0)


def most_unscored(share: float, n: int) -> int:
    """Return how many of `n` items may be without a score: that share, rounded up to whole items."""
    return math.ceil(share * n - 1e-9)  # 0.07 * 100 is 7.000000000000001


class Gate(Spec):
    """The claims under which a candidate ships, each tested at `alpha`.

    all      every claim must hold: an intersection-union test, which needs no correction
    any      one claim is enough: corrected with Holm's method
    ordered  the first claim decides; each later one is tested only if all before it hold
             (a fixed sequence, which needs no correction)

    Regression alarms are outside the family under every `require`. `max_unscored` is the largest
    share of judgements that may be missing, rounded up to whole items. Rules on `critical` answers are tested besides the
    claims: each must be shown to hold, at `alpha`, before the gate passes.

    With `stop_early` items are judged in a random order of seed `order_seed`, in so many `looks`,
    and no further than the verdict needs; over all looks together each claim is tested at `alpha`.

    With three or more models the last is decided on, or with `candidates: best` the best of all after the
    first: each is tested, and Holm's method corrects for their number.

    With a `judge_licence` the gate is inconclusive unless every judge behind a claim is shown to
    agree with human labels to that extent; the profile names the labels (`calibrated_by`). With
    `decide_on: corrected` claims that a judge scores are decided on its scores corrected by those
    labels.

    A judge is a fixed effect: claims are about its scores. With `judges_as: sample` the members of a jury stand
    for judges like them, and claims are tested over items and judges, as over people (a two-way bound).

    Means are decided by a test that allows for unseen answers at their worst, which is approximate.
    With `guarantee: distribution_free` a betting bound decides them instead: it errs at most `alpha`
    whatever the scores look like, and needs about twice the items.
    """

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    require: Literal["all", "any", "ordered"] = "all"
    max_unscored: float = Field(default=0.02, ge=0.0, le=1.0)
    claims: tuple[Claim, ...] = Field(min_length=1)
    critical: tuple[CriticalRule, ...] = Field(default=(), exclude_if=lambda rules: not rules)
    # Left out of the dump at their defaults, so that older plans keep their hash.
    stop_early: bool = Field(default=False, exclude_if=lambda early: not early)
    looks: int = Field(default=LOOKS, ge=2, le=20, exclude_if=lambda looks: looks == LOOKS)
    order_seed: int = Field(default=1, ge=0, exclude_if=lambda seed: seed == 1)
    judge_licence: JudgeRequirement | None = Field(
        default=None, exclude_if=lambda requirement: requirement is None
    )
    candidates: Literal["last", "best"] = Field(
        default="last", exclude_if=lambda which: which == "last"
    )
    decide_on: Literal["judge", "corrected"] = Field(
        default="judge", exclude_if=lambda basis: basis == "judge"
    )
    guarantee: Literal["approximate", "distribution_free"] = Field(
        default="approximate", exclude_if=lambda guarantee: guarantee == "approximate"
    )
    judges_as: Literal["fixed", "sample"] = Field(
        default="fixed", exclude_if=lambda judges_as: judges_as == "fixed"
    )

    @model_validator(mode="after")
    def _family_is_not_empty(self) -> "Gate":
        if self.require != "all" and not self.family:
            raise ValueError(
                f"'require: {self.require}' needs a claim that is no regression alarm: "
                "a silent alarm shows nothing"
            )
        return self

    @model_validator(mode="after")
    def _early_stopping_keeps_alpha(self) -> "Gate":
        if self.stop_early and self.require != "all":
            raise ValueError(
                f"'stop_early' goes with 'require: all' only: under '{self.require}' claims share "
                "one error rate, which looks at some of them would overspend"
            )
        if self.stop_early and self.decide_on == "corrected":
            raise ValueError(
                "'stop_early' does not go with 'decide_on: corrected': labels are compared once"
            )
        if self.candidates == "best" and (self.stop_early or self.decide_on == "corrected"):
            raise ValueError(
                "'candidates: best' goes with neither 'stop_early' nor 'decide_on: corrected': it is known "
                "after all scores which candidate is the best"
            )
        if not self.stop_early and self.model_fields_set & {"looks", "order_seed"}:
            raise ValueError("'looks' and 'order_seed' have no effect without 'stop_early: true'")
        return self

    @model_validator(mode="after")
    def _sampled_judges_decide(self) -> "Gate":
        if self.judges_as == "sample" and self.decide_on == "corrected":
            raise ValueError(
                "'judges_as: sample' does not go with 'decide_on: corrected', which is right for any judge"
            )
        if self.judges_as == "sample" and self.stop_early:
            raise ValueError(
                "'judges_as: sample' does not go with 'stop_early': the boundaries of looks are those of items, "
                "and judges do not become more from look to look"
            )
        return self

    def lacks_scores(self, missing: int, n: int) -> bool:
        """Return whether more of `n` items are without a score than the gate allows."""
        return missing > most_unscored(self.max_unscored, n)

    @property
    def family(self) -> tuple[Claim, ...]:
        """Return the claims that can support a pass."""
        return tuple(claim for claim in self.claims if not claim.kind.alarm)

    @property
    def level(self) -> float:
        """Return the error rate of the bounds of each claim in the family: Bonferroni's under `any`."""
        return self.alpha / len(self.family) if self.require == "any" else self.alpha

    def level_of(self, claim: Claim) -> float:
        """Return the error rate of one claim's bounds: alpha for an alarm, `level` otherwise."""
        return self.alpha if claim.kind.alarm else self.level
