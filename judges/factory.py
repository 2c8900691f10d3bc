"""The judges of a profile, each made from its spec."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from harness.config import (
    ChoiceMetric,
    EndpointSpec,
    JudgeSpec,
    Jury,
    LikelihoodMetric,
    LocalJudge,
    MatchMetric,
    PeopleSpec,
    PluginJudge,
    PluginMetric,
    Profile,
    RecordedVerdicts,
    RetrievalMetric,
    RougeMetric,
    ServeSpec,
)
from harness.config.base import fill_seed, names_seed
from harness.config.endpoint import server_endpoint
from harness.config.metrics import Computed
from harness.core.errors import HarnessError
from harness.models.gguf import locate_model
from harness.models.local import LocalModel
from harness.models.model_folder import verified_fingerprint
from harness.models.serving.chat_format import Weights
from harness.models.serving.servers import describe_serving
from harness.models.session import EndpointSession, open_endpoint
from harness.models.weights import require_checkpoint
from harness.types.samples import seed_suffix
from judges.choice import ChoiceJudge
from judges.likelihood import LikelihoodJudge
from judges.llm import LanguageModelJudge
from judges.local import LocalBackend
from judges.match import MatchJudge
from judges.plugin import InstalledJudge, ScorerJudge
from judges.protocol import Judge
from judges.recorded import RecordedJudge
from judges.retrieval import RetrievalJudge
from judges.rouge import RougeJudge
from judges.rules.judge import OfflineJudge
from judges.served import ServedBy
from judges.served_checkpoint import ServedBackend


def make_judge(
    name: str, spec: JudgeSpec, root: Path, *, session: EndpointSession | None = None
) -> Judge:
    """Make the judge that the profile calls `name`; the paths of its files start from `root`.

    Without a `session` an endpoint is asked live and without a budget.

    Raises:
        HarnessError: recorded verdicts that are missing or cannot be read, no key for an
            endpoint, a local model that is not there, a plug-in that is not installed or no judge, or
            several judges: a jury or people.
    """
    match spec.source:
        case "consumer_health":
            return OfflineJudge()
        case EndpointSpec() as endpoint:
            return _endpoint_judge(spec.title, endpoint, session or EndpointSession())
        case LocalJudge() as local:
            return _local_judge(spec.title, local, root, session or EndpointSession())
        case dict() as recorded:
            return RecordedJudge(spec.title or name, recorded, root=root, note=spec.note)
        case PluginJudge(root=plugin):
            return InstalledJudge(plugin, spec.title)
        case Jury(members=members):
            raise HarnessError(
                f"'{name}' is a jury; name one of its judges here: {', '.join(members)}."
            )
        case PeopleSpec():
            raise HarnessError(
                f"judge '{name}' is people: their votes are read, and they cannot be asked here."
            )


def _endpoint_judge(title: str, spec: EndpointSpec, session: EndpointSession) -> Judge:
    endpoint = open_endpoint(spec, session)
    temperature = "its own" if spec.temperature is None else f"{spec.temperature:g}"
    return LanguageModelJudge(
        endpoint,
        name=title or spec.model,
        nature=f"language model {spec.model} at {endpoint.host}, temperature {temperature}"
        + (f", revision {spec.revision}" if spec.revision else "")
        + (", redacted" if spec.redact else ""),
        model=spec.model,
        structured=spec.structured,
        redacted=spec.redact,
        remote=True,
        prices=spec.price_per_million,
        served=ServedBy(endpoint, session, spec.temperature == 0, spec.revision),
    )


def _local_judge(title: str, spec: LocalJudge, root: Path, session: EndpointSession) -> Judge:
    source = locate_model(spec.checkpoint, root)
    require_checkpoint(source, revision=spec.revision)
    if spec.serve is not None:
        return _served_judge(title, spec, spec.serve, source, session)
    return LanguageModelJudge(
        LocalBackend(
            verified_fingerprint(source, revision=spec.revision),
            partial(LocalModel.load, source, revision=spec.revision),
            max_new_tokens=spec.max_tokens,
        ),
        name=title or Path(spec.checkpoint).name,
        nature=f"language model {spec.checkpoint} on this machine, greedy",
        model=spec.checkpoint,
        structured="text",
    )


def _served_judge(
    title: str, spec: LocalJudge, serve: ServeSpec, source: str, session: EndpointSession
) -> Judge:
    """Return the judge whose checkpoint a server holds; an engine answers by schema where it can."""
    weights = Weights(source, spec.revision, verified_fingerprint(source, revision=spec.revision))
    session.servers.announce(weights, serve)
    server = server_endpoint(serve)
    return LanguageModelJudge(
        ServedBackend(weights, serve, session.servers, max_tokens=spec.max_tokens),
        name=title or Path(spec.checkpoint).name,
        nature=f"language model {spec.checkpoint}, served by {describe_serving(serve)}, greedy",
        model=spec.checkpoint,
        structured="text" if serve.engine == "transformers" else "json_schema",
        remote=server is not None and server.elsewhere,
    )


def make_computed_judge(metric: Computed) -> Judge:
    """Make the judge that computes a metric; it needs no profile."""
    match metric:
        case RougeMetric():
            return RougeJudge()
        case MatchMetric():
            return MatchJudge()
        case ChoiceMetric():
            return ChoiceJudge()
        case LikelihoodMetric():
            return LikelihoodJudge()
        case RetrievalMetric():
            return RetrievalJudge()
        case PluginMetric(scorer=scorer):
            return ScorerJudge(scorer)


class ProfileJudges(NamedTuple):
    """The judges of a profile, found by name; the paths of its files start from `root`."""

    profile: Profile
    root: Path
    find: Callable[[str], Judge]


def load_judges(profile: Profile, root: Path, session: EndpointSession) -> ProfileJudges:
    """Return the profile's judges; each is made once, when it is first found.

    `find` raises HarnessError for a name that the profile does not have, and where `make_judge`
    does.
    """

    @cache
    def find(name: str) -> Judge:
        spec = _verdicts_by_seed(profile.find_judge(name), profile)
        return make_judge(name, spec, root, session=session)

    return ProfileJudges(profile, root, find)


def _verdicts_by_seed(judge: JudgeSpec, profile: Profile) -> JudgeSpec:
    """Return the judge with recorded verdicts on each training seed apart, where a spec says `{seed}`.

    Those on a model without seeds differ by seed where it is compared with a model that has some.
    """
    if judge.recorded is None:
        return judge
    all_seeds = sorted({seed for model in profile.models.values() for seed in model.seeds})

    def by_seed(name: str, spec: RecordedVerdicts) -> dict[str, RecordedVerdicts]:
        if not names_seed(spec):
            return {name: spec}
        model = profile.models.get(name)
        seeds = (model and model.seeds) or all_seeds
        return {name + seed_suffix(seed): fill_seed(spec, seed) for seed in seeds}

    recorded = {
        metric: {k: v for name, spec in models.items() for k, v in by_seed(name, spec).items()}
        for metric, models in judge.recorded.items()
    }
    return judge.model_copy(update={"recorded": recorded})
