"""From what a profile says of a judge to the judge itself."""

from functools import partial
from pathlib import Path

from harness.asking import Terms, connect
from harness.models import LocalModel
from harness.suite import EndpointSpec, JudgeSpec, LocalJudge
from harness.weights import fingerprint_model, require_checkpoint
from judges.language_model import LanguageModelJudge
from judges.local import LocalAnswerer
from judges.offline import OfflineJudge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge


def make_judge(name: str, spec: JudgeSpec, root: Path, *, terms: Terms = None) -> Judge:
    """The judge that the profile calls `name`; the paths of its files start from `root`.

    An endpoint is asked on these `terms`.

    Raises:
        HarnessError: recorded verdicts that are missing or cannot be read, no key for an
            endpoint, or a local model that is not there.
    """
    if spec.recorded is not None:
        return RecordedJudge(spec.title or name, spec.recorded, root=root, note=spec.note)
    if spec.endpoint is not None:
        return _endpoint_judge(spec.title, spec.endpoint, terms)
    if spec.local is not None:
        return _local_judge(spec.title, spec.local, root)
    return OfflineJudge()


def _endpoint_judge(title: str, spec: EndpointSpec, terms: Terms) -> Judge:
    endpoint = connect(spec, terms)
    heat = "its own" if spec.temperature is None else f"{spec.temperature:g}"
    return LanguageModelJudge(
        endpoint,
        name=title or spec.model,
        nature=f"language model {spec.model} at {endpoint.host}, temperature {heat}"
        + (", redacted" if spec.redact else ""),
        model=spec.model,
        structured=spec.structured,
        redacted=spec.redact,
        remote=True,
        prices=spec.price_per_million,
    )


def _local_judge(title: str, spec: LocalJudge, root: Path) -> Judge:
    directory = root / spec.checkpoint
    source = str(directory) if directory.is_dir() else spec.checkpoint
    require_checkpoint(source, revision=spec.revision)
    return LanguageModelJudge(
        LocalAnswerer(
            fingerprint_model(source, revision=spec.revision),
            partial(LocalModel.load, source, revision=spec.revision),
            max_new_tokens=spec.max_tokens,
        ),
        name=title or Path(spec.checkpoint).name,
        nature=f"language model {spec.checkpoint} on this machine, greedy",
        model=spec.checkpoint,
        structured="text",
    )


def rouge_judge() -> Judge:
    """The judge of every ROUGE metric; it needs no profile."""
    return RougeJudge()
