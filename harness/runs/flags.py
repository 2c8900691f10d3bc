"""The hygiene flags of a task's answers; those of many are found by other processes beside the judging."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from harness.core.processes import parallel_map
from harness.data.hygiene import ending_flags, repeated_answers, text_flags
from harness.data.thoughts import cut_off_in_thoughts
from harness.scoring.task_scores import Flags
from harness.types import HygieneFlag, Task
from harness.types.samples import Responses
from judges.injection import suspect_injection

MANY_ANSWERS = 200_000  # whose flags take much longer than processes to start
ANSWERS_AT_ONCE = 1_000

TextFlags = Iterable[tuple[HygieneFlag, ...]]  # those of each answer's text, in the answers' order


@contextmanager
def flagging(task: Task, responses: Mapping[str, Responses]) -> Iterator[Callable[[], Flags]]:
    """Start to compute the flags of every answer, and yield a function that returns them.

    Raises:
        InfrastructureError: a process that computes them was killed.
    """
    if sum(map(len, responses.values())) < MANY_ANSWERS:
        flags = flag_responses(task, responses)
        yield lambda: flags
        return
    with parallel_map(_flags_of_text, 2, at_once=ANSWERS_AT_ONCE) as search:
        found = {model: search(_texts(task, answers)) for model, answers in responses.items()}
        yield lambda: _join_flags(task, responses, found)


def flag_responses(task: Task, responses: Mapping[str, Responses]) -> Flags:
    """Compute the hygiene flags of every answer."""
    found = {m: map(_flags_of_text, _texts(task, answers)) for m, answers in responses.items()}
    return _join_flags(task, responses, found)


def _texts(task: Task, answers: Responses) -> Iterator[tuple[str, str | None]]:
    """Yield the text of every answer with the system prompt that it may leak."""
    systems = {sample.id: sample.system or task.system for sample in task.samples}
    for sample_id, answer in answers.items():
        yield answer.text or "", answer.system or systems[sample_id]


def _flags_of_text(asked: tuple[str, str | None]) -> tuple[HygieneFlag, ...]:
    text, system = asked
    suspicious = suspect_injection(text).suspected_injection
    return (*text_flags(text, system), *(("suspected_injection",) if suspicious else ()))


def _join_flags(
    task: Task, responses: Mapping[str, Responses], found: Mapping[str, TextFlags]
) -> Flags:
    return {model: _flag_model(task, responses[model], texts) for model, texts in found.items()}


def _flag_model(
    task: Task, answers: Responses, found: TextFlags
) -> dict[str, tuple[HygieneFlag, ...]]:
    """Join the flags of every answer's text with those that take more than its text."""
    if task.scored_options is not None:  # numbers, and no texts
        return dict.fromkeys(answers, ())
    questions = {sample.id: sample.transcript for sample in task.samples}
    repeated: set[str] = set()
    # "The correct answer is B." suits many questions.
    if task.equal_answers == "flagged" and not any(sample.choices for sample in task.samples):
        repeated = repeated_answers({i: answer.text for i, answer in answers.items()}, questions)
    thinking = cut_off_in_thoughts(answers)
    return {
        sample_id: (
            *ending_flags(response),
            *of_text,
            *(("repeated_answer",) if sample_id in repeated else ()),
            *(("unfinished_thoughts",) if sample_id in thinking else ()),
        )
        for (sample_id, response), of_text in zip(answers.items(), found, strict=True)
    }
