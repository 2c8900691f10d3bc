"""The suite: items, generation, metrics and gate, checked against each other."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import Field, model_validator

from harness.config.base import Name, Spec
from harness.config.checklist import ChecklistMetric
from harness.config.claims import Claim, CriticalRule, Gate
from harness.config.data import DataSpec, Generation
from harness.config.metric_base import metric_of
from harness.config.metrics import Metric
from harness.core.errors import did_you_mean
from harness.core.yaml_loader import field_error


class GateProblem(NamedTuple):
    """A claim or rule that decides nothing: where it stands in the suite, and why."""

    at: str
    problem: str


class Suite(Spec):
    """A complete evaluation: items, generation, metrics and gate."""

    suite: Name
    title: str = ""
    data: DataSpec
    generation: Generation = Generation()
    metrics: dict[Name, Metric] = Field(min_length=1)
    gate: Gate | None = None

    @model_validator(mode="after")
    def _ranges_are_found_in_items(self) -> "Suite":
        for name, metric in self.metrics.items():
            if isinstance(metric, ChecklistMetric) and metric.lowest:
                raise field_error(f"metrics.{name}.lowest", "is found in the items; leave it out")
        return self

    @model_validator(mode="after")
    def _gate_is_about_metrics(self) -> "Suite":
        for at, problem in find_gate_problems(self.gate, self.metrics):
            raise field_error(at, problem)
        return self


def find_gate_problems(gate: Gate | None, metrics: Mapping[str, Metric]) -> Iterator[GateProblem]:
    """Yield each claim that names no column or can never be decided, and each rule that parts no answers."""
    for number, claim in enumerate(gate.claims if gate else ()):
        problem = _find_claim_problem(claim, metrics)
        if problem:
            yield GateProblem(f"gate.claims.{number}.metric", problem)
    for number, rule in enumerate(gate.critical if gate else ()):
        problem = _find_rule_problem(rule, metrics)
        if problem:
            yield GateProblem(f"gate.critical.{number}", problem)


def _find_rule_problem(rule: CriticalRule, metrics: Mapping[str, Metric]) -> str | None:
    """Return why no answer, or every answer, would be critical; None if the rule is sound."""
    columns = {
        column: metric
        for name, metric in metrics.items()
        if not metric.compares_pairs
        for column in metric.columns(name)
    }
    if rule.metric not in columns:
        hint = did_you_mean(rule.metric, columns)
        return f"'{rule.metric}' is no score that an answer gets by itself. {hint}"
    low, high = columns[rule.metric].bounds_of(rule.metric)
    if not low <= rule.at_most < high:
        return (
            f"at most {rule.at_most:g} separates no answers: its values are in [{low:g}, {high:g}]"
        )
    return None


def _find_claim_problem(claim: Claim, metrics: Mapping[str, Metric]) -> str | None:
    """Return why a claim names no column or can never be decided; None if it is sound."""
    columns = [c for name, metric in metrics.items() for c in metric.columns(name)]
    if claim.metric not in columns:
        return f"'{claim.metric}' is not measured. {did_you_mean(claim.metric, columns)}"
    metric = metrics[metric_of(claim.metric)]
    low, high = metric.bounds_of(claim.metric)
    if claim.value is not None and not low < claim.value < high:
        return (
            f"at least {claim.value:g} cannot be shown with any number of items: its values are "
            f"in [{low:g}, {high:g}]; state a value between them"
        )
    if claim.margin is not None and claim.margin >= metric.max_difference_of(claim.metric):
        around = f" around {metric.null:g}" if metric.null else ""
        return (
            f"the margin {claim.margin:g}{around} spans the whole range [{low:g}, {high:g}]; "
            "choose one that an answer could exceed"
        )
    return None if claim.expect is None else _find_problem_of_expected(claim, metric)


def _find_problem_of_expected(claim: Claim, metric: Metric) -> str | None:
    """Return why the expected truth is not what the claim says; None if it is."""
    assert claim.expect is not None
    (low, high), null = metric.bounds_of(claim.metric), metric.null
    if claim.value is None and not metric.compares_pairs:
        low, high = low - high, high - low
    boundary, upper = (None if end is None else end + null for end in claim.boundaries(null))
    assert boundary is not None
    least, most = (
        (low, boundary) if claim.kind.alarm else (boundary, high if upper is None else upper)
    )
    end_of_scale = None if claim.kind.two_sided else least if claim.kind.alarm else most
    if least < claim.expect < most or claim.expect == end_of_scale:
        return None
    return (
        f"'expect: {claim.expect:g}' is no truth for which '{claim}' is to be decided: state one "
        f"between {least:g} and {most:g}"
    )


class AloneSuite(NamedTuple):
    """What a suite says of one model by itself, and what of it takes a baseline, in words."""

    suite: Suite
    not_measured: tuple[str, ...]
    not_decided: tuple[str, ...]


def measure_alone(suite: Suite) -> AloneSuite:
    """Leave out of a suite what compares two models: pairwise metrics and claims on a difference.

    Where no claim is left, neither are rules on critical answers, which only take a pass away.
    """
    metrics = {name: metric for name, metric in suite.metrics.items() if not metric.compares_pairs}
    not_measured = tuple(name for name in suite.metrics if name not in metrics)
    gate, not_decided = suite.gate, list[str]()
    if gate is not None:
        claims = tuple(c for c in gate.claims if c.kind.own_mean and metric_of(c.metric) in metrics)
        not_decided += [str(claim) for claim in gate.claims if claim not in claims]
        not_decided += [] if claims else map(str, gate.critical)
        gate = gate.model_copy(update={"claims": claims}) if claims else None
    reduced = suite.model_copy(update={"metrics": metrics, "gate": gate})
    return AloneSuite(reduced, not_measured, tuple(not_decided))
