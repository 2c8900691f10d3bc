"""report.html, .md, release.json and junit.xml of a release over several suites."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from harness.core.files import write_private
from harness.core.sanitize import escape_record
from harness.gate.advice import describe_items_needed
from harness.types import ClaimResult
from harness.types.release import ReleaseLine, ReleaseResult
from reports.components import (
    LABELS,
    ClaimLine,
    KeyValue,
    Link,
    Section,
    Table,
    VerdictLabel,
    View,
)
from reports.formatting import count, number, number_or_dash
from reports.html import view_to_html
from reports.junit import render_release_junit
from reports.markdown import view_to_markdown

RELEASE_FILES = ("release.json", "junit.xml", "report.md", "report.html")
NO_RESULT = VerdictLabel("not_tested", "NO RESULT", "-")


def write_release(result: ReleaseResult, folder: Path) -> None:
    """Write the files of a release, each atomically, release.json last.

    Raises:
        InfrastructureError: a file could not be written.
    """
    view = release_view(result, folder)
    dumped = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_private(folder / "junit.xml", render_release_junit(result))
    write_private(folder / "report.md", view_to_markdown(view).encode(errors="replace"))
    write_private(folder / "report.html", view_to_html(view).encode(errors="replace"))
    write_private(folder / "release.json", dumped.encode(errors="backslashreplace"))


def release_view(result: ReleaseResult, folder: Path) -> View:
    """Build the page of a release in `folder`, from which it links to the runs' reports."""
    links = [_link(line, folder) for line in result.lines]
    result = escape_record(result)
    return View(
        title=result.title or result.release,
        provenance=f"release {result.release} · decided {result.decided}",
        verdict=LABELS[result.verdict],
        sentence=result.sentence,
        summary=tuple(release_summary(result)),
        next_steps=(_next_step(result),),
        facts=tuple(_facts(result)),
        claims=tuple(_claim_line(line) for line in result.lines),
        claims_note=_level_note(result),
        caveats=(),
        sections=tuple(
            _section(line, place, link)
            for place, (line, link) in enumerate(zip(result.lines, links, strict=True))
        ),
        footer=f"alignment-harness {result.harness_version}",
        claims_title="Suites",
    )


def describe_release(result: ReleaseResult, folder: Path) -> Iterator[str]:
    """Describe a release in lines for a terminal: the verdict, each suite, and the page."""
    yield f"{result.release}: {result.verdict}. {result.sentence}"
    yield f"  next: {_next_step(result)}"
    yield from (f"  {line}" for line in release_summary(result))
    for line in result.lines:
        word = _label(line).word.lower()
        yield f"  {line.role}: {line.name}: {word}: {line.problem or line.sentence}"
    yield str(folder / "report.html")


def release_summary(result: ReleaseResult) -> Iterator[str]:
    """Yield the compared models, and how many suites of each role there are."""
    yield " against ".join(reversed(result.models)) or "no model was measured"
    required, watched, shown = (
        [line for line in result.lines if line.role == role]
        for role in ("required", "watched", "shown")
    )
    parts = [f"{sum(line.verdict == 'pass' for line in required)} of {len(required)} required pass"]
    if watched:
        alarms = count(sum(line.verdict == "fail" for line in watched), "regression alarm")
        parts.append(f"{alarms} of {len(watched)} watched")
    if shown:
        parts.append(f"{len(shown)} shown")
    yield " · ".join(parts)


def _next_step(result: ReleaseResult) -> str:
    """Say which suite to turn to first, or that there is none."""
    if result.verdict == "pass":
        return "Nothing is left to settle: every required suite passes."
    without = [line.name for line in result.lines if line.problem]
    if without:
        return f"Mend and run again what has no result: {', '.join(without)}."
    decisive = [line for line in result.lines if line.role != "shown" and line.verdict == "fail"]
    if decisive:
        return f"Open the report of {', '.join(line.name for line in decisive)} first."
    undecided = [
        line for line in result.lines if line.role == "required" and line.verdict != "pass"
    ]
    claims = (c for line in undecided for c in line.claims if c.verdict == "inconclusive")
    claim = next(claims, None)
    names = ", ".join(line.name for line in undecided)
    return f"{names}: {describe_items_needed(claim)}" if claim else f"Open the report of {names}."


def _level_note(result: ReleaseResult) -> str:
    if result.alpha is None:
        return "A suite without a result leaves no pass."
    return (
        "Every required suite must pass its gate, and nothing watched may be worse than its baseline, each "
        "at its own alpha. A release that should fail in any one of them then passes with probability at "
        f"most {result.alpha:.3g}, the largest of these, so that alpha is not divided (intersection-union "
        "test, Berger 1982). What is shown decides nothing; a suite without a result leaves no pass."
    )


def _facts(result: ReleaseResult) -> Iterator[KeyValue]:
    labels = ("Candidate", "Baseline")
    models = zip(reversed(result.models), reversed(result.fingerprints), strict=True)
    for label, (name, fingerprint) in zip(labels, models, strict=False):
        yield KeyValue(label, name, f"the same in every suite: {fingerprint[:12]}")


def _label(line: ReleaseLine) -> VerdictLabel:
    return NO_RESULT if line.problem else LABELS[line.verdict or "none"]


def _claim_line(line: ReleaseLine) -> ClaimLine:
    passed = sum(claim.verdict == "pass" for claim in line.claims)
    numbers = [f"claims that pass: {passed} of {len(line.claims)}"] if line.claims else []
    numbers += [f"alpha {line.alpha:.3g}"] if line.alpha else []
    numbers += [f"run {line.run_id}"] if line.run_id else []
    return ClaimLine(
        _label(line), f"{line.name} ({line.role})", line.problem or line.sentence, tuple(numbers)
    )


def _section(line: ReleaseLine, place: int, link: Link | None) -> Section:
    return Section(
        name=f"suite-{place + 1}",
        title=f"{line.name} ({line.role})",
        lead="" if line.claims else line.problem or line.sentence,
        tables=(_claims_table(line),) if line.claims else (),
        notes=line.notes,
        links=() if link is None else (link,),
    )


def _claims_table(line: ReleaseLine) -> Table:
    title = "Columns against the baseline" if line.role == "watched" else "Claims"
    head = ("Claim", "Verdict", "Estimate", "Bound", "Must exceed", "n", "Reason")
    return Table(title, head, "llrrrrl", tuple(map(_claim_row, line.claims)))


def _claim_row(claim: ClaimResult) -> tuple[str, ...]:
    return (
        claim.claim,
        LABELS[claim.verdict].word.lower(),
        number(claim.estimate, 3),
        number_or_dash(claim.bound, 3),
        number(claim.boundary, 3),
        f"{claim.n:,}",
        claim.why,
    )


def _link(line: ReleaseLine, folder: Path) -> Link | None:
    """Return a link from the release's folder to the report of a run; None without one."""
    if not line.folder:
        return None
    page = Path(os.path.relpath(line.folder, folder)) / "report"
    return Link(quote(page.as_posix()), f"Report of run {line.run_id}")
