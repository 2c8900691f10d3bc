"""Caveats: what a reader of a verdict should know before trusting it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.config import ChoiceMetric, metric_of
from harness.data.recorded import RecordedModel
from harness.gate.feasibility import infeasible_claims
from harness.gate.rules import RULES, rule_of
from harness.models.generate import count_failures, is_recorded_failure
from harness.models.model_kinds import CheckpointModel, ServedCheckpoint
from harness.models.seeds import models_of
from harness.planning.claims import describe_weakness, forecast_claims, is_weak
from harness.runs.prepare import Prepared
from harness.scoring.task_scores import TaskScores
from harness.types import (
    Amendment,
    Caveat,
    Comparison,
    ContaminationResult,
    Exchange,
    HygieneCount,
    HygieneFlag,
    Interval,
    JudgeCard,
    Plan,
    SensitivityTable,
    SliceComparison,
    Stopping,
)
from harness.types.samples import same_text
from judges.families import shared_family
from reports.sections.preference_pairs import pair_warnings
from trainers.chat_tokens import PROMPT_DIFFERS

SLICE_ALPHA = 0.05  # adjusted p-value up to which a worse slice is a caveat
IDENTICAL_SHARE = 0.5  # share of items with the same answer of both models that is pointed out
FLAGGED_SHARE = 0.02  # share of a model's answers above which a flag is a caveat
NO_ANSWER_FLAGS: frozenset[HygieneFlag] = frozenset({"empty", "unfinished_thoughts"})  # always one

_FLAG_PHRASES: dict[HygieneFlag, str] = {
    "prompt_leak_sentence": "with a whole sentence of the system prompt",
    "prompt_leak_words": "with eight consecutive words of the system prompt",
    "empty": "empty",
    "cut_off": "cut off at the token limit",
    "unfinished_thoughts": "whose thoughts never ended",
    "repetition_loop": "with a repetition loop",
    "repeated_answer": "word for word the answer to other questions too",
    "special_tokens": "with stray special tokens",
    "suspected_injection": "with text that seems addressed to the judge",
}


def find_caveats(
    plan: Plan,
    amendments: Iterable[Amendment],
    models: Mapping[str, Prepared],
    comparisons: Sequence[Comparison],
    hygiene: Iterable[HygieneCount],
    exposures: Iterable[ContaminationResult],
) -> Iterator[Caveat]:
    """Yield all caveats of a run, the gravest first."""
    # The plan, training data and judges.
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
    yield from _flagged_answers(hygiene)
    yield from _unlike_readable(plan, comparisons)
    # Comparisons of several candidates share what is true of the baseline, or of all pairs.
    yield from dict.fromkeys(
        caveat
        for comparison in comparisons
        if comparison.metric not in plan.repeated_columns
        for caveat in _comparison_caveats(comparison)
    )
    yield from _one_training_each(plan, models)


def _unlike_readable(plan: Plan, comparisons: Iterable[Comparison]) -> Iterator[Caveat]:
    """Report choices that one model states more often than another, whatever it knows."""
    metrics = {name: m for task in plan.tasks for name, m in task.metrics.items()}
    for comparison in comparisons:
        name = metric_of(comparison.metric)
        is_choice = isinstance(metrics.get(name), ChoiceMetric) and comparison.metric != name
        interval = comparison.difference
        if is_choice and interval is not None and (interval.low > 0 or interval.high < 0):
            yield Caveat(
                code="unlike_readable",
                text=f"{name}: '{comparison.candidate}' states an option on "
                f"{comparison.candidate_mean:.1%} of the items and '{comparison.baseline}' on "
                f"{comparison.baseline_mean:.1%}. Answers without one count as wrong, so that the "
                "difference in accuracy is in part one of form and not of knowledge.",
            )


def failed_request_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Report requests to models that failed, with the server's own words, and recorded failures."""
    for part in measured:
        for model, responses in part.responses.items():
            failed = [response for response in responses.values() if response.request_failed]
            if failed:
                recorded = is_recorded_failure(failed[0])
                what = (
                    f"answers of '{model}' do not count"
                    if recorded
                    else f"requests to '{model}' failed"
                )
                yield Caveat(
                    code="failed_requests",
                    text=f"{len(failed)} of {len(responses)} {what} "
                    f"({count_failures(part.task, failed)}). These items have no score, and each claim is "
                    "tested as if they were at their worst for it.",
                )


def served_name_caveats(measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Report the names under which servers answered, where they are others than were asked."""
    names: dict[str, Counter[str]] = {}
    for part in measured:
        for model, responses in part.responses.items():
            exchanges = (response.exchange for response in responses.values())
            names.setdefault(f"model '{model}'", Counter()).update(_served_names(exchanges))
        for rounds in part.judge_rounds.values():
            for judge_round in rounds:
                exchanges = (judgement.exchange for judgement in judge_round.judgements)
                name = f"judge '{judge_round.judge.name}'"
                names.setdefault(name, Counter()).update(_served_names(exchanges))
    for who, counts in names.items():
        if counts:
            listed = ", ".join(f"{name} ({n:,} replies)" for name, n in counts.most_common(5))
            several = ": not one model, but several" if len(counts) > 1 else ""
            yield Caveat(
                code="served_as",
                text=f"The server of {who} answered under another name than was asked: {listed}{several}.",
            )


def _served_names(exchanges: Iterable[Exchange | None]) -> Iterator[str]:
    return (exchange.model for exchange in exchanges if exchange is not None and exchange.model)


def prompt_caveats(
    measured: Iterable[TaskScores], models: Mapping[str, Prepared]
) -> Iterator[Caveat]:
    """Report models that were not asked as stated, or that learnt prompts in another form.

    A model may never have seen a task's system prompt, or have no switch of thinking.
    """
    tasks_measured = [part.task for part in measured]
    systems = [
        (task.name, system)
        for task in tasks_measured
        for system in (task.system, next(filter(None, (s.system for s in task.samples)), None))
        if system
    ]
    switched = [task for task in tasks_measured if task.generation.thinking is not None]
    for name, prepared in models.items():
        model = models_of(prepared.model)[0]  # of several seeds the first: they share a template
        if isinstance(model, ServedCheckpoint):
            model = model.checkpoint
        if isinstance(model, CheckpointModel):
            dropped = {
                system: model.drops(system) for system in dict.fromkeys(s for _, s in systems)
            }
            tasks = list(dict.fromkeys(task for task, system in systems if dropped[system]))
            if tasks:
                yield Caveat(
                    code="system_prompt_dropped",
                    text=f"The chat template of '{name}' does not write the system prompt of "
                    f"{', '.join(tasks)}, so the model answered without it. Put it into the questions, or "
                    "leave it out for all models.",
                )
        if switched and not isinstance(model, RecordedModel) and not model.switches_thinking():
            yield Caveat(
                code="thinking_not_switched",
                text=f"'thinking' changed nothing for '{name}' in {', '.join(task.name for task in switched)}: "
                "its chat template has no switch for it, or its API takes none ('extra_body' in the profile "
                "says it in the API's own words).",
            )
        differences = dict.fromkeys(card.facts.get(PROMPT_DIFFERS) for card in prepared.cards)
        for differs in filter(None, differences):
            yield Caveat(code="prompt_differs", text=f"Of the training of '{name}': {differs}.")


def identical_answer_caveats(plan: Plan, measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Point out that the gate's two models say the same, as one model under two names does."""
    if plan.alone:
        return
    baseline, candidate = plan.baseline, plan.candidate
    for part in measured:
        old, new = part.responses[baseline], part.responses[candidate]
        compared = [same_text(old[i].text, new[i].text) for i in old]
        n, n_same = sum(same is not None for same in compared), compared.count(True)
        if n_same >= IDENTICAL_SHARE * n > 0:
            yield Caveat(
                code="identical_answers",
                text=f"'{baseline}' and '{candidate}' gave the same answer to {n_same:,} of {n:,} items of "
                f"'{part.task.name}'. Are they one model under two names? On these items any "
                "difference is the judge's own.",
            )


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


def sensitivity_caveats(tables: Iterable[SensitivityTable]) -> Iterator[Caveat]:
    """Yield a caveat for each claim that another analysis turns from pass to fail or back."""
    opposite = {"pass": "fail", "fail": "pass"}
    for table in tables:
        decided, *others = table.rows
        opposite_verdict = opposite.get(decided.verdict or "")
        reversed_rows = [
            row for row in others if opposite_verdict and row.verdict == opposite_verdict
        ]
        if reversed_rows:
            n = len(reversed_rows)
            analyses = f"{n} other analyses reverse" if n > 1 else "another analysis reverses"
            yield Caveat(
                code="counting_matters",
                text=f"{table.claim}: {analyses} this verdict ({opposite_verdict} instead of "
                f"{decided.verdict}).",
            )


def slice_caveats(slices: Iterable[SliceComparison]) -> Iterator[Caveat]:
    """Yield the slices on which the candidate is worse, with p-values adjusted for their number."""
    for line in slices:
        if line.difference is None or line.p_adjusted is None or line.p_adjusted > SLICE_ALPHA:
            continue
        if line.difference.estimate < line.null:
            sign = "" if line.null else "+"  # a win rate is its own difference
            p = f"p = {line.p_adjusted:.2g}" if line.p_adjusted >= 0.0001 else "p < 0.0001"
            yield Caveat(
                code="worse_on_a_slice",
                text=f"{line.metric}: '{line.candidate}' is worse on the slice {line.slice} = "
                f"{line.value} ({line.difference.estimate:{sign}.3g} on {line.n} items, {p} adjusted "
                f"for {line.n_tests} slice tests).",
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


def _flagged_answers(hygiene: Iterable[HygieneCount]) -> Iterator[Caveat]:
    for count in hygiene:
        for flag, n in count.counts.items():
            if n and (flag in NO_ANSWER_FLAGS or n > FLAGGED_SHARE * count.n):
                yield Caveat(
                    code=flag,
                    text=f"'{count.model}' on '{count.task}': {n} of {count.n} answers "
                    f"{_FLAG_PHRASES[flag]}.",
                )


def _comparison_caveats(comparison: Comparison) -> Iterator[Caveat]:
    yield from _flag_caveats(comparison)
    yield from _score_caveats(comparison)
    yield from _order_caveats(comparison)


def _flag_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn if the conclusion changes without the items that have a flagged answer."""
    difference, null = comparison.difference, comparison.null
    sign = "" if null else "+"  # a win rate is its own difference
    unflagged = next((s.difference for s in comparison.sensitivity), None)
    if unflagged is not None and _side(unflagged, null) != _side(difference, null):
        yield Caveat(
            code="flags_matter",
            text=f"{comparison.metric}: without the items with a flagged answer, the conclusion on "
            f"'{comparison.candidate}' changes ({'win rate' if null else 'difference'} "
            f"{unflagged.estimate:{sign}.3f} instead of {difference.estimate:{sign}.3f}).",
        )


def _score_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn of missing scores, and of scores at the top of the scale."""
    metric = comparison.metric
    if comparison.n_missing:
        yield Caveat(
            code="unscored",
            text=f"{metric}: no score for '{comparison.candidate}' or its baseline on "
            f"{comparison.n_missing} of {comparison.n + comparison.n_missing} items; the gate counts "
            "them at their worst.",
        )
    for flag in comparison.flags:
        if flag.startswith("missing_unevenly:"):
            yield Caveat(
                code="missing_unevenly",
                text=f"{metric}: judgements are missing more often for one of '{comparison.candidate}' "
                f"and '{comparison.baseline}' than for the other (p = {flag.partition(':')[2]}), so the "
                "remaining items are not a fair comparison.",
            )
        if flag.startswith("saturated:"):
            yield Caveat(
                code="saturated",
                text=f"{metric}: more than 60 % of the scores of '{flag.partition(':')[2]}' are in "
                "the top tenth of the scale, so differences between good answers cannot be seen.",
            )


def _order_caveats(comparison: Comparison) -> Iterator[Caveat]:
    """Warn of pairs judged in one order only, and of an effect of the order."""
    detail = comparison.pairwise
    if detail is not None and detail.single_order:
        yield Caveat(
            code="single_order",
            text=f"{comparison.metric}: every pair was shown in one order only, so a preference for a "
            "position cannot be separated from a preference for a model.",
        )
    if detail is not None and detail.position_p is not None and detail.position_p < 0.05:
        yield Caveat(
            code="position_effect",
            text=f"{comparison.metric}: the judge's verdict on '{comparison.candidate}' against "
            f"'{comparison.baseline}' depends on the order of the answers "
            f"(p = {detail.position_p:.3g}).",
        )


def _side(interval: Interval, null: float) -> int:
    """Return 1 above the null value, -1 below it, 0 if the interval contains it."""
    return int(interval.low > null) - int(interval.high < null)
