"""Who judges what: the judges of a profile, made and put on the panels of a suite's metrics."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from harness.config import EndpointSpec, JudgeSpec, LocalJudge, Profile
from harness.core.errors import HarnessError
from harness.models.local import LocalModel
from harness.models.session import Terms, open_endpoint
from harness.models.weights import fingerprint_model, require_checkpoint
from judges.llm import LanguageModelJudge
from judges.local import LocalAnswerer
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.rouge import RougeJudge
from judges.rules.judge import OfflineJudge


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
    endpoint = open_endpoint(spec, terms)
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


def judge_loader(profile: Profile, root: Path, *, terms: Terms = None) -> Callable[[str], Judge]:
    """The profile's judges by name, each made once; `terms` are those on which endpoints are asked.

    What is returned raises HarnessError for a name the profile has not, and for recorded
    verdicts that cannot be read.
    """

    @cache
    def find_judge(name: str) -> Judge:
        spec = profile.find_judge(name)
        if spec.jury is not None:
            members = ", ".join(spec.jury.members)
            raise HarnessError(f"'{name}' is a jury; name one of its judges here: {members}.")
        if spec.people is not None:
            raise HarnessError(
                f"judge '{name}' is people: what they said is read, and they cannot be asked here."
            )
        return make_judge(name, spec, root, terms=terms)

    return find_judge
