"""What a run's folder must fulfil to be read: its files are those that the run wrote, and they agree.

    results.json   tables: {"scores.parquet": "9f2c…", …}   sha256 of every table, written last

A table that was changed, replaced or left by another run is refused, and so is a result that does
not follow from itself: another plan than its hash, another run than its id, another verdict than
that of its claims. Scores must fit the plan and the result, so that also folders of earlier versions,
which have no hashes, are held to something.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.artifacts.answers import ANSWERS_FILE
from harness.artifacts.judgements import JUDGEMENTS_FILE
from harness.artifacts.scores import SCORES_FILE
from harness.config import Gate, PairwiseMetric, metric_of, pairs_of
from harness.core.errors import InfrastructureError
from harness.core.hashing import content_hash, file_hash
from harness.gate.decision import overall_verdict
from harness.gate.interim import look_levels
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.scoring.paired import pair_scores
from harness.types import Comparison, GateDecision, Plan, RunResult, Task, TaskLooks, Verdict

TABLES = (SCORES_FILE, ANSWERS_FILE, JUDGEMENTS_FILE)
NOT_VERIFIED = (
    "not verified: an earlier version wrote this run, without hashes of its tables. Run it again to "
    "have them; answers and verdicts are stored"
)
_ROUNDING = 1e-9
_REMEDY = "Run `harness run` again with the same suite and models: the store keeps all answers."


def hash_tables(folder: Path) -> dict[str, str]:
    """Return the sha256 of each table in a run's folder, by file name.

    Raises:
        OSError: one cannot be read.
    """
    return {name: file_hash(folder / name) for name in TABLES}


def require_unchanged(
    data: Mapping[str, object], folder: Path, file: str, *, hash_tables: bool = True
) -> None:
    """Refuse a folder whose tables, plan or run id are not those that `data`, its result, states.

    A table that is not there is left to its reader, which says how to get it, and so are all of them
    without `hash_tables`.

    Raises:
        InfrastructureError: names the file that does not fit.
    """
    tables, plan = data.get("tables") or {}, data.get("plan")
    for name, sha256 in tables.items() if isinstance(tables, dict) else ():
        if name not in TABLES:
            raise _does_not_fit(folder / file, f"it names a table '{name}', which no run has")
        if hash_tables and (folder / name).is_file() and file_hash(folder / name) != sha256:
            raise _does_not_fit(
                folder / name,
                f"it is not the file that this run wrote (its sha256 in {file} differs)",
            )
    if not isinstance(plan, dict):
        return  # its reader says what is wrong
    # Of the text as it was written: a later version may know fields that this plan lacks.
    stated = plan.get("hash")
    if _hash_of(_as_stated(plan, data)) != stated:
        raise _does_not_fit(folder / file, "its plan is not the one that was hashed")
    if _hash_of(stated, data.get("fingerprints"))[:12] != data.get("run_id"):
        raise _does_not_fit(folder / file, "its run id is not that of its plan and models")


def _as_stated(plan: Mapping[str, object], data: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that the plan's hash is of: at the stated alpha, before a candidate was chosen.

    They are none where the gate has an alpha that does not follow from the stated one.
    """
    fields = {key: value for key, value in plan.items() if key not in ("hash", "chosen")}
    gate, tries, models = fields.get("gate"), data.get("tries"), fields.get("models")
    counted = tries if isinstance(tries, dict) else {}
    alpha = data.get("stated_alpha") or counted.get("alpha")
    if not (isinstance(alpha, float) and isinstance(gate, dict) and isinstance(models, list)):
        return fields
    # A try that is alone has the stated alpha, and any other its level; candidates share it.
    level = alpha if counted.get("alone", True) else counted.get("level")
    n_sharing = len(models) - 1 if plan.get("chosen") else 1
    if not isinstance(level, float) or level > alpha or n_sharing < 1:
        return {}
    own = gate.get("alpha")
    if not isinstance(own, float) or not math.isclose(own, level / n_sharing, rel_tol=1e-9):
        return {}
    fields["gate"] = gate | {"alpha": alpha}
    looks = fields.get("looks")
    if isinstance(looks, list) and own != alpha:
        at_alpha = (
            look_levels(TaskLooks.model_validate(row, strict=False), alpha) for row in looks
        )
        fields["looks"] = [of_task.model_dump(mode="json") for of_task in at_alpha]
    return fields


def _hash_of(*parts: object) -> str:
    """Return the hash of the parts; none where they hold a text that cannot be hashed."""
    try:
        return content_hash(*parts)
    except UnicodeEncodeError:
        return ""


def require_consistent(result: RunResult, path: Path) -> None:
    """Refuse a result whose verdict does not follow from the claims and rules that it states.

    Raises:
        InfrastructureError: names the file, and what contradicts what.
    """
    gate, decision = result.plan.gate, result.decision
    if gate is None or decision is None:
        explained = result.plan.alone and bool(result.plan.not_decided)  # claims want a baseline
        if (gate is None) != (decision is None) and not explained:
            raise _does_not_fit(path, "it has a gate and no decision, or a decision and no gate")
        return
    problem = next(_contradictions(gate, decision, result), None)
    if problem is not None:
        raise _does_not_fit(path, problem)


def require_fitting_scores(columns: Sequence[ScoreColumn], result: RunResult, folder: Path) -> None:
    """Refuse scores that are not of this result: other models, items, scales or means.

    Raises:
        InfrastructureError: names the file, the column, and what does not fit.
    """
    path, plan = folder / SCORES_FILE, result.plan
    of_metric = {name: task for task in plan.tasks for name in task.metrics}
    names = [(column.metric, _models_of(column)) for column in columns]
    if len(set(names)) != len(names):
        raise _does_not_fit(path, "a column occurs twice")
    judged = {stop.task: stop.n_items for stop in result.stopping.tasks} if result.stopping else {}
    for column in columns:
        task = of_metric.get(metric_of(column.metric))
        if task is None:
            raise _does_not_fit(path, f"{column.metric}: is no metric of this run")
        n_items = judged[task.name] * task.answers if task.name in judged else task.n_items
        for problem in _misfits(column, task, plan, n_items):
            raise _does_not_fit(path, f"{column.metric}: {problem}")
    pairs = {
        (pair.metric, pair.baseline, pair.candidate): pair
        for column in columns
        for pair in pair_scores(column, plan.baseline)
    }
    for stated in result.comparisons:
        pair = pairs.get((stated.metric, stated.baseline, stated.candidate))
        if pair is None:
            raise _does_not_fit(path, f"{stated.metric}: has no scores, but the result compares it")
        if not _same_comparison(stated, pair.d, pair.baseline_scores, pair.candidate_scores):
            raise _does_not_fit(
                path, f"{stated.metric}: its scores are not those that the result compares"
            )


# --- the result ------------------------------------------------------------------------------


def _contradictions(gate: Gate, decision: GateDecision, result: RunResult) -> Iterator[str]:
    if [claim.metric for claim in decision.claims] != [claim.metric for claim in gate.claims]:
        yield "the claims of its decision are not those of its gate"
    if [rule.metric for rule in decision.critical] != [rule.metric for rule in gate.critical]:
        yield "the rules of its decision are not those of its gate"
    for claim in decision.claims:
        p_value = claim.p_value if claim.p_adjusted is None else claim.p_adjusted
        passed = claim.verdict == "pass" and not claim.alarm
        if passed and p_value is not None and p_value > gate.alpha + _ROUNDING:
            yield f"{claim.claim}: passes, with a p-value of {p_value:g}"
    follows = _verdict_of_claims(gate, decision)
    # What surrounds a gate (labels, licences, missing scores) withdraws verdicts and gives none.
    withdrawn = decision.verdict == "inconclusive" and (
        follows == "pass" or _may_withdraw_fail(gate, decision, result)
    )
    if decision.verdict != follows and not withdrawn:
        yield f"its verdict is '{decision.verdict}', and that of its claims and rules '{follows}'"
    if decision.verdict == "pass" and not all(check.held for check in decision.licences):
        yield "its verdict is 'pass', though a judge does not meet the gate's requirement"


def _verdict_of_claims(gate: Gate, decision: GateDecision) -> Verdict:
    verdict = overall_verdict(decision.claims, gate)
    rules = {rule.verdict for rule in decision.critical}
    if "fail" in rules:
        return "fail"
    return "inconclusive" if verdict == "pass" and "inconclusive" in rules else verdict


def _may_withdraw_fail(gate: Gate, decision: GateDecision, result: RunResult) -> bool:
    """Return whether something in the result explains that a fail of its claims decides nothing."""
    claimed = {claim.metric for claim in gate.claims}
    too_few = any(
        c.metric in claimed and gate.lacks_scores(c.n_missing, c.n + c.n_missing)
        for c in result.comparisons
    )
    unmet = any(not check.held for check in decision.licences)
    return too_few or unmet or any(not c.confirmed for c in decision.confirmations)


# --- the scores ------------------------------------------------------------------------------


def _models_of(column: ScoreColumn) -> tuple[str, ...]:
    if isinstance(column, PreferenceColumn):
        return column.baseline, column.candidate
    return tuple(column.scores)


def _misfits(column: ScoreColumn, task: Task, plan: Plan, n_items: int) -> Iterator[str]:
    """Yield what of a column is not as the plan states it."""
    name = metric_of(column.metric)
    metric = task.metrics[name]
    models = [model.name for model in plan.models]
    if column.metric not in metric.columns(name):
        yield f"is no column of '{name}'"
        return
    low, high = metric.bounds_of(column.metric)
    if isinstance(column, PreferenceColumn) != isinstance(metric, PairwiseMetric):
        yield "holds scores of another kind than its metric gives"
    elif isinstance(column, GradeColumn):
        # The mean of several judges' or annotators' yes and no is between 0 and 1: points, and no share.
        kinds = {metric.score_kind} | ({"points"} if column.votes is not None else set())
        if column.kind not in kinds or (column.low, column.high) != (low, high):
            yield f"has a scale of {column.low:g} to {column.high:g}, and its metric {low:g} to {high:g}"
        if list(column.scores) != models:
            yield f"has scores of {', '.join(column.scores)}, and the run is of {', '.join(models)}"
    elif _models_of(column) not in pairs_of(metric, models):  # type: ignore[arg-type]  # pairwise
        yield f"compares {' and '.join(_models_of(column))}, which the run does not"
    n_scored = len(column.sample_ids)
    if n_scored > n_items or (n_scored < n_items and metric.covers_all(column.metric)):
        yield f"has {n_scored:,} items, and the run {n_items:,}"
    if len(set(column.sample_ids)) != n_scored:
        yield "has an item twice"
    parts = column.by_order if isinstance(column, PreferenceColumn) else column.scores
    for scores in parts.values():
        odd = scores[(scores < low - _ROUNDING) | (scores > high + _ROUNDING)]
        if odd.size:
            yield f"has a score of {odd[0]:g}, outside {low:g} to {high:g}"


def _same_comparison(
    stated: Comparison, d: "np.ndarray", baseline: "np.ndarray", candidate: "np.ndarray"
) -> bool:
    observed = ~np.isnan(d)
    if (stated.n, stated.n_missing) != (int(observed.sum()), int((~observed).sum())):
        return False
    means = (stated.baseline_mean, baseline), (stated.candidate_mean, candidate)
    return all(
        math.isclose(mean, float(scores[observed].mean()), rel_tol=1e-6, abs_tol=1e-9)
        for mean, scores in means
    )


def _does_not_fit(path: Path, problem: str) -> InfrastructureError:
    return InfrastructureError(f"{path}: {problem}, so nothing is read from this run. {_REMEDY}")
