"""The section on critical answers, which an average score can hide."""

from collections.abc import Iterator, Sequence

from harness.types import CriticalResult, RunResult
from reports.components import LABELS, ClaimLine, Section, Table, without_empty_columns
from reports.formatting import ABSENT, columns_by_name, count, number, p_value, signed
from reports.sections.appendix import make_example_card

N_ITEMS_LISTED = 20  # in the table; results.json holds more


def critical_line(rule: CriticalResult) -> ClaimLine:
    """Return a critical-answer rule as one line of the claims on the first screen."""
    parts = [
        f"{rule.n_critical:,} of {rule.n:,} critical",
        f"proportion {_percent(rule.lower)} to {_percent(rule.upper)}",
        f"allowed {_percent(rule.allowed_share)}",
    ]
    if rule.n_paired:
        parts.append(f"baseline {rule.n_baseline:,}")
    if rule.n_missing:
        parts.insert(1, f"{rule.n_missing:,} without a score")
    return ClaimLine(LABELS[rule.verdict], rule.rule, _capitalise(rule.why), tuple(parts))


def critical_section(result: RunResult, addresses: Sequence[str]) -> Section | None:
    """Return the rules with their results and the critical answers, with the addresses of their pages; None without rules."""
    rules = result.decision.critical if result.decision else ()
    if not rules:
        return None
    scores = {(rule.metric, item.sample_id): item.score for rule in rules for item in rule.items}
    n = sum(rule.n_critical for rule in rules)
    return Section(
        name="critical",
        title="Critical answers",
        lead="No answer is critical."
        if n == 0
        else "An average can hide critical answers, so they are counted separately.",
        tables=(_rules_table(rules), *(_items_table(rule, result) for rule in rules if rule.items)),
        examples=tuple(
            make_example_card(
                example,
                result.plan,
                f"{example.metric} {scores[example.metric, example.sample_id]:g}",
                address,
            )
            for example, address in zip(result.critical_examples, addresses, strict=True)
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
            f"{rule.n_baseline:,}" if rule.n_paired else ABSENT,
            _difference(rule),
            p_value(rule.p_value),
        )
        for rule in rules
    ]
    head = ("Score", "At or below", "Allowed", "Verdict", "Critical", "No score", "Proportion",
            "Baseline", "Difference (percentage points)", "p")  # fmt: skip
    return without_empty_columns(
        Table("Allowed and observed proportions", head, "lrrlrrrrrr", tuple(rows))
    )


def _items_table(rule: CriticalResult, result: RunResult) -> Table:
    digits = columns_by_name(result.plan)[rule.metric].digits
    rows = [
        (
            item.sample_id,
            number(item.score, digits),
            ABSENT if item.baseline_score is None else number(item.baseline_score, digits),
        )
        for item in rule.items[:N_ITEMS_LISTED]
    ]
    n_unlisted = rule.n_critical - len(rows)
    table = Table(
        f"Items with {rule.metric} at or below the limit",
        ("Item", result.plan.candidate, result.plan.baseline),
        "lrr",
        tuple(rows),
        folded=True,
        note=f"{count(n_unlisted, 'further item')} in scores.parquet." if n_unlisted else "",
    )
    return without_empty_columns(table)


def _notes(rules: tuple[CriticalResult, ...]) -> Iterator[str]:
    yield (
        "The proportion is given by exact one-sided bounds (Clopper-Pearson), each at the gate's "
        "alpha. An answer without a score counts as critical when a pass is tested, and as not "
        "critical when a fail is tested."
    )
    if any(rule.difference is not None for rule in rules):
        yield (
            "The difference from the baseline is paired (Tango's interval, McNemar's mid-p test) and "
            "does not affect the verdict."
        )
    if any(rule.n_units < rule.n for rule in rules):
        yield (
            "Items are clustered, so the bounds use the effective number of clusters (of equal "
            "size), not the number of answers."
        )


def _difference(rule: CriticalResult) -> str:
    """Return the difference from the baseline in percentage points, with its interval."""
    if rule.difference is None:
        return ABSENT
    low, high = (number(100 * limit, 1) for limit in (rule.difference.low, rule.difference.high))
    return f"{signed(100 * rule.difference.estimate, 1)} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{number(100 * share, 2)} %"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
