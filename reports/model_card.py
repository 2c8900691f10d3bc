"""README.md of an exported checkpoint: the model card that the hub shows.

The metadata at its head are the hub's own; the text says what made the model, what was measured of
it and by whom, and what that does not show.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.core.sanitize import escape_invisible, escape_record
from harness.types import CheckpointCard, Comparison, JudgeCard, Plan, RunResult
from harness.types.training import Ancestor
from reports.formatting import columns_by_name, format_interval, listing, number, quoted
from reports.markdown import escape, fence
from reports.sections.interim import items_judged
from reports.sections.preference_pairs import describe_pairs
from reports.view import make_view

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TAG = "alignment-harness"


LIMITS = (
    "The numbers above say how these judges scored these items. They are no evidence that the model "
    "is safe for patients.",
    "This is not a medical device, and it was not tested in care. Its answers can be wrong, and can "
    "sound right where they are; whoever uses them must be able to tell.",
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
) -> str:
    """The card in Markdown with the hub's metadata at its head.

    `lineage` goes from the checkpoint back as far as it is known, to `root`; `base_model` is that
    root, if it is a hub model. `note` is what must be said of the model whatever was measured.

    Raises:
        HarnessError: the run did not evaluate this checkpoint.
    """
    from huggingface_hub import ModelCardData

    answers = card.method != "reward"
    data = ModelCardData(
        model_name=card.model,
        library_name="transformers",
        pipeline_tag="text-generation" if answers else "text-classification",
        base_model=base_model,
        tags=[TAG, card.method],
        eval_results=list(_eval_results(card, result)) if result else None,
    )
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
        "Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        *([_USE] if answers else []),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(blocks) + "\n"


def name_in_run(fingerprint: str, result: RunResult) -> str:
    """What the run calls the checkpoint.

    Raises:
        HarnessError: the run did not evaluate this checkpoint.
    """
    for name, found in result.fingerprints.items():
        if found == fingerprint:
            return name
    seen = ", ".join(f"{name} {found[:12]}" for name, found in result.fingerprints.items())
    raise HarnessError(
        f"run {result.run_id} did not evaluate this checkpoint ({fingerprint[:12]}), but {seen}. "
        "A card carries only the results of its own model."
    )


# --- metadata --------------------------------------------------------------------------------


def _eval_results(card: CheckpointCard, result: RunResult) -> Iterator["EvalResult"]:
    """The model's own means, and its win rates, in the form that the hub reads."""
    from huggingface_hub import EvalResult

    name, plan = name_in_run(card.fingerprint, result), result.plan
    tasks = {metric: task for task in plan.tasks for metric in task.metrics}
    counted = zip(plan.tasks, items_judged(result), strict=True)
    judged = {metric: n for task, n in counted for metric in task.metrics}
    measured = [(s.metric, s.mean, s.n, "") for s in result.scores if s.model == name]
    measured += [
        (c.metric, c.difference, c.n, f" against {c.baseline}")
        for c in _win_rates(result)
        if c.candidate == name
    ]
    for column, value, n, against in measured:
        metric = metric_of(column)
        judge = plan.judges.get(metric)
        about: dict[str, object] = {
            "n": n,
            "ci_low": value.low,
            "ci_high": value.high,
            "ci_level": 0.95,
        }
        about |= {"judge": judge.name} if judge else {}
        yield EvalResult(
            task_type="text-generation",
            task_name=escape_invisible(f"{plan.suite}: {metric}"),
            dataset_type=tasks[metric].name,
            dataset_name=escape_invisible(f"{tasks[metric].name} ({judged[metric]} items)"),
            dataset_revision=tasks[metric].items_hash,
            metric_type=column,
            metric_name=f"{column}{against}",
            metric_value=value.estimate,
            metric_args=about,
        )


def _win_rates(result: RunResult) -> Iterator[Comparison]:
    columns = columns_by_name(result.plan)
    return (c for c in result.comparisons if columns[c.metric].is_win_rate)


# --- text ------------------------------------------------------------------------------------

_NOT_EVALUATED = (
    "## Evaluation\n\nNo evaluation was exported with this model. Nothing is known here of how well it "
    "answers."
)


_USE = """\
## Use

```python
from transformers import pipeline

chat = pipeline("text-generation", model="PATH_OR_NAME")
print(chat([{"role": "user", "content": "..."}], max_new_tokens=256)[0]["generated_text"][-1])
```

The system prompt and the decoding that it was evaluated with are part of the result; others may give
other answers."""


def _evaluation(card: CheckpointCard, result: RunResult) -> Iterator[str]:
    name, plan, view = name_in_run(card.fingerprint, result), result.plan, make_view(result)
    yield "## Evaluation"
    if name == plan.candidate:
        yield f"**{view.verdict.word}.** {escape(view.sentence)}"
    else:
        yield (
            f"In this run the model was not the candidate but what '{escape(plan.candidate)}' was "
            f"compared with. The verdict on that one: {view.verdict.word.lower()}. {escape(view.sentence)}"
        )
    yield (
        f"Suite {escape(plan.suite)}, run {result.run_id}. This model is called '{escape(name)}' there; "
        f"the others: {escape(listing([m.name for m in plan.models if m.name != name]))}."
    )
    yield "\n".join(f"- {line}" for line in (*_judges(plan), *_asked(result)))
    for system, tasks in _systems(plan).items():
        yield f"The system prompt for {escape(quoted(tasks))}:\n\n{fence(system)}"
    if view.claims:
        yield _grid(
            ("Verdict", "Claim", "Why", "Numbers"),
            [(c.verdict.word, c.claim, c.why, " · ".join(c.numbers)) for c in view.claims],
        )
    yield _grid(
        ("Measured", "Items", "This model", "95 % interval", "n"),
        list(_measured(name, result)),
    )


def _judges(plan: Plan) -> Iterator[str]:
    by_judge: dict[JudgeCard, list[str]] = {}
    for metric, judge in plan.judges.items():
        by_judge.setdefault(judge, []).append(metric)
    for judge, metrics in by_judge.items():
        evidence = f" {judge.evidence}" if judge.evidence else ""
        yield escape(f"{', '.join(metrics)} judged by {judge.name}: {judge.nature}.{evidence}")


def _asked(result: RunResult) -> Iterator[str]:
    for task, judged in zip(result.plan.tasks, items_judged(result), strict=True):
        decoding = task.generation
        heat = f"temperature {decoding.temperature:g}" if decoding.temperature else "greedy"
        prompt = "the system prompt below" if task.system else "no system prompt"
        yield escape(
            f"'{task.name}' ({judged} items) asked with {prompt}, {heat}, at most "
            f"{decoding.max_new_tokens:,} tokens"
        )


def _systems(plan: Plan) -> dict[str, list[str]]:
    """The tasks by system prompt."""
    found: dict[str, list[str]] = {}
    for task in plan.tasks:
        if task.system:
            found.setdefault(task.system, []).append(task.name)
    return found


def _measured(name: str, result: RunResult) -> Iterator[tuple[str, ...]]:
    columns = columns_by_name(result.plan)
    tasks = {metric: task.name for task in result.plan.tasks for metric in task.metrics}
    for score in result.scores:
        if score.model == name:
            digits = columns[score.metric].digits
            mean = number(score.mean.estimate, digits)
            items = tasks[metric_of(score.metric)]
            yield score.metric, items, mean, format_interval(score.mean, digits), f"{score.n:,}"
    for won in _win_rates(result):
        if won.candidate == name:
            digits = columns[won.metric].digits
            rate = number(won.difference.estimate, digits)
            items = tasks[metric_of(won.metric)]
            yield (
                f"{won.metric} against {won.baseline}",
                items,
                rate,
                format_interval(won.difference, digits),
                f"{won.n:,}",
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
