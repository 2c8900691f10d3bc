"""The section on answers that no average may hide."""

from collections.abc import Iterator

from harness.types import CriticalResult, RunResult
from reports.components import LABELS, ClaimLine, Section, Table, without_empty_columns
from reports.formatting import ABSENT, columns_by_name, count, number, p_value, signed
from reports.sections.appendix import make_exhibit

N_LISTED = 20  # items in the table; results.json holds more


def critical_line(found: CriticalResult) -> ClaimLine:
    """A rule beside the claims, on the first screen."""
    parts = [
        f"{found.n_critical:,} of {found.n:,} critical",
        f"share {_percent(found.lower)} to {_percent(found.upper)}",
        f"allowed {_percent(found.allowed_share)}",
        f"baseline {found.n_baseline:,}",
    ]
    if found.n_missing:
        parts.insert(1, f"{found.n_missing:,} without a score")
    return ClaimLine(LABELS[found.verdict], found.rule, _sentence(found.why), tuple(parts))


def critical_section(result: RunResult) -> Section | None:
    """The rules with their numbers, and the answers behind them; None without rules."""
    rules = result.decision.critical if result.decision else ()
    if not rules:
        return None
    scores = {(rule.metric, item.sample_id): item.score for rule in rules for item in rule.items}
    n = sum(rule.n_critical for rule in rules)
    return Section(
        name="critical",
        title="Are any answers critical?",
        lead="No answer is." if n == 0 else "Averages can hide these, so they are counted alone.",
        tables=(_rules_table(rules), *(_items_table(rule, result) for rule in rules if rule.items)),
        exhibits=tuple(
            make_exhibit(
                example,
                result.plan,
                f"{example.metric} {scores[example.metric, example.sample_id]:g}",
            )
            for example in result.critical_examples
        ),
        notes=tuple(_notes(rules)),
    )


def _rules_table(rules: tuple[CriticalResult, ...]) -> Table:
    rows = [
        (
            rule.metric,
            f"{rule.at_most:g}",
            _percent(rule.allowed_share),
            LABELS[rule.verdict].word.lower(),
            f"{rule.n_critical:,} of {rule.n:,}",
            f"{rule.n_missing:,}" if rule.n_missing else ABSENT,
            f"{_percent(rule.lower)} to {_percent(rule.upper)}",
            f"{rule.n_baseline:,}",
            _difference(rule),
            p_value(rule.p_value),
        )
        for rule in rules
    ]
    head = ("Score", "At or below", "Allowed", "Verdict", "Critical", "No score", "Share",
            "Baseline", "Difference in points", "p")  # fmt: skip
    return without_empty_columns(
        Table("What is allowed, and what was found", head, "lrrlrrrrrr", tuple(rows))
    )


def _items_table(rule: CriticalResult, result: RunResult) -> Table:
    digits = columns_by_name(result.plan)[rule.metric].digits
    rows = [
        (
            item.sample_id,
            number(item.score, digits),
            ABSENT if item.baseline_score is None else number(item.baseline_score, digits),
        )
        for item in rule.items[:N_LISTED]
    ]
    left = rule.n_critical - len(rows)
    return Table(
        f"Items with {rule.metric} at or below the limit",
        ("Item", result.plan.candidate, result.plan.baseline),
        "lrr",
        tuple(rows),
        folded=True,
        note=f"And {count(left, 'more item')}: see scores.parquet." if left else "",
    )


def _notes(rules: tuple[CriticalResult, ...]) -> Iterator[str]:
    yield (
        "The share runs between exact one-sided bounds (Clopper-Pearson), each at the gate's alpha. "
        "An answer without a score counts as critical for a pass, and not for a fail. "
        "The difference to the baseline is paired (Tango's interval, McNemar's mid-p) and does not "
        "decide."
    )
    if any(rule.n_units < rule.n for rule in rules):
        yield "Items come in clusters, so the bounds are those of as many answers as equal clusters."


def _difference(rule: CriticalResult) -> str:
    """In percentage points, with its interval."""
    if rule.difference is None:
        return ABSENT
    low, high = (number(100 * end, 1) for end in (rule.difference.low, rule.difference.high))
    return f"{signed(100 * rule.difference.estimate, 1)} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{number(100 * share, 2)} %"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
