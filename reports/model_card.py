"""README.md of an exported checkpoint: the model card that the hub shows.

The metadata at its head are in the hub's format. The text gives the model's training, the
evaluation with its judges, and the limits of both.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.core.sanitize import escape_invisible, escape_record
from harness.types import CheckpointCard, Comparison, JudgeCard, Plan, RunResult
from harness.types.training import Ancestor
from reports.formatting import columns_by_name, format_interval, join_names, join_quoted, number
from reports.markdown import escape, fence
from reports.sections.interim import items_judged
from reports.sections.preference_pairs import describe_pairs
from reports.view import make_view

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TAG = "alignment-harness"

LIMITS = (
    "The numbers above show how these judges scored these items. They are no evidence that the model "
    "is safe for patients.",
    "This is not a medical device, and it was not tested in patient care. Its answers can be wrong "
    "while sounding right; only people who can recognise wrong answers should use it.",
)


def render_model_card(
    card: CheckpointCard,
    lineage: Sequence[Ancestor],
    *,
    root: str,
    base_model: str | None,
    versions: dict[str, str],
    result: RunResult | None,
    note: str,
    unmerged: bool = False,
) -> str:
    """Return the card in Markdown with the hub's metadata at its head.

    An `unmerged` checkpoint is an adapter that is loaded on its base.

    `lineage` lists the checkpoint and its known ancestors, back to `root`; `base_model` is that root
    if it is a hub model. `note` is a warning that the card must show with any results.

    Raises:
        HarnessError: the run did not evaluate this checkpoint.
    """
    from huggingface_hub import ModelCardData

    # 1. The hub's metadata.
    generates_text = card.method != "reward"
    data = ModelCardData(
        model_name=card.model,
        library_name="peft" if unmerged else "transformers",
        pipeline_tag="text-generation" if generates_text else "text-classification",
        base_model=base_model,
        tags=[TAG, card.method],
        eval_results=list(eval_results(model_name_in_run(card.fingerprint, result), result))
        if result
        else None,
    )
    # 2. The text.
    blocks = [
        f"# {escape(card.model)}",
        f"A checkpoint of the recipe {escape(card.recipe)} (method: {escape(card.method)}), trained "
        f"and exported with {TAG}.",
        *([f"> {escape(note)}"] if note else []),
        *(_evaluation(card, escape_record(result)) if result else [_NOT_EVALUATED]),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(result, note)),
        "## Training",
        _fact_table(_facts(card)),
        "## Lineage",
        "\n".join(f"- {line}" for line in (*map(_ancestor, lineage), escape(f"from {root}"))),
        "Trained with "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        *([_USE.format(code=_ON_BASE if unmerged else _ALONE)] if generates_text else []),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(blocks) + "\n"


def model_name_in_run(fingerprint: str, result: RunResult) -> str:
    """Return the name that the run gives to the checkpoint.

    Raises:
        HarnessError: the run did not evaluate this checkpoint.
    """
    for name, evaluated in result.fingerprints.items():
        if evaluated == fingerprint:
            return name
    evaluated_models = ", ".join(f"{name} {f[:12]}" for name, f in result.fingerprints.items())
    raise HarnessError(
        f"run {result.run_id} did not evaluate this checkpoint ({fingerprint[:12]}); it evaluated "
        f"{evaluated_models}. A model card can only show results of its own model: name a run that "
        "evaluated this checkpoint."
    )


# --- metadata --------------------------------------------------------------------------------


def eval_results(name: str, result: RunResult) -> Iterator["EvalResult"]:
    """Yield the mean scores and win rates of the model of that name in the hub's format."""
    from huggingface_hub import EvalResult

    # 1. Collect the task, the number of judged items, and the estimate of each column.
    plan = result.plan
    tasks = {metric: task for task in plan.tasks for metric in task.metrics}
    n_judged = {
        metric: n
        for task, n in zip(plan.tasks, items_judged(result), strict=True)
        for metric in task.metrics
    }
    measured = [(s.metric, s.mean, s.n, "") for s in result.scores if s.model == name]
    measured += [
        (c.metric, c.difference, c.n, f" against {c.baseline}")
        for c in _win_rates(result)
        if c.candidate == name
    ]
    # 2. Convert each to the hub's record.
    for column, value, n, opponent in measured:
        metric = metric_of(column)
        judge = plan.judges.get(metric)
        arguments: dict[str, object] = {
            "n": n,
            "ci_low": value.low,
            "ci_high": value.high,
            "ci_level": 0.95,
        }
        arguments |= {"judge": judge.name} if judge else {}
        yield EvalResult(
            task_type="text-generation",
            task_name=escape_invisible(f"{plan.suite}: {metric}"),
            dataset_type=tasks[metric].name,
            dataset_name=escape_invisible(f"{tasks[metric].name} ({n_judged[metric]} items)"),
            dataset_revision=tasks[metric].items_hash,
            metric_type=column,
            metric_name=f"{column}{opponent}",
            metric_value=value.estimate,
            metric_args=arguments,
        )


def _win_rates(result: RunResult) -> Iterator[Comparison]:
    columns = columns_by_name(result.plan)
    return (c for c in result.comparisons if columns[c.metric].is_win_rate)


# --- text ------------------------------------------------------------------------------------

_NOT_EVALUATED = (
    "## Evaluation\n\nNo evaluation was exported with this model, so this card shows nothing about "
    "the quality of its answers."
)

_ALONE = """\
from transformers import pipeline

chat = pipeline("text-generation", model="PATH_OR_NAME")
print(chat([{"role": "user", "content": "..."}], max_new_tokens=256)[0]["generated_text"][-1])"""

_ON_BASE = """\
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH_OR_NAME")
model = AutoPeftModelForCausalLM.from_pretrained("PATH_OR_NAME")  # fetches the base too
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": "..."}],
    add_generation_prompt=True, return_dict=True, return_tensors="pt",
)
answer = model.generate(**prompt, max_new_tokens=256)[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))"""

_USE = """\
## Use

```python
{code}
```

The evaluation holds for the system prompt and the decoding given above; with others the answers may
differ."""


def _evaluation(card: CheckpointCard, result: RunResult) -> Iterator[str]:
    name, plan, view = model_name_in_run(card.fingerprint, result), result.plan, make_view(result)
    yield "## Evaluation"
    # Verdict.
    if name == plan.candidate:
        yield f"**{view.verdict.word}.** {escape(view.sentence)}"
    else:
        yield (
            f"In this run the candidate was '{escape(plan.candidate)}'; this model was one that it was "
            f"compared with. Verdict on the candidate: {view.verdict.word.lower()}. "
            f"{escape(view.sentence)}"
        )
    # How it was measured.
    others = [m.name for m in plan.models if m.name != name]
    compared = f"the others are {escape(join_names(others))}" if others else "it was measured alone"
    yield (
        f"Suite {escape(plan.suite)}, run {result.run_id}. In it this model is called "
        f"'{escape(name)}'; {compared}."
    )
    yield "\n".join(f"- {line}" for line in (*_judges(plan), *_prompting(result)))
    for system, tasks in _tasks_by_system_prompt(plan).items():
        yield f"System prompt for {escape(join_quoted(tasks))}:\n\n{fence(system)}"
    # Results.
    if view.claims:
        yield _grid(
            ("Verdict", "Claim", "Reason", "Numbers"),
            [(c.verdict.word, c.claim, c.why, " · ".join(c.numbers)) for c in view.claims],
        )
    yield _grid(
        ("Score", "Items", "This model", "95 % interval", "n"),
        list(_measured_rows(name, result)),
    )


def _judges(plan: Plan) -> Iterator[str]:
    by_judge: dict[JudgeCard, list[str]] = {}
    for metric, judge in plan.judges.items():
        by_judge.setdefault(judge, []).append(metric)
    for judge, metrics in by_judge.items():
        evidence = f" {judge.evidence}" if judge.evidence else ""
        yield escape(f"{', '.join(metrics)} judged by {judge.name}: {judge.nature}.{evidence}")


def _prompting(result: RunResult) -> Iterator[str]:
    for task, n_judged in zip(result.plan.tasks, items_judged(result), strict=True):
        if task.scored_options is not None:
            yield escape(
                f"'{task.name}' ({n_judged} items): log-probabilities of the options, no answer, no chat template"
            )
            continue
        generation = task.generation
        sampling = (
            f"temperature {generation.temperature:g}"
            if generation.temperature
            else "greedy decoding"
        )
        prompt = "the system prompt below" if task.system else "no system prompt"
        thoughts = ", thoughts kept in the answers" * (generation.thoughts == "keep")
        yield escape(
            f"'{task.name}' ({n_judged} items{task.kinds_of_items}): {prompt}, {sampling}, at most "
            f"{generation.max_new_tokens:,} tokens{thoughts}"
        )


def _tasks_by_system_prompt(plan: Plan) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for task in plan.tasks:
        if task.system:
            names.setdefault(task.system, []).append(task.name)
    return names


def _measured_rows(name: str, result: RunResult) -> Iterator[tuple[str, ...]]:
    """Yield the model's mean on each score column, then its win rates."""
    columns = columns_by_name(result.plan)
    tasks = {metric: task.name for task in result.plan.tasks for metric in task.metrics}
    for score in result.scores:
        if score.model == name:
            digits = columns[score.metric].digits
            mean = number(score.mean.estimate, digits)
            items = tasks[metric_of(score.metric)]
            yield score.metric, items, mean, format_interval(score.mean, digits), f"{score.n:,}"
    for comparison in _win_rates(result):
        if comparison.candidate == name:
            digits = columns[comparison.metric].digits
            rate = number(comparison.difference.estimate, digits)
            items = tasks[metric_of(comparison.metric)]
            yield (
                f"{comparison.metric} against {comparison.baseline}",
                items,
                rate,
                format_interval(comparison.difference, digits),
                f"{comparison.n:,}",
            )


def _limits(result: RunResult | None, note: str) -> Iterator[str]:
    yield from LIMITS[0 if result else 1 :]
    caveats = make_view(result).caveats if result else ()
    yield from (escape(caveat) for caveat in caveats if caveat != note)


def _ancestor(ancestor: Ancestor) -> str:
    return escape(
        f"{ancestor.recipe}: {ancestor.method}, fingerprint {ancestor.fingerprint[:12]}, "
        f"data {ancestor.data_hash[:12]}"
    )


def _facts(card: CheckpointCard) -> dict[str, str]:
    pairs = describe_pairs(card.pairs) if card.pairs is not None else {}
    return card.facts | pairs | {"fingerprint": card.fingerprint}


def _fact_table(facts: dict[str, str]) -> str:
    return _grid(("Fact", "Value"), list(facts.items()))


def _grid(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    titles, *lines = [" | ".join(map(escape, line)) for line in (head, *rows)]
    rule = " | ".join(["---"] * len(head))
    return "\n".join(f"| {line} |" for line in (titles, rule, *lines))
