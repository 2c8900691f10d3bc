"""What to do after a run, the most important first: what would settle the verdict, and which items to read.

Nothing is decided here. Numbers of items are the gate's own, those of labels, seeds and judges the forecasts'.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from harness.config import Claim, Gate, headline_column, metric_of
from harness.config.request import Request, is_all_recorded
from harness.core.sanitize import escape_invisible, printable_line
from harness.gate.advice import describe_items_needed
from harness.gate.confirmation import FEWEST_TO_DECIDE
from harness.gate.feasibility import effective_sample_size, min_sample_size
from harness.planning.judge_requirement import forecast_requirements
from harness.planning.jury import forecast_juries
from harness.planning.seeds import forecast_seeds
from harness.runs.conclude import too_many_unscored
from harness.scoring.checklist import task_of_column
from harness.scoring.paired import PairedScores
from harness.stats.proportions import minimum_n_for_threshold
from harness.types import (
    ClaimResult,
    CriticalResult,
    GateDecision,
    NextStep,
    Plan,
    RequirementResult,
    RunResult,
)
from harness.types.judgements import MissingReason

N_NAMED = 3  # items of each kind
MAX_NAME_CHARS = 32
_REMEDIES = {  # of withheld passes, by the code of the caveat
    "offline_rules_alone": "Add a judge that is a language model, or people's labels ('calibrated_by'): offline "
    "rules alone carry no pass.",
    "repeated_answers": "Read the answers that are one text for many questions; where that is right, state "
    "'equal_answers: expected' in the suite.",
}


def find_next_steps(
    result: RunResult, request: Request, pairs: Mapping[str, PairedScores]
) -> Iterator[NextStep]:
    """Yield at most two steps: what would settle the verdict, and the items to read.

    `pairs` are the comparisons that the gate decides on, by column.
    """
    steps, reading = islice(_settling(result, request), 1), _reading(result, pairs)
    yield from chain(steps, reading)


# --- what would settle the verdict -------------------------------------------------------------


def _settling(result: RunResult, request: Request) -> Iterator[NextStep]:
    """Yield what stands between the run and a verdict, the first obstacle first."""
    plan, decision = result.plan, result.decision
    if too_many_unscored(result):
        yield _score_the_rest(result, request)
    if plan.limit is not None:
        yield NextStep(
            code="trial",
            text=f"Run without --limit: this was a trial on the first {plan.limit:,} items.",
        )
    if plan.not_decided:
        text = f"Name a baseline for the claims that compare two models: --models BASELINE,{plan.candidate}."
        yield NextStep(code="baseline", text=text)
    if decision is None or plan.gate is None:
        text = "State claims ('gate' in the suite) before the next run: without them there is no verdict."
        yield NextStep(code="claims", text=text)
        return
    if decision.verdict == "pass":
        text = "Nothing is left to settle: the gate has passed."
        if not plan.looks and not request.seeded:  # as `harness bless` takes it
            text += f" harness bless {result.run_id} makes it the baseline of later checks."
        yield NextStep(code="nothing", text=text)
    if decision.verdict != "inconclusive":  # after a fail the items are what tells
        return
    yield from _labels_to_get(result, decision, plan.gate, request)
    for caveat in result.caveats:
        if caveat.code in _REMEDIES:
            yield NextStep(code=caveat.code, text=_REMEDIES[caveat.code])
    for claim in decision.claims:
        if claim.verdict == "inconclusive" and not claim.alarm:
            yield _settle_claim(claim, plan, plan.gate)
    for rule in decision.critical:
        if rule.verdict == "inconclusive":
            yield _settle_rule(rule, plan.gate)


def _score_the_rest(result: RunResult, request: Request) -> NextStep:
    """Say how the missing scores are had: what never came is asked again, what was unreadable on request."""
    assert result.plan.gate is not None
    claimed = {claim.metric for claim in result.plan.gate.claims}
    of_claims = [c for c in result.coverage if c.metric in claimed and c.model in result.plan.gated]
    worst = max(of_claims, key=lambda c: c.n_items - c.n_scored)
    missing = (
        f"{worst.n_items - worst.n_scored:,} of {worst.n_items:,} items have no {worst.metric}"
    )
    never_came = {MissingReason.REQUEST_FAILED, MissingReason.NO_REPLY}
    asked_anew = sum(
        n for reason, n in worst.reasons.items() if reason.partition(":")[0] in never_came
    )
    if is_all_recorded(request):
        remedy = "Complete the recorded answers and verdicts, then run again"
    elif 2 * max(asked_anew, worst.request_failed) >= worst.n_items - worst.n_scored:
        remedy = "Run the same command again: only what never came is asked"
    else:
        remedy = "Run again with --ask-again unreadable, or with another judge"
    return NextStep(code="unscored", text=f"{remedy} ({missing}).")


def _labels_to_get(
    result: RunResult, decision: GateDecision, gate: Gate, request: Request
) -> Iterator[NextStep]:
    """Yield the labels that the gate's word on its judges takes."""
    unmet = [check for check in decision.licences if not check.held]
    if unmet:
        yield _show_agreement(unmet[0], result, gate, request)
        return
    unconfirmed = [c for c in decision.confirmations if not c.confirmed]
    if gate.judge_licence is None and gate.decide_on == "judge":
        return
    if unconfirmed:
        few = unconfirmed[0]
        text = f"Have people label more answers ({few.n_labels:,} so far do not confirm '{few.claim}'): {_annotate(result)}"
        yield NextStep(code="labels", text=text)
    elif gate.decide_on == "corrected" and not decision.confirmations:
        text = f"Have people label at least {FEWEST_TO_DECIDE} answers, on which this gate decides: {_annotate(result, FEWEST_TO_DECIDE)}"
        yield NextStep(code="labels", text=text)


def _show_agreement(
    check: RequirementResult, result: RunResult, gate: Gate, request: Request
) -> NextStep:
    if check.estimate is not None and check.estimate < check.at_least:
        text = (
            f"Use another judge for {check.column}: '{check.judge}' agrees with people to {check.estimate:.2f}, "
            f"and more labels hardly show {check.at_least:g}."
        )
        return NextStep(code="judge", text=text)
    forecasts = list(forecast_requirements(gate, result.plan.tasks, request))
    about = [f for f in forecasts if f.column == check.column] or forecasts
    needed = max((f.n_close or f.least or 0 for f in about), default=0)
    close = all(f.n_close for f in about)
    enough = (
        f"{'about' if close else 'at least'} {needed:,} labels"
        if needed > check.n
        else "more labels"
    )
    text = f"Show that '{check.judge}' agrees with people, by {enough} ({check.n:,} so far): {_annotate(result, needed)}"
    return NextStep(code="labels", text=text)


def _annotate(result: RunResult, n: int = 0) -> str:
    return f"harness annotate {result.run_id}{f' --n {n}' if n else ''}"


def _settle_claim(claim: ClaimResult, plan: Plan, gate: Gate) -> NextStep:
    """Say what would decide a claim: items, or the seeds or judges that it reads as a sample."""
    if fewest := _too_few(claim, plan, gate):
        text = f"Use at least {fewest.needed:,} {fewest.unit}: with {fewest.n:,} no answers could decide '{claim.claim}'."
        return NextStep(code="items", text=text)
    card = plan.judges.get(metric_of(claim.metric))
    if card is not None and card.sample:
        juries = [f.needed for f in forecast_juries(plan, gate) if f.claim == claim.claim]
        return _settle_by(claim, "judges", len(card.members), juries)
    if plan.seeds:
        seeds = [f.needed for f in forecast_seeds(plan, gate) if f.claim == claim.claim]
        return _settle_by(claim, "training seeds", len(plan.seeds), seeds)
    return NextStep(code="items", text=describe_items_needed(claim))


def _settle_by(claim: ClaimResult, what: str, n: int, needed: list[int | None]) -> NextStep:
    """Name the forecast number of seeds or judges, where it is above that of the run."""
    most = next(iter(needed), None)
    number = f"about {most} {what}" if most is not None and most > n else f"more {what} and items"
    return NextStep(code="units", text=f"Use {number} ({n} {what} now) to settle '{claim.claim}'.")


class _Fewest(NamedTuple):
    needed: int
    n: int
    unit: str


def _too_few(result: ClaimResult, plan: Plan, gate: Gate) -> _Fewest | None:
    """Return the fewest items that could decide a claim, where the run has fewer."""
    claim = _claim_of(result, gate)
    name = metric_of(result.metric)
    task = next((task for task in plan.tasks if name in task.metrics), None)
    if claim is None or task is None:
        return None
    n, unit = effective_sample_size(task_of_column(task, result.metric))
    needed = min_sample_size(claim, gate, task.metrics[name], clustered=unit != "items")
    return _Fewest(needed, n, unit) if n < needed else None


def _claim_of(result: ClaimResult, gate: Gate | None) -> Claim | None:
    return next((c for c in (gate.claims if gate else ()) if str(c) == result.claim), None)


def _settle_rule(rule: CriticalResult, gate: Gate) -> NextStep:
    least = minimum_n_for_threshold(1 - rule.allowed_share, gate.alpha)
    number = f"at least {least:,}" if rule.n_units < least else "more"
    return NextStep(
        code="items", text=f"Use {number} items ({rule.n:,} now) to settle '{rule.rule}'."
    )


# --- the items to read -------------------------------------------------------------------------


def _reading(result: RunResult, pairs: Mapping[str, PairedScores]) -> Iterator[NextStep]:
    """Yield the items to read: the worst on the deciding column, the critical and the unscored ones."""
    plan = result.plan
    column, claim = _deciding(result.decision, plan.gate, pairs)
    if column is None:
        return
    pair = pairs[column]
    own = pair.alone or (claim is not None and claim.kind.own_mean)
    scores, limit = (pair.candidate_scores, pair.score_bounds[1]) if own else (pair.d, 0.0)
    below = [i for i in np.argsort(scores, kind="stable").tolist() if scores[i] < limit]
    below = below[:N_NAMED] if own else below  # how many are below the top of a scale tells nothing
    groups = {
        f"{plan.candidate}'s worst on {column}": [pair.sample_ids[i] for i in below],
        "critical answers": _critical_ids(result.decision),
        "unscored items": [pair.sample_ids[i] for i in np.flatnonzero(np.isnan(scores))],
    }
    values = {pair.sample_ids[i]: _value(pair, scores[i], own=own) for i in below[:N_NAMED]}
    items = [name for names in groups.values() for name in names[:N_NAMED]]
    if not items:
        text = f"No item to read first: '{plan.candidate}' is nowhere worse on {column}."
        yield NextStep(code="nothing", text=text)
        return
    protected = any(task.phi and metric_of(column) in task.metrics for task in plan.tasks)
    parts = [
        f"{title}: {_count(names) if protected else _list(names, values)}"
        for title, names in groups.items()
        if names
    ]
    known = () if protected else tuple(dict.fromkeys(items))
    yield NextStep(code="read", text=f"Read {'; '.join(parts)}.", items=known)


def _deciding(
    decision: GateDecision | None, gate: Gate | None, pairs: Mapping[str, PairedScores]
) -> tuple[str | None, Claim | None]:
    """Return the column that the verdict hangs on, with its claim; without one the headline column.

    Of several claims that pass it is the one with the largest p-value.
    """
    claims = [c for c in decision.claims if c.metric in pairs] if decision else []
    if decision is None or not claims:
        return headline_column(list(pairs)), None
    alike = [c for c in claims if c.verdict == decision.verdict]
    if not alike:  # a rule on critical answers decided
        rules = [r.metric for r in decision.critical if r.verdict == decision.verdict]
        return next(iter(rules), claims[0].metric), None
    passed = decision.verdict == "pass"
    claim = max(alike, key=lambda c: c.p_value or 0.0) if passed else alike[0]
    return claim.metric, _claim_of(claim, gate)


def _critical_ids(decision: GateDecision | None) -> list[str]:
    rules = decision.critical if decision else ()
    return list(dict.fromkeys(item.sample_id for rule in rules for item in rule.items))


def _value(pair: PairedScores, value: float, *, own: bool) -> str:
    """Return the score or difference in brackets; a pair that was lost has none."""
    if pair.kind == "preference":
        return ""
    return f" ({value:{'' if own else '+'}.3g})".replace("-", "\N{MINUS SIGN}")


def _list(names: list[str], values: Mapping[str, str]) -> str:
    shown = [
        printable_line(escape_invisible(name), limit=MAX_NAME_CHARS) + values.get(name, "")
        for name in names[:N_NAMED]
    ]
    more = f" and {len(names) - N_NAMED:,} more" if len(names) > N_NAMED else ""
    return ", ".join(shown) + more


def _count(names: list[str]) -> str:
    return f"{len(names):,} item{'s' * (len(names) != 1)}"
