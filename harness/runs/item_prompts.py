"""What models and judges were sent about an item: built again from a run's tables, and checked by its hash.

A prompt is a pure function of what the plan and the tables hold (`judges/prompts.py`, `Sample.chat`). The hash of what was
sent stands beside an endpoint's answer or verdict. A prompt that does not have it is not shown, and what no
hash vouches for is said to be built again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from harness.config import ChecklistMetric, ComputedMetric, Metric, PairwiseMetric, SupportMetric
from harness.data.redaction import redact_sample
from harness.retrieval.prompt import with_passages
from harness.types import (
    GradeRequest,
    JudgeCard,
    JudgeRequest,
    Message,
    Order,
    Plan,
    PlannedModel,
    PreferenceRequest,
    Sample,
    Task,
)
from harness.types.samples import Role, hash_prompt, speaker
from judges.checklist import join_prompts, requests_on_criteria
from judges.judging import shown_to_judge
from judges.llm import redact_request
from judges.prompts import RETRY_NOTE, build_prompt
from judges.support import decided_unasked
from reports.items import Item, ItemAnswer, ItemJudgement, ItemPrompts, PromptsOf, SentPrompt

RECORDED = "This answer was recorded elsewhere: what the model was sent is not known here."
LIKELIHOODS = "The options' log-probabilities were computed; the model was not asked to answer."
QUESTION_ALONE = (
    "What is shown above was sent as it is: the turns, with the question last, and nothing else."
)
REDACTED = "Identifiers that were found in it had been replaced, as here."
UNCHECKED = "Built again from the run's tables, which do not hold the hash of what was sent, so that it cannot be checked."
OTHER = "What was sent cannot be built again by this version: its hash is another one."
TEMPLATE = "The checkpoint's chat template wrote these messages as one text."
NO_CRITERIA = "The run's tables, of an earlier version, do not hold the item's criteria, which the prompt had."
ONE_BY_ONE = "The judge was sent one such prompt about each of {n} criteria. They differ in the criterion, and in the mark of the blocks."
STATEMENT_BY_STATEMENT = "The judge was sent one such prompt about each of {n} statements."
NO_REPLIES = "The run's tables, of an earlier version, do not hold the judge's replies."


_ROLES = {speaker(Message(role=role, content="")): role for role in get_args(Role)}


def prompts_of_run(plan: Plan) -> PromptsOf:
    """Return a function from an item of the run to what models and judges were sent about it."""
    tasks = {task.name: task for task in plan.tasks}
    models = {model.name: model for model in plan.models}

    def prompts_of(item: Item) -> ItemPrompts:
        task, sample = tasks[item.task], _sample_of(item)
        sent = [_to_model(models[a.model], a, sample, task) for a in item.answers]
        return ItemPrompts(
            tuple(_join_equal(sent)),
            tuple(_to_judge(plan, task, one, item, sample) for one in item.judgements),
        )

    return prompts_of


def _sample_of(item: Item) -> Sample:
    return Sample(
        id=item.sample_id,
        input=item.input,
        reference=item.reference,
        references=item.references,
        criteria=dict(item.criteria),
        history=tuple(Message(role=_ROLES[who], content=text) for who, text in item.history),
        row=0,
    )


# --- models ----------------------------------------------------------------------------------


def _to_model(model: PlannedModel, answer: ItemAnswer, sample: Sample, task: Task) -> SentPrompt:
    if model.kind == "recorded":
        return SentPrompt(model.name, (), RECORDED)
    if task.scored_options is not None:
        return SentPrompt(model.name, (), LIKELIHOODS)
    asked = sample
    if model.retrieval is not None:
        asked = with_passages(sample, answer.passages or (), model.retrieval.prompt)
    plain = asked.chat(task.system)
    if model.kind != "endpoint":
        return _describe(model.name, plain, sample, TEMPLATE)
    if answer.prompt is None:
        return _describe(model.name, plain, sample, UNCHECKED)
    if hash_prompt(plain) == answer.prompt:
        return _describe(model.name, plain, sample, "")
    redacted = redact_sample(asked).chat(task.system)
    if hash_prompt(redacted) == answer.prompt:
        return SentPrompt(model.name, redacted, REDACTED)
    return SentPrompt(model.name, (), OTHER)


def _describe(to: str, messages: tuple[Message, ...], sample: Sample, note: str) -> SentPrompt:
    """Return the messages, or only that they are the turns which the page shows anyway."""
    if messages == sample.chat(None):
        return SentPrompt(to, (), " ".join(filter(None, (QUESTION_ALONE, note))))
    return SentPrompt(to, messages, note)


def _join_equal(prompts: Sequence[SentPrompt]) -> Iterator[SentPrompt]:
    """Yield each different prompt once, with the names of all models that were sent it."""
    names: dict[tuple[tuple[Message, ...], str], list[str]] = {}
    for to, messages, note in prompts:
        names.setdefault((messages, note), []).append(to)
    for (messages, note), own in names.items():
        yield SentPrompt(" and ".join(own), messages, note)


# --- judges ----------------------------------------------------------------------------------


def _to_judge(
    plan: Plan, task: Task, one: ItemJudgement, item: Item, sample: Sample
) -> SentPrompt | None:
    """Return what a language model was sent for a judgement; None where none was asked."""
    metric = task.metrics[one.metric]
    card = _card_of(plan.judges.get(one.metric), one.judge)
    asked = one.replies is not None or (card is not None and card.model is not None)
    if isinstance(metric, ComputedMetric) or not asked:
        return None
    replied = "" if one.replies is not None else NO_REPLIES
    if isinstance(metric, ChecklistMetric) and metric.list_name not in sample.criteria:
        return SentPrompt(one.judge, (), f"{NO_CRITERIA} {replied}".strip())
    request = _request_of(metric, one, item, sample)
    if request is None:
        return SentPrompt(one.judge, (), replied) if replied else None
    if isinstance(metric, SupportMetric) and not _asked_of(request):
        return None
    messages, note = _find_sent(request, one.prompt)
    if isinstance(metric, SupportMetric):
        note = f"{STATEMENT_BY_STATEMENT.format(n=len(_asked_of(request)))} {note}".strip()
    elif isinstance(metric, ChecklistMetric) and not metric.together:
        n = len(sample.criteria[metric.list_name])
        note = f"{ONE_BY_ONE.format(n=n)} {note}".strip()
    elif one.replies is not None and len(one.replies) > 1:
        note = f"{note} After the first reply it was sent again, with this at its end: {RETRY_NOTE}".strip()
    return SentPrompt(one.judge, messages, f"{note} {replied}".strip())


def _card_of(card: JudgeCard | None, judge: str) -> JudgeCard | None:
    name = judge.partition(", round ")[0]
    return next((single for single in card.singles if single.name == name), None) if card else None


def _request_of(
    metric: Metric, one: ItemJudgement, item: Item, sample: Sample
) -> JudgeRequest | None:
    """Return the request behind a judgement; None where an answer was not there to be judged."""
    texts: Mapping[str, str | None] = {answer.model: answer.text for answer in item.answers}
    shown, answer = shown_to_judge(sample, metric), texts.get(one.model)
    if answer is None:
        return None
    if not isinstance(metric, PairwiseMetric):
        given = {answer.model: answer.passages for answer in item.answers}
        request = GradeRequest(shown, one.metric, metric, one.model, answer, one.round)
        return replace(request, passages=given.get(one.model) if metric.about_passages else None)
    against = texts.get(one.against or "")
    if against is None or one.against is None:
        return None
    order: Order = "candidate_first" if one.order == "candidate_first" else "baseline_first"
    first, second = (answer, against) if order == "candidate_first" else (against, answer)
    return PreferenceRequest(
        shown, one.metric, metric, order, one.against, one.model, first, second, one.round
    )


def _find_sent(request: JudgeRequest, sent: str | None) -> tuple[tuple[Message, ...], str]:
    """Return the first prompt of a request if the hash is that of what was sent, and what to know of it."""
    plain, plain_hash = _build(request)
    if sent is None:
        return plain, UNCHECKED
    if plain_hash == sent:
        return plain, ""
    redacted, redacted_hash = _build(redact_request(request))
    return (redacted, REDACTED) if redacted_hash == sent else ((), OTHER)


def _asked_of(request: JudgeRequest) -> list[JudgeRequest]:
    """Return what a judge was asked of a request: each criterion or statement that takes a judge, or the request."""
    asked = requests_on_criteria(request) if isinstance(request, GradeRequest) else [request]
    return [one for one in asked if decided_unasked(one) is None]


def _build(request: JudgeRequest) -> tuple[tuple[Message, ...], str]:
    """Build the prompts of a request; return the first, and the hash of one or of all about criteria."""
    built = [build_prompt(one) for one in _asked_of(request)]
    hashes = [hash_prompt(prompt.messages) for prompt in built]
    at_once = isinstance(request.metric, ChecklistMetric) and request.metric.together
    one_by_one = request.metric.by_criteria and not at_once
    return built[0].messages, join_prompts(hashes) if one_by_one else hashes[0]
