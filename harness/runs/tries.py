"""The try that a run is: registered before the gate sees a score, and decided at the alpha it has."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.gate.best import BestOf, choose_best, gate_of_each, is_best_of
from harness.gate.decision import decide_gate, find_unscored
from harness.gate.tries import describe_count, describe_models, find_last_standing, share_of_try
from harness.planning.ledger import add_lines, make_tries, read_ledger
from harness.planning.tries import can_pass, plan_at_level
from harness.scoring.paired import PairedScores, gated_pairs
from harness.scoring.task_scores import TaskScores
from harness.types import Caveat, Plan, RunResult, Try, TryCount

FIRST_SEED = (
    "The same comparison under another seed came first and decides: {}. To decide on several answers to "
    "each item together, state 'answers' in the suite."
)


class CountedTry:
    """A run's place among the tries on its items; `count` is None for what is not counted.

    What could not pass is no try: a gate that no answers pass on these items, as in a trial with a
    small --limit, and a run in which more is unscored than the gate allows.
    """

    def __init__(self, plan: Plan, fingerprints: Mapping[str, str], ledger: Path | None) -> None:
        self._fingerprints = fingerprints
        self._ledger = ledger
        self._try: Try | None = None
        self.plan = plan
        self.count: TryCount | None = None
        self.best: BestOf | None = None

    def register(self, measured: Sequence[TaskScores]) -> Plan:
        """Register the try with its answers, and return the plan at the alpha that it has.

        Raises:
            HarnessError: the ledger is damaged.
            InfrastructureError: it could not be written.
        """
        self._count(measured)
        if is_best_of(self.plan):
            self.plan = self._choose_best(measured)
        return self.plan

    def _count(self, measured: Sequence[TaskScores]) -> None:
        """Register the try, and give the plan the alpha that it has."""
        if (
            self._ledger is None
            or not can_pass(self.plan)
            or _too_much_unscored(self.plan, measured)
        ):
            return
        item_set, tries = make_tries(self.plan, self._fingerprints, measured)
        known = read_ledger(self._ledger)
        found = [known.find(attempt) for attempt in tries]
        new = [
            attempt
            for attempt, old in zip(tries, found, strict=True)
            if old is None or (old.seen and not attempt.seen)
        ]
        add_lines(self._ledger, [item_set, *new])
        ledger = read_ledger(self._ledger)
        self._try = ledger.find(tries[0])
        assert self._try is not None
        self.count = ledger.count_for(self._try)
        if not self.count.alone:
            self.plan = plan_at_level(self.plan, self.count.level)

    def _choose_best(self, measured: Sequence[TaskScores]) -> Plan:
        """Return the plan with the best candidate as the one that is decided on, at its share of alpha."""
        gate, later = self.plan.gate, [model.name for model in self.plan.models[1:]]
        assert gate is not None
        columns = [column for part in measured for column in part.columns]
        pairs = {
            name: gated_pairs(columns, self.plan.model_copy(update={"chosen": name}))
            for name in later
        }
        self.best = choose_best(gate, pairs)
        chosen = self.plan.model_copy(update={"chosen": self.best.name})
        return plan_at_level(chosen, gate_of_each(gate, len(later)).alpha)

    def conclude(self, result: RunResult, pairs: Mapping[str, PairedScores]) -> RunResult:
        """Return the result with its place among the tries, in words and in its caveats."""
        if self.best is not None:
            result = _tell_best(result, self.best, self.plan)
        if self.count is None or result.decision is None:
            return result
        stands_to = self._find_last_standing(result, pairs)
        self.count = self.count.model_copy(update={"stands_to": stands_to})
        decision, count = result.decision, describe_count(self.count)
        if count:
            sentence = f"{decision.sentence} {count}"
            decision = decision.model_copy(update={"sentence": sentence})
        first = self.count.first_seed
        if decision.verdict == "pass" and first is not None and first.verdict != "pass":
            decision = decision.model_copy(
                update={
                    "verdict": "inconclusive",
                    "sentence": f"{FIRST_SEED.format(first.verdict or 'not ended')} Under this seed: "
                    f"{decision.sentence}",
                }
            )
        return result.model_copy(
            update={
                "tries": self.count,
                "decision": decision,
                "caveats": (*tries_caveats(self.count), *result.caveats),
            }
        )

    def record_verdict(self, result: RunResult) -> None:
        """Add the verdict to the ledger, unless it stands there."""
        if self._try is None or self._ledger is None or self.count is None:
            return
        assert result.decision is not None
        verdict = {
            "level": self.count.level,
            "verdict": result.decision.verdict,
            "stands_to": self.count.stands_to,
        }
        decided = self._try.model_copy(update=verdict)
        if decided != self._try:
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            add_lines(self._ledger, [decided.model_copy(update={"decided": now})])

    def _find_last_standing(
        self, result: RunResult, pairs: Mapping[str, PairedScores]
    ) -> int | None:
        """Return the last number at whose level a pass would be one; None for another verdict."""
        assert self.count is not None
        gate = self.plan.gate
        if gate is None or result.decision is None or result.decision.verdict != "pass":
            return None
        if result.stopping is not None:  # judging might have gone on at another level
            return 0 if self.count.alone else self.count.number

        def passes(level: float) -> bool:
            of_each = level / (len(self.plan.models) - 1) if self.best else level
            at_level = gate.model_copy(update={"alpha": of_each})
            return decide_gate(at_level, pairs, advise=False).verdict == "pass"

        return find_last_standing(passes, self.count.alpha)


def _tell_best(result: RunResult, best: BestOf, plan: Plan) -> RunResult:
    """Return the result with what the choice among several candidates means for its verdict."""
    assert result.decision is not None
    assert plan.gate is not None
    n = len(plan.models) - 1
    others = [name for name in best.passing if name != best.name]
    also = f" By Holm's method {' and '.join(others)} also pass{'' if len(others) > 1 else 'es'}."
    sentence = (
        f"{result.decision.sentence} It is the best of {n} candidates, each tested at "
        f"{plan.gate.alpha:.2g}.{also if others else ''}"
    )
    caveat = Caveat(
        code="best_of_several",
        text=f"'{best.name}' was chosen as the best of {n} candidates by these scores. The verdict is "
        "corrected for that; its estimates are not, and are on average too high.",
    )
    return result.model_copy(
        update={
            "decision": result.decision.model_copy(update={"sentence": sentence}),
            "caveats": (caveat, *result.caveats),
        }
    )


def _too_much_unscored(plan: Plan, measured: Sequence[TaskScores]) -> bool:
    """Return whether no verdict can be given; not known at a first look, nor of several candidates."""
    assert plan.gate is not None
    if plan.looks or is_best_of(plan):
        return False
    pairs = gated_pairs([column for part in measured for column in part.columns], plan)
    return find_unscored(plan.gate, pairs) is not None


def tries_caveats(count: TryCount) -> list[Caveat]:
    """Say what came before, what a next try would have, and what a pass of the first one rests on."""
    if count.first_seed is not None:
        first = count.first_seed
        text = FIRST_SEED.format(f"{first.verdict or 'not ended'}, on {first.registered[:10]}")
        return [Caveat(code="other_seed", text=text)]
    if count.alone:
        if count.stands_to == 0:
            share = count.alpha * share_of_try(1)
            return [
                Caveat(
                    code="only_try",
                    text="This pass stands while it is the only try on these items. "
                    f"With a second one it would need {share:.2g} in place of alpha {count.alpha:g}, "
                    "which these scores do not reach.",
                )
            ]
        return []
    listed = "; ".join(
        f"{describe_models(other.models)} on {other.registered[:10]} ({other.differs}"
        f"{f', {other.verdict}' if other.verdict else ''})"
        for other in reversed(count.earlier[-3:])
    )
    before = f"Tries on these items before this one: {listed}{' …' if count.number > 4 else ''}. "
    return [
        Caveat(
            code="tried_before",
            text=f"{before if listed else ''}The next one has {count.next_level:.2g} of alpha "
            f"{count.alpha:g}; only new items begin again.",
        )
    ]
