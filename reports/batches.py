"""Text on batch files: requests that wait for replies, and imported results."""

from collections.abc import Iterator
from pathlib import Path

from harness.models.batch_files import display_path
from harness.models.batch_results import BatchImport
from harness.models.session import PendingRequests
from reports.formatting import count

N_MALFORMED_LISTED = 5


def describe_pending(pending: PendingRequests) -> Iterator[str]:
    """Describe the requests that a run waits for, their files, and the next step."""
    yield f"No verdict yet: waiting for the replies to {count(pending.questions, 'request')}."
    for file in pending.files:
        cost = f", at most {file.most:.4f} {file.currency}" if file.most is not None else ""
        status = cost if file.new else ", written earlier"
        yield f"  {file.path}: {count(file.questions, 'request')}{status}"
    if pending.repeated:
        n_repeated = count(pending.repeated, "request")
        yield f"  Included again: {n_repeated} from earlier files that no longer exist."
    if any(file.new for file in pending.files):
        yield "Send each new file to its endpoint (OpenAI's Batch API, `vllm run-batch`), then run:"
    else:
        yield "To write requests again, delete their file. When their results have arrived, run:"
    yield "  harness batch collect RESULTS.jsonl"
    yield "and then the same command again."


def describe_import(report: BatchImport) -> Iterator[str]:
    """Describe the imported replies, failures and malformed lines, and what is still missing."""
    # Counts by outcome.
    outcomes = {
        "already imported": report.known,
        "failed": sum(failure.n for failure in report.failed),
        "malformed": len(report.malformed),
        "of other requests": report.foreign,
    }
    n_new = f"{report.replies:,} new {'reply' if report.replies == 1 else 'replies'}"
    yield ", ".join([n_new, *(f"{n:,} {outcome}" for outcome, n in outcomes.items() if n)])
    # Failures and malformed lines.
    for failure in report.failed:
        yield f"  {failure.kind} ({failure.n:,}){': ' if failure.detail else ''}{failure.detail}"
    if report.differing:
        yield f"  {report.differing:,} of the already imported say something else here: the first reply is kept"
    for line in report.malformed[:N_MALFORMED_LISTED]:
        yield f"  {line}"
    if len(report.malformed) > N_MALFORMED_LISTED:
        yield f"  … and {len(report.malformed) - N_MALFORMED_LISTED:,} more malformed lines"
    # Requests without a reply.
    if report.reopened:
        n_reopened = count(report.reopened, "request")
        yield f"Failed and open again: {n_reopened}. The next run with --batch writes a new file."
    for path, n in report.awaited.items():
        yield f"Still pending: {count(n, 'request')} of {display_path(Path(path))}"
