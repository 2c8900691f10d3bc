"""Caveats: what a reader of a verdict should know before trusting it.

Those on the plan, its data and its judges are here, and the order of all; those on answers, verdicts and
comparisons have files of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.gate.feasibility import infeasible_claims
from harness.gate.rules import RULES, rule_of
from harness.planning.claims import describe_weakness, forecast_claims, is_weak
from harness.runs.answer_caveats import (
    FLAGGED_SHARE,
    failed_request_caveats,
    flagged_answer_caveats,
    identical_answer_caveats,
    prompt_caveats,
    served_name_caveats,
)
from harness.runs.comparison_caveats import (
    comparison_caveats,
    sensitivity_caveats,
    slice_caveats,
    unlike_readable_caveats,
)
from harness.runs.passage_caveats import passage_caveats
from harness.runs.prepare import Prepared
from harness.runs.verdict_caveats import (
    lenient_reading_caveats,
    missing_verdict_caveats,
    second_judge_caveats,
)
from harness.scoring.task_scores import TaskScores
from harness.types import (
    Amendment,
    Caveat,
    Comparison,
    ContaminationResult,
    HygieneCount,
    JudgeCard,
    Plan,
    RunResult,
    Stopping,
)
from judges.families import shared_family
from reports.sections.preference_pairs import pair_warnings


def collect_caveats(
    result: RunResult,
    measured: Sequence[TaskScores],
    models: Mapping[str, Prepared],
    stated_rule: str,
) -> Iterator[Caveat]:
    """Yield all caveats of a result, the gravest first; `stated_rule` is the gate's when it was stated."""
    plan = result.plan
    yield from failed_request_caveats(measured)
    yield from missing_verdict_caveats(measured)
    yield from second_judge_caveats(measured)
    yield from prompt_caveats(measured, models)
    yield from passage_caveats(measured)
    yield from identical_answer_caveats(plan, measured)
    yield from one_model_caveats(plan)
    yield from early_stopping_caveats(result.stopping)
    yield from changed_rule_caveats(plan, stated_rule)
    yield from lenient_reading_caveats(measured)
    yield from served_name_caveats(measured)
    yield from find_caveats(
        plan, result.amendments, models, result.comparisons, result.hygiene, result.exposures
    )
    yield from sensitivity_caveats(result.sensitivities)
    yield from slice_caveats(s for s in result.slices if s.metric not in plan.repeated_columns)


def find_caveats(
    plan: Plan,
    amendments: Iterable[Amendment],
    models: Mapping[str, Prepared],
    comparisons: Sequence[Comparison],
    hygiene: Iterable[HygieneCount],
    exposures: Iterable[ContaminationResult],
) -> Iterator[Caveat]:
    """Yield the caveats on a plan, its training data, judges and items, and on comparisons."""
    yield from _changed_plan(amendments)
    yield from _contamination(exposures)
    yield from _teachers_as_judges(plan, models)
    yield from _judges_of_same_family(plan, models)
    yield from _single_annotators(plan)
    # The items.
    yield from _limited_items(plan)
    yield from _protected_items(plan)
    yield from _duplicate_questions(plan)
    # The pairs, answers and scores.
    yield from _biased_pairs(models)
    yield from flagged_answer_caveats(hygiene)
    yield from unlike_readable_caveats(plan, comparisons)
    # Comparisons of several candidates share what is true of the baseline, or of all pairs.
    yield from dict.fromkeys(
        caveat
        for comparison in comparisons
        if comparison.metric not in plan.repeated_columns
        for caveat in comparison_caveats(comparison)
    )
    yield from _one_training_each(plan, models)


def one_model_caveats(plan: Plan) -> Iterator[Caveat]:
    """Report that a run has one model, and what of its suite was left out for want of another."""
    if plan.alone:
        left_out = ""
        if plan.not_measured:
            left_out = f" Not measured, as they compare two models: {', '.join(plan.not_measured)}."
        yield Caveat(
            code="one_model",
            text=f"'{plan.candidate}' was measured alone: whether it is better or worse than another model "
            f"is not known.{left_out}",
        )


def early_stopping_caveats(stopping: Stopping | None) -> Iterator[Caveat]:
    """Yield a caveat on estimates and intervals if judging stopped early."""
    if stopping is not None and stopping.early:
        yield Caveat(
            code="stopped_early",
            text=f"Judging stopped at look {stopping.look} of {stopping.looks}. An estimate from a run "
            "that stopped early tends to be farther from no difference than the true value. The 95 % "
            "intervals of the comparisons are not adjusted for the looks; the repeated intervals are.",
        )


def _changed_plan(amendments: Iterable[Amendment]) -> Iterator[Caveat]:
    for earlier in amendments:
        fields = ", ".join(change.field for change in earlier.changes)
        yield Caveat(
            code="plan_changed",
            text=f"A plan for the same items was registered on {earlier.registered[:10]} "
            f"({', '.join(earlier.models)}) and has been changed since: {fields}. "
            "A claim chosen after seeing results is a hypothesis, not a test.",
        )


def changed_rule_caveats(plan: Plan, stated: str) -> Iterator[Caveat]:
    """Report that a plan was stated while the gate decided by another rule."""
    if plan.gate is None or not stated or stated == RULES[rule_of(plan.gate)]:
        return
    yield Caveat(
        code="rule_changed",
        text=f"This plan was stated under {stated}. Its claims were decided by the rule in force: "
        f"{RULES[rule_of(plan.gate)]}.",
    )


def _contamination(exposures: Iterable[ContaminationResult]) -> Iterator[Caveat]:
    for e in exposures:
        if e.contaminated:
            yield Caveat(
                code="contaminated",
                text=f"{e.contaminated} of {e.n_items} items of '{e.task}' are in the training data of "
                f"'{e.model}', {e.exact} of them verbatim (--allow-contamination). Its scores on them "
                "can reflect memorisation.",
            )


def _teachers_as_judges(plan: Plan, models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    """Warn of judges that also selected or rewarded training data, and of their model families."""
    metrics_by_judge = _metrics_by_judge(plan)
    for name, prepared in models.items():
        for teacher in dict.fromkeys(prepared.teachers):
            # The same judge.
            judged_metrics = [
                metric
                for card, metrics in metrics_by_judge.items()
                if card.name == teacher.name
                for metric in metrics
            ]
            if judged_metrics:
                yield Caveat(
                    code="teacher_grades",
                    text=f"'{teacher.name}' selected or rewarded the training data of '{name}' and "
                    f"also judges {', '.join(judged_metrics)} here. A gain there may be what this "
                    "judge prefers, not a better answer.",
                )
            # Other judges of its family.
            for card, metrics in metrics_by_judge.items():
                if card.name != teacher.name and (family := shared_family(card, teacher.model)):
                    yield Caveat(
                        code="teacher_family_grades",
                        text=f"'{card.name}' judges {', '.join(metrics)} and is of the same model "
                        f"family ({family}) as '{teacher.name}', which selected or rewarded the "
                        f"training data of '{name}'.",
                    )


def _judges_of_same_family(plan: Plan, models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    """Warn of judges that grade answers of their own model family.

    Judges prefer answers that read like their own (Panickssery et al. 2024, arXiv 2404.13076).
    """
    for card, metrics in _metrics_by_judge(plan).items():
        for name, prepared in models.items():
            family = shared_family(card, prepared.base)
            if family:
                yield Caveat(
                    code="same_family",
                    text=f"'{card.name}' judges {', '.join(metrics)} and is of the same model family "
                    f"({family}) as '{name}'. Judges tend to favour answers of their own family.",
                )


def _metrics_by_judge(plan: Plan) -> dict[JudgeCard, list[str]]:
    """Map each single judge to the metrics that it judges, alone or in a jury."""
    metrics: dict[JudgeCard, list[str]] = {}
    for metric, card in plan.judges.items():
        for judge in card.singles:
            metrics.setdefault(judge, []).append(metric)
    return metrics


def _single_annotators(plan: Plan) -> Iterator[Caveat]:
    for metric, card in plan.judges.items():
        if card.people and len(card.members) == 1:
            yield Caveat(
                code="one_annotator",
                text=f"{metric} was judged by one person. Its interval generalises to other items "
                "judged by this person, not to other people.",
            )


def _one_training_each(plan: Plan, models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    """Say that a verdict on models of one training seed does not reach beyond these checkpoints."""
    seeded = {model.name for model in plan.models if model.seeds}
    gated = [name for name in dict.fromkeys(plan.gated) if name in models]
    trained = [name for name in gated if models[name].cards and name not in seeded]
    if plan.gate is not None and trained:
        one = len(plan.models) == 1 or not seeded.isdisjoint(gated)
        these = "this checkpoint" if one else "these two checkpoints"
        yield Caveat(
            code="one_training_each",
            text=f"The verdict is about {these}, not about recipes: {' and '.join(trained)} "
            f"{'was' if len(trained) == 1 else 'were'} trained once, and other training seeds give other "
            "checkpoints ('seeds' in the profile trains several).",
        )


def _limited_items(plan: Plan) -> Iterator[Caveat]:
    if plan.limit is not None:
        yield Caveat(
            code="limited",
            text=f"Only the first {plan.limit} items of each data set were used (--limit). "
            "This is a trial run, not the planned evaluation.",
        )
    for obstacle in infeasible_claims(plan.gate, plan.tasks) if plan.gate else ():
        yield Caveat(code="out_of_reach", text=f"Too few items to decide a claim: {obstacle}")
    for claim in forecast_claims(plan.gate, plan.tasks) if plan.gate else ():
        if is_weak(claim):
            yield Caveat(code="low_power", text=describe_weakness(claim))


def _protected_items(plan: Plan) -> Iterator[Caveat]:
    """Warn that the report quotes protected items."""
    for task in plan.tasks:
        if task.phi:
            yield Caveat(
                code="protected",
                text=f"'{task.name}' is marked phi (protected health information). This report, explorer.html, its item "
                "pages and its tables quote it: store them only where such data are allowed.",
            )


def _duplicate_questions(plan: Plan) -> Iterator[Caveat]:
    """Warn of one question under several ids, which counts as several items without a cluster."""
    for task in plan.tasks:
        labels = {(sample.transcript, sample.cluster) for sample in task.samples}
        distinct = {sample.transcript for sample in task.samples}
        unclustered = any(sample.cluster is None for sample in task.samples)
        n_duplicates = len(task.samples if unclustered else labels) - len(distinct)
        if n_duplicates > FLAGGED_SHARE * len(task.samples):
            yield Caveat(
                code="asked_twice",
                text=f"{n_duplicates:,} of {task.n_items:,} items of '{task.name}' repeat the question of "
                "another item verbatim, but are counted as independent items. Drop them, or name a "
                "column as their 'cluster'.",
            )


def _biased_pairs(models: Mapping[str, Prepared]) -> Iterator[Caveat]:
    for name, prepared in models.items():
        for pairs in (card.pairs for card in prepared.cards if card.pairs is not None):
            subject = f"the {pairs.kept:,} training pairs of '{name}'"
            for text in pair_warnings(pairs, subject):
                yield Caveat(code="pairs_teach_beside", text=text)
