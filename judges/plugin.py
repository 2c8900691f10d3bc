"""Scorers and judges of installed packages, behind the `Judge` protocol.

What goes wrong in such code is no score: an error, a missing column, a value that is no number or lies
out of the stated bounds leave the item unscored for that reason, and the run goes on.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real

from harness.config import ChecklistMetric, JudgeSpec, PluginMetric
from harness.config.plugin import InstalledScorer, load_scorer
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.hashing import content_hash
from harness.core.plugins import JUDGES, describe_error, load_plugin
from harness.core.scorer import Item, Scorer
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome
from harness.types.judgements import MissingReason
from judges.parsing import unscored
from judges.protocol import Judge
from judges.response_stream import StreamClosedError

VERSION = 1  # raise it when what a scorer returns may be read in another way


class ScorerJudge:
    """One scorer of an installed package, imported when there is something to score."""

    def __init__(self, scorer: InstalledScorer) -> None:
        self._facts = scorer

    @property
    def card(self) -> JudgeCard:
        """Return the card; its fingerprint is that of the package's version and files."""
        facts = self._facts
        code = (facts.name, facts.package, facts.version, facts.source)
        return JudgeCard(
            name=facts.name,
            nature=f"computed by {facts.package} {facts.version} (source {facts.source[:12]}), a plug-in",
            fingerprint=content_hash("plugin", VERSION, *code),
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            match request:
                case GradeRequest(metric=PluginMetric()):
                    yield i, _score(load_scorer(self._facts.name), request, self._facts)
                case _:
                    yield i, unscored(MissingReason.UNSUPPORTED, f"'{request.metric.kind}' metrics")


def _score(scorer: Scorer, request: GradeRequest, facts: InstalledScorer) -> Outcome:
    item = Item(request.sample.transcript, request.sample.acceptable_answers)
    try:
        values = scorer.score(item, request.answer)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the run goes on
        return unscored(MissingReason.PLUGIN_FAILED, describe_error(error))
    problem = find_value_problem(values, facts.columns, facts.bounds)
    if problem:
        return unscored(MissingReason.PLUGIN_FAILED, problem)
    return Outcome(values={name: float(values[name]) for name in facts.columns})


class InstalledJudge:
    """A judge of an installed package: its code is part of the card, and no error of it ends a run."""

    def __init__(self, name: str, title: str = "") -> None:
        """Make the judge that is registered under a name.

        Raises:
            HarnessError: it is not installed, cannot be made, or does not meet the protocol.
        """
        if name in JudgeSpec.model_fields or name == "consumer_health":
            raise HarnessError(f"'{name}' is a judge of ours, which no plug-in can be called.")
        self._plugin = plugin = load_plugin(JUDGES, name)
        try:
            made: Judge = plugin.registered()  # type: ignore[operator]  # checked by what comes of it
            card = made.card
        except Exception as error:
            raise HarnessError(f"{plugin}: makes no judge: {describe_error(error)}.") from error
        if not isinstance(card, JudgeCard) or not callable(getattr(made, "judge", None)):
            raise HarnessError(
                f"{plugin}: its 'card' is no JudgeCard, or it has no method 'judge'."
            )
        self._judge = made
        self._title = title or card.name

    @property
    def card(self) -> JudgeCard:
        """Return the judge's own card with its package; other code is another fingerprint."""
        plugin, card = self._plugin, self._judge.card
        code = (plugin.package, plugin.version, plugin.source)
        update = {
            "name": self._title,
            "nature": f"{card.nature}; {plugin}",
            "fingerprint": content_hash("plugin", VERSION, card.fingerprint, *code),
        }
        return card.model_copy(update=update)

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield each request's outcome with its number.

        After an error, what the judge had been given has no verdict, and the judge is asked about the rest.

        Raises:
            InfrastructureError: it fails before it takes a request, and would again.
        """
        source = _Numbered(requests)
        while not source.ended:
            given: list[int] = []
            waiting: dict[int, JudgeRequest] = {}
            failure = "gave no outcome"
            try:
                for index, outcome in self._judge.judge(source.give(given, waiting)):
                    request = waiting.pop(given[index])
                    yield given[index], _checked(outcome, request)
            except (HarnessError, StreamClosedError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
                failure = describe_error(error)
            if not given and not source.ended:
                raise InfrastructureError(f"{self._plugin}: judges nothing: {failure}.")
            for number in waiting:
                yield number, unscored(MissingReason.PLUGIN_FAILED, failure)


class _Numbered:
    """Requests that are handed out once, with their numbers noted; `ended` after the last."""

    def __init__(self, requests: Iterable[JudgeRequest]) -> None:
        self._requests = enumerate(requests)
        self.ended = False

    def give(self, given: list[int], waiting: dict[int, JudgeRequest]) -> Iterator[JudgeRequest]:
        for number, request in self._requests:
            given.append(number)
            waiting[number] = request
            yield request
        self.ended = True


def _checked(outcome: object, request: JudgeRequest) -> Outcome:
    """Return a judge's outcome; one that is none of its metric is unscored."""
    problem = _find_outcome_problem(outcome, request)
    if problem is None:
        assert isinstance(outcome, Outcome)
        return outcome
    return unscored(MissingReason.PLUGIN_FAILED, problem)


def _find_outcome_problem(outcome: object, request: JudgeRequest) -> str | None:
    metric = request.metric
    if not isinstance(outcome, Outcome):
        return f"gave {type(outcome).__name__}, and no Outcome"
    if outcome.reason is not None:
        return None
    if metric.compares_pairs:
        return None if outcome.winner is not None else "gave no winner"
    problem = find_value_problem(outcome.values, _keys_of(request, outcome), metric.bounds)
    if problem or not metric.verdict_values:
        return problem
    odd = [v for v in (outcome.values or {}).values() if v not in metric.verdict_values]
    return f"{odd[0]:g} is no point of the scale" if odd else None


def _keys_of(request: JudgeRequest, outcome: Outcome) -> list[str]:
    """Return the keys that a verdict's values must have."""
    metric = request.metric
    if (
        isinstance(request, GradeRequest)
        and isinstance(metric, ChecklistMetric)
        and metric.together
    ):
        numbers = (f"{n}" for n in range(1, len(request.asked_criteria) + 1))
        return [number for number in numbers if number in (outcome.values or {})]  # or left open
    return list(dict.fromkeys(metric.verdict_keys("").values()))


def find_value_problem(
    values: object, names: Iterable[str], bounds: tuple[float, float]
) -> str | None:
    """Return why values by name are no scores; None if each is a number within the bounds."""
    if not isinstance(values, Mapping):
        return f"gave {type(values).__name__}, and no value for each column"
    names, (low, high) = list(names), bounds
    missing = [name for name in names if name not in values]
    if missing:
        return f"gave no value of {missing[0]}"
    extra = [name for name in values if name not in names]
    if extra:
        return f"gave {extra[0]!r:.40}, which is no column"
    for name in names:
        value = values[name]
        number = float(value) if isinstance(value, Real) else math.nan
        if math.isnan(number):
            return f"{name} is {value!r:.40}, and no number"
        if not low <= number <= high:
            return f"{name} is {number:g}, outside of [{low:g}, {high:g}]"
    return None
