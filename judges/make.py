"""From what a profile says of a judge to the judge itself."""

from pathlib import Path

from harness.endpoint import Budget, Endpoint
from harness.models import LocalModel
from harness.suite import EndpointSpec, JudgeSpec, LocalJudge
from judges.language_model import LanguageModelJudge
from judges.local import LocalAnswerer
from judges.offline import OfflineJudge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge


def make_judge(name: str, spec: JudgeSpec, root: Path, *, budget: Budget | None = None) -> Judge:
    """The judge that the profile calls `name`; the paths of its files start from `root`.

    `budget` bounds what an endpoint may cost.

    Raises:
        HarnessError: recorded verdicts that are missing or cannot be read, no key for an
            endpoint, or a local model that is not there.
    """
    if spec.recorded is not None:
        return RecordedJudge(spec.title or name, spec.recorded, root=root, note=spec.note)
    if spec.endpoint is not None:
        return _endpoint_judge(spec.title, spec.endpoint, budget)
    if spec.local is not None:
        return _local_judge(spec.title, spec.local, root)
    return OfflineJudge()


def _endpoint_judge(title: str, spec: EndpointSpec, budget: Budget | None) -> Judge:
    endpoint = Endpoint(spec, budget=budget)
    return LanguageModelJudge(
        endpoint,
        name=title or spec.model,
        nature=f"language model {spec.model} at {endpoint.host}, temperature {spec.temperature:g}",
        structured=spec.structured,
        remote=True,
        prices=spec.price_per_million,
    )


def _local_judge(title: str, spec: LocalJudge, root: Path) -> Judge:
    directory = root / spec.checkpoint
    source = str(directory) if directory.is_dir() else spec.checkpoint
    return LanguageModelJudge(
        LocalAnswerer(
            LocalModel.load(source, revision=spec.revision), max_new_tokens=spec.max_tokens
        ),
        name=title or Path(spec.checkpoint).name,
        nature=f"language model {spec.checkpoint} on this machine, greedy",
        structured="text",
    )


def rouge_judge() -> Judge:
    """The judge of every ROUGE metric; it needs no profile."""
    return RougeJudge()
