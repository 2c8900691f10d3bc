"""Caveats on answers: requests that failed, prompts that were not as stated, flags, and models that say the same."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from harness.data.recorded import RecordedModel
from harness.models.generate import count_failures, is_recorded_failure
from harness.models.model_kinds import CheckpointModel, ServedCheckpoint
from harness.models.seeds import models_of
from harness.runs.prepare import Prepared
from harness.scoring.task_scores import TaskScores
from harness.types import Caveat, Exchange, HygieneCount, HygieneFlag, Plan
from harness.types.samples import same_text
from trainers.chat_tokens import CONTROL_TOKENS, PROMPT_DIFFERS

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
        for code, fact in (("prompt_differs", PROMPT_DIFFERS), ("control_tokens", CONTROL_TOKENS)):
            for said in filter(None, dict.fromkeys(c.facts.get(fact) for c in prepared.cards)):
                yield Caveat(code=code, text=f"Of the training of '{name}': {said}.")


def identical_answer_caveats(plan: Plan, measured: Iterable[TaskScores]) -> Iterator[Caveat]:
    """Point out that the gate's two models say the same, as one model under two names does."""
    if plan.alone:
        return
    baseline, candidate = plan.baseline, plan.candidate
    for part in measured:
        old, new = part.responses[baseline], part.responses[candidate]
        compared = [same_text(old[i].text, new[i].text) for i in old]
        n, n_same = sum(same is not None for same in compared), compared.count(True)
        # Few texts, such as the letters of options, are often equal by chance.
        few = 2 * len({response.text for response in old.values()}) <= n
        if n_same >= (1 if few else IDENTICAL_SHARE) * n > 0:
            yield Caveat(
                code="identical_answers",
                text=f"'{baseline}' and '{candidate}' gave the same answer to {n_same:,} of {n:,} items of "
                f"'{part.task.name}'. Are they one model under two names? On these items any "
                "difference is the judge's own.",
            )


def flagged_answer_caveats(hygiene: Iterable[HygieneCount]) -> Iterator[Caveat]:
    """Report the flags that many of a model's answers have, and answers that are none."""
    for count in hygiene:
        for flag, n in count.counts.items():
            if n and (flag in NO_ANSWER_FLAGS or n > FLAGGED_SHARE * count.n):
                yield Caveat(
                    code=flag,
                    text=f"'{count.model}' on '{count.task}': {n} of {count.n} answers "
                    f"{_FLAG_PHRASES[flag]}.",
                )
