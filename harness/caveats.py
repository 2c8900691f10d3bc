"""What the reader of a verdict should know before trusting it."""

from collections.abc import Iterable, Iterator, Mapping

from harness.families import shared_family
from harness.gate import SMALL_SAMPLE
from harness.prepare import Prepared
from harness.types import (
    Caveat,
    Comparison,
    Exposure,
    HygieneCount,
    HygieneFlag,
    Interval,
    JudgeCard,
    Plan,
)

FLAGGED_SHARE = 0.02  # of a model's answers, from which a flag is a caveat

_FLAG_WORDS: dict[HygieneFlag, str] = {
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
    models: Mapping[str, Prepared],
    comparisons: Iterable[Comparison],
    hygiene: Iterable[HygieneCount],
    exposures: Iterable[Exposure],
) -> Iterator[Caveat]:
    """All caveats of a run, the gravest first."""
    yield from _seen_in_training(exposures)
    yield from _teachers_who_grade(plan, models)
    yield from _relatives_who_grade(plan, models)
    yield from _narrowed(plan)
    yield from _dirty_answers(hygiene)
    for comparison in comparisons:
        yield from _of_comparison(comparison)


def _seen_in_training(exposures: Iterable[Exposure]) -> Iterator[Caveat]:
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
    """Judges prefer answers that read like their own (Panickssery et al. 2024, 2404.13076)."""
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
    """What each single judge judges, as itself or as a member of a jury."""
    found: dict[JudgeCard, list[str]] = {}
    for metric, card in plan.judges.items():
        for judge in card.members or (card,):
            found.setdefault(judge, []).append(metric)
    return found


def _narrowed(plan: Plan) -> Iterator[Caveat]:
    if plan.limit is not None:
        yield Caveat(
            code="limited",
            text=f"Only the first {plan.limit} items of each data set were used (--limit). "
            "This is a trial run, not the planned evaluation.",
        )
    for task in plan.tasks:
        if task.n_items < SMALL_SAMPLE:
            yield Caveat(
                code="small_sample",
                text=f"'{task.name}' has {task.n_items} items. Below {SMALL_SAMPLE} a pass also "
                "needs a bound that holds at every sample size.",
            )


def _dirty_answers(hygiene: Iterable[HygieneCount]) -> Iterator[Caveat]:
    for count in hygiene:
        for flag, n in count.counts.items():
            if n and (flag == "empty" or n > FLAGGED_SHARE * count.n):
                yield Caveat(
                    code=flag,
                    text=f"{n} of {count.n} answers of '{count.model}' on '{count.task}' "
                    f"{_FLAG_WORDS[flag]}.",
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
    """1 above the null value, -1 below it, 0 where the interval holds it."""
    return int(interval.low > null) - int(interval.high < null)
