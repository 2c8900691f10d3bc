"""What the reader of a verdict should know before trusting it."""

from collections.abc import Iterable, Iterator, Mapping

from harness.gate.claim_tests import SMALL_SAMPLE
from harness.gate.feasibility import effective_sample_size, infeasible_claims
from harness.runs.prepare import Prepared
from harness.types import (
    Amendment,
    Caveat,
    Comparison,
    ContaminationResult,
    HygieneCount,
    HygieneFlag,
    Interval,
    JudgeCard,
    Plan,
    SensitivityTable,
    SliceComparison,
    Stopping,
)
from judges.families import shared_family
from reports.sections.preference_pairs import pair_warnings

SURE = 0.05  # adjusted p-value up to which a slice is told as worse


FLAGGED_SHARE = 0.02  # of a model's answers, from which a flag is a caveat


_FLAG_PHRASES: dict[HygieneFlag, str] = {
    "prompt_leak_sentence": "contain a whole sentence of the system prompt",
    "prompt_leak_words": "contain eight consecutive words of the system prompt",
    "empty": "are empty",
    "cut_off": "were cut off at the token limit",
    "repetition_loop": "repeat themselves in a loop",
    "special_tokens": "contain stray special tokens",
    "suspected_injection": "read as if they spoke to the judge",
}


def find_caveats(
    plan: Plan,
    amendments: Iterable[Amendment],
    models: Mapping[str, Prepared],
    comparisons: Iterable[Comparison],
    hygiene: Iterable[HygieneCount],
    exposures: Iterable[ContaminationResult],
) -> Iterator[Caveat]:
    """Yield all caveats of a run, the gravest first."""
    yield from _stated_anew(amendments)
    yield from _seen_in_training(exposures)
    yield from _teachers_who_grade(plan, models)
    yield from _relatives_who_grade(plan, models)
    yield from _lone_annotators(plan)
    yield from _narrowed(plan)
    yield from _protected(plan)
    yield from _asked_twice(plan)
    yield from _pairs_teach_beside(models)
    yield from _dirty_answers(hygiene)
    for comparison in comparisons:
        yield from _of_comparison(comparison)


def warn_of_looks(stopping: Stopping | None) -> Iterator[Caveat]:
    """Warn that the figures of a run that ended before its last item need care."""
    if stopping is not None and stopping.early:
        yield Caveat(
            code="stopped_early",
            text=f"Judging ended at look {stopping.look} of {stopping.looks}. An estimate at which "
            "one stops tends to lie farther from no difference than the truth, and the 95 % "
            "intervals of the comparisons do not allow for the looks; the repeated intervals do.",
        )


def sensitivity_caveats(tables: Iterable[SensitivityTable]) -> Iterator[Caveat]:
    """Warn of claims whose verdict changes from pass to refuted, or the other way round."""
    opposite = {"pass": "fail", "fail": "pass"}
    for table in tables:
        decided, *others = table.rows
        other = opposite.get(decided.verdict or "")
        turned = [row for row in others if other and row.verdict == other]
        if turned:
            n = len(turned)
            how = f"{n} other ways of counting" if n > 1 else "another way of counting"
            yield Caveat(
                code="counting_matters",
                text=f"{table.claim}: {how} would make this verdict its opposite "
                f"({turned[0].verdict} instead of {decided.verdict}).",
            )


def warn_of_slices(slices: Iterable[SliceComparison]) -> Iterator[Caveat]:
    """Warn of slices on which the candidate is shown to be worse, corrected for their number."""
    for line in slices:
        if line.difference is None or line.p_adjusted is None or line.p_adjusted > SURE:
            continue
        if line.difference.estimate < line.null:
            sign = "" if line.null else "+"  # a win rate is its own difference
            p = f"p = {line.p_adjusted:.2g}" if line.p_adjusted >= 0.0001 else "p < 0.0001"
            yield Caveat(
                code="worse_on_a_slice",
                text=f"{line.metric}: '{line.candidate}' is worse where {line.slice} is "
                f"{line.value} ({line.difference.estimate:{sign}.3g} on {line.n} items, {p} over "
                f"{line.n_tests} slice tests).",
            )


def _stated_anew(amendments: Iterable[Amendment]) -> Iterator[Caveat]:
    for earlier in amendments:
        named = ", ".join(change.field for change in earlier.changes)
        yield Caveat(
            code="plan_changed",
            text=f"A plan for the same items was frozen on {earlier.registered[:10]} "
            f"({', '.join(earlier.models)}) and has been changed since: {named}. "
            "A claim that was chosen after a look at the results is a hypothesis, not a test.",
        )


def _seen_in_training(exposures: Iterable[ContaminationResult]) -> Iterator[Caveat]:
    for e in exposures:
        if e.contaminated:
            yield Caveat(
                code="contaminated",
                text=f"{e.contaminated} of {e.n_items} items of '{e.task}' stand in what '{e.model}' "
                f"was trained on, {e.exact} of them word for word (--allow-contamination). Its scores "
                "there tell what was remembered.",
            )


def _teachers_who_grade(plan: Plan, models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    judged = _metrics_by_judge(plan)
    for name, prepared in models.items():
        for teacher in dict.fromkeys(prepared.teachers):
            own = [m for card, ms in judged.items() if card.name == teacher.name for m in ms]
            if own:
                yield Caveat(
                    code="teacher_grades",
                    text=f"'{teacher.name}' chose or rewarded what '{name}' learnt, and also judges "
                    f"{', '.join(own)} here. A gain there may be what the judge likes, "
                    "not what is better.",
                )
            for card, metrics in judged.items():
                if card.name != teacher.name and (family := shared_family(card, teacher.model)):
                    yield Caveat(
                        code="teacher_family_grades",
                        text=f"'{card.name}' judges {', '.join(metrics)} and is of the same family "
                        f"({family}) as '{teacher.name}', which chose or rewarded what "
                        f"'{name}' learnt.",
                    )


def _relatives_who_grade(plan: Plan, models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    """Warn of judges that grade answers of their own model family.

    Judges prefer answers that read like their own (Panickssery et al. 2024, arXiv 2404.13076).
    """
    for card, metrics in _metrics_by_judge(plan).items():
        for name, prepared in models.items():
            family = shared_family(card, prepared.base)
            if family:
                yield Caveat(
                    code="same_family",
                    text=f"'{card.name}' judges {', '.join(metrics)} and is of the same family "
                    f"({family}) as '{name}'. Judges tend to favour their own kind.",
                )


def _metrics_by_judge(plan: Plan) -> dict[JudgeCard, list[str]]:
    """Map each single judge to the metrics that it judges, alone or in a jury."""
    found: dict[JudgeCard, list[str]] = {}
    for metric, card in plan.judges.items():
        for judge in card.members or (card,):
            found.setdefault(judge, []).append(metric)
    return found


def _lone_annotators(plan: Plan) -> Iterator[Caveat]:
    for metric, card in plan.judges.items():
        if card.people and len(card.members) == 1:
            yield Caveat(
                code="one_annotator",
                text=f"{metric} was judged by one person. Its interval speaks for this person on other "
                "items, and not for other people.",
            )


def _narrowed(plan: Plan) -> Iterator[Caveat]:
    if plan.limit is not None:
        yield Caveat(
            code="limited",
            text=f"Only the first {plan.limit} items of each data set were used (--limit). "
            "This is a trial run, not the planned evaluation.",
        )
    for obstacle in infeasible_claims(plan.gate, plan.tasks) if plan.gate else ():
        yield Caveat(code="out_of_reach", text=f"So few items cannot decide a claim: {obstacle}")
    for task in plan.tasks:
        n, unit = effective_sample_size(task)
        if n < SMALL_SAMPLE:
            yield Caveat(
                code="small_sample",
                text=f"'{task.name}' has {n} {unit}. Below {SMALL_SAMPLE} a pass also "
                "needs a bound that holds at every sample size.",
            )


def _protected(plan: Plan) -> Iterator[Caveat]:
    """Warn that the report quotes protected items."""
    for task in plan.tasks:
        if task.phi:
            yield Caveat(
                code="protected",
                text=f"'{task.name}' is marked phi (protected health information). This report, its item "
                "pages and its tables quote it: keep them where such data may lie.",
            )


def _asked_twice(plan: Plan) -> Iterator[Caveat]:
    """Warn of one question under several ids, which counts as several items without a cluster."""
    for task in plan.tasks:
        labels = {(sample.input, sample.cluster) for sample in task.samples}
        distinct = {sample.input for sample in task.samples}
        alone = any(sample.cluster is None for sample in task.samples)
        repeated = len(task.samples if alone else labels) - len(distinct)
        if repeated > FLAGGED_SHARE * len(task.samples):
            yield Caveat(
                code="asked_twice",
                text=f"{repeated:,} of {task.n_items:,} items of '{task.name}' ask word for word what "
                "another one asks, and are counted as evidence of their own. Drop them, or name a "
                "column as their 'cluster'.",
            )


def _pairs_teach_beside(models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    for name, prepared in models.items():
        if prepared.card is not None and prepared.card.pairs is not None:
            pairs = prepared.card.pairs
            whose = f"the {pairs.kept:,} pairs that '{name}' learnt from"
            yield from (
                Caveat(code="pairs_teach_beside", text=text) for text in pair_warnings(pairs, whose)
            )


def _dirty_answers(hygiene: Iterable[HygieneCount]) -> Iterator[Caveat]:
    for count in hygiene:
        for flag, n in count.counts.items():
            if n and (flag == "empty" or n > FLAGGED_SHARE * count.n):
                yield Caveat(
                    code=flag,
                    text=f"{n} of {count.n} answers of '{count.model}' on '{count.task}' "
                    f"{_FLAG_PHRASES[flag]}.",
                )


def _of_comparison(comparison: Comparison) -> Iterator[Caveat]:
    metric, candidate = comparison.metric, comparison.candidate
    unflagged = next((s.difference for s in comparison.sensitivity), None)
    if unflagged is not None and _side(unflagged, comparison.null) != _side(
        comparison.difference, comparison.null
    ):
        yield Caveat(
            code="flags_matter",
            text=f"{metric}: without the items on which an answer was flagged, the difference "
            f"of '{candidate}' reads otherwise "
            f"({unflagged.estimate:+.3f} instead of {comparison.difference.estimate:+.3f}).",
        )
    if comparison.n_missing:
        yield Caveat(
            code="unscored",
            text=f"{metric}: {comparison.n_missing} of {comparison.n + comparison.n_missing} items "
            f"have no score for '{candidate}' and its baseline; the gate takes them at their worst.",
        )
    for flag in comparison.flags:
        if flag.startswith("missing_unevenly:"):
            yield Caveat(
                code="missing_unevenly",
                text=f"{metric}: judgements are missing more often for one model than for the other "
                f"(p = {flag.partition(':')[2]}); what is left does not compare like with like.",
            )
        if flag.startswith("saturated:"):
            yield Caveat(
                code="saturated",
                text=f"{metric}: more than 60 % of the scores of '{flag.partition(':')[2]}' are in "
                "the top tenth of the scale; differences among good answers cannot show.",
            )
    detail = comparison.pairwise
    if detail is not None and detail.single_order:
        yield Caveat(
            code="single_order",
            text=f"{metric}: every pair was shown in one order only, so a preference for the "
            "first or second place cannot be told from a preference for a model.",
        )
    if detail is not None and detail.position_p is not None and detail.position_p < 0.05:
        yield Caveat(
            code="position_effect",
            text=f"{metric}: the judge's verdict depends on the order of the answers "
            f"(p = {detail.position_p:.3g}).",
        )


def _side(interval: Interval, null: float) -> int:
    """Return 1 above the null value, -1 below it, 0 where the interval holds it."""
    return int(interval.low > null) - int(interval.high < null)
