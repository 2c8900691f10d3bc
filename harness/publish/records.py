"""What is published of a run: its numbers, lineage and tables by name, the same for every tool.

metrics  comparisons/rubric.safety/dpo_vs_sft/low = 0.31
lineage  model/dpo/fingerprint = 5f0c…     fixed with the run's id
tags     verdict = inconclusive            may change when the run is made again
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.artifacts.integrity import NOT_VERIFIED
from harness.artifacts.run_list import NO_GATE
from harness.core.hashing import content_hash
from harness.core.sanitize import escape_invisible, one_line
from harness.types import CheckpointCard, Interval, JudgeCard, RunResult

Cell = str | float | int | None
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\- ]")  # what one of the tools does not take in a name


class Table(NamedTuple):
    """A table of results: its columns' names and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Publication(NamedTuple):
    """A run as it is published. `lineage` follows from the run's id, `tags` need not."""

    run_id: str
    suite: str
    name: str
    sentence: str
    metrics: Mapping[str, float]
    lineage: Mapping[str, str]
    tags: Mapping[str, str]
    tables: Mapping[str, Table]

    @property
    def verdict(self) -> str:
        """Return the verdict in a word, `no gate` if there is none."""
        return self.tags["verdict"]


def make_publication(result: RunResult, commit: str | None) -> Publication:
    """Make what is published of a result; `commit` is that of the checkout which publishes, if known."""
    plan, decision = result.plan, result.decision
    verdict = decision.verdict if decision else NO_GATE
    against = "" if plan.alone else f" against {plan.baseline}"
    sentence = decision.sentence if decision else "No claims were specified before this run."
    return Publication(
        run_id=result.run_id,
        suite=_text(plan.suite),
        name=_text(f"{plan.suite}: {plan.candidate}{against}"),
        sentence=_text(sentence),
        metrics=dict(_metrics(result)),
        lineage={key: _text(value) for key, value in _lineage(result) if value},
        tags={key: _text(value) for key, value in _tags(result, verdict, commit) if value},
        tables=_tables(result),
    )


def key_of(*parts: str) -> str:
    """Join the parts to a name that every tool takes, by slashes; what differs goes on differing."""
    return "/".join(
        f"{_UNSAFE.sub('_', part)}_{content_hash(part)[:6]}" if _UNSAFE.search(part) else part
        for part in parts
    )


# --- numbers ---------------------------------------------------------------------------------


def _metrics(result: RunResult) -> Iterator[tuple[str, float]]:
    for score in result.scores:
        yield from _named(
            ("scores", score.metric, score.model), _ends("mean", score.mean), n=score.n
        )
    for c in result.comparisons:
        models = f"{c.candidate}_vs_{c.baseline}"
        yield from _named(
            ("comparisons", c.metric, models),
            _ends("difference", c.difference),
            p_value=c.test.p_value,
            n=c.n,
            n_missing=c.n_missing,
        )
    for number, claim in enumerate(result.decision.claims if result.decision else (), 1):
        yield from _named(
            ("claims", f"{number}", claim.metric),
            {"estimate": claim.estimate, "boundary": claim.boundary},
            bound=claim.bound,
            p_value=claim.p_value,
            n=claim.n,
        )


def _named(
    key: tuple[str, ...], values: Mapping[str, float], **more: float | None
) -> Iterator[tuple[str, float]]:
    """Yield the numbers that there are, each under the key and its own name."""
    for name, value in {**values, **more}.items():
        if value is not None:
            yield key_of(*key, name), value


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, "low": interval.low, "high": interval.high}


def _tables(result: RunResult) -> dict[str, Table]:
    """Return the claims, comparisons and scores as tables, with their 95 % intervals."""
    claims = tuple(
        (c.claim, c.verdict, c.why, c.estimate, c.boundary, c.bound, c.p_value, c.n)
        for c in (result.decision.claims if result.decision else ())
    )
    comparisons = tuple(
        (c.metric, c.baseline, c.candidate, c.difference.estimate, c.difference.low,
         c.difference.high, c.test.p_value, c.n, c.n_missing)
        for c in result.comparisons
    )  # fmt: skip
    scores = tuple(
        (s.metric, s.model, s.mean.estimate, s.mean.low, s.mean.high, s.n) for s in result.scores
    )
    heads = {
        "claims": "claim verdict why estimate boundary bound p_value n",
        "comparisons": "column baseline candidate difference low high p_value n n_missing",
        "scores": "column model mean low high n",
    }
    rows = {"claims": claims, "comparisons": comparisons, "scores": scores}
    return {
        name: Table(tuple(head.split()), tuple(tuple(map(_cell, row)) for row in rows[name]))
        for name, head in heads.items()
    }


def _cell(value: Cell) -> Cell:
    return _text(value) if isinstance(value, str) else value


# --- lineage ---------------------------------------------------------------------------------


def _lineage(result: RunResult) -> Iterator[tuple[str, str]]:
    """Yield what made the result: suite, plan, items, models with their parents, judges and claims."""
    plan = result.plan
    yield from (("suite", plan.suite), ("plan", plan.hash), ("profile", plan.profile))
    yield from (("baseline", "" if plan.alone else plan.baseline), ("candidate", plan.candidate))
    for task in plan.tasks:
        yield key_of("items", task.name, "hash"), task.items_hash
        yield key_of("items", task.name, "n"), str(task.n_items)
    cards = {card.model: card for card in result.checkpoints}
    for model in plan.models:
        facts = {"kind": model.kind, "fingerprint": result.fingerprints.get(model.name, "")}
        facts |= _training(cards[model.name]) if model.name in cards else {}
        facts |= {"served_by": model.served_by or ""}
        facts |= {"retrieval": model.retrieval.fingerprint if model.retrieval else ""}
        yield from ((key_of("model", model.name, name), value) for name, value in facts.items())
    for metric, judge in plan.judges.items():
        for name, value in _judge(judge).items():
            yield key_of("judge", metric, name), value
    for number, claim in enumerate(result.decision.claims if result.decision else (), 1):
        yield key_of("claim", str(number)), claim.claim


def _training(card: CheckpointCard) -> dict[str, str]:
    """Return how a checkpoint was made; the fingerprint of its parent names the next one of its lineage."""
    made = {"recipe": card.recipe, "method": card.method, "parent": card.parent or ""}
    return made | {"data_hash": card.data_hash}


def _judge(judge: JudgeCard) -> dict[str, str]:
    return {"name": judge.name, "fingerprint": judge.fingerprint, "model": judge.model or ""}


def _tags(result: RunResult, verdict: str, commit: str | None) -> Iterator[tuple[str, str]]:
    yield from (("run_id", result.run_id), ("verdict", verdict))
    yield from (("started", result.started), ("finished", result.finished))
    yield from (("registered", result.registered), ("version", result.harness_version))
    if result.plan.gate:
        yield "alpha", f"{result.plan.gate.alpha:g}"
    if result.tries:
        yield "try", f"{result.tries.number} of {result.tries.total} on these items"
    yield "caveats", ", ".join(dict.fromkeys(caveat.code for caveat in result.caveats))
    yield "integrity", "" if result.tables else NOT_VERIFIED
    yield "published_from_commit", commit or ""


def _text(text: str) -> str:
    return one_line(escape_invisible(text))
