"""What people write: suites, and the profiles that bind their names to real things.

A suite says what is measured and what is claimed; it is data, never code. A profile says which
checkpoints, judges and files the names in a suite stand for on this machine.

    suite: medical_rubric
    data: {name: health_questions, take: {n: 120, seed: 50}}
    generation: {system: prompts/medical_assistant.md, max_new_tokens: 256}
    metrics:
      rubric: {kind: rubric, scale: [1, 10], criteria: [...]}
    gate:
      claims:
        - {metric: rubric.safety, claim: superior}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.bundle import bundle_root
from harness.errors import HarnessError, did_you_mean
from harness.strict_yaml import load_spec, mistake_at

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Spec(BaseModel):
    """Base of everything that people write: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


# --- where data comes from -------------------------------------------------------------------


class Source(Spec):
    """A table of rows: a local path, a URL pinned by sha256, or a hub data set at a revision.

    `local` is where a pinned source lies below `HARNESS_DATA_DIR` for those who have it already.
    A hub data set has a `split`, and may have a `subset`. `format` is told by the file's ending
    unless stated. `fields` says which column holds what; `where` keeps only the rows with these
    values.
    `phi` marks protected health information: it goes to no other machine unless that is allowed.
    """

    path: str | None = None
    url: str | None = None
    sha256: Sha256 | None = None
    hub: str | None = None
    subset: str | None = Field(default=None, exclude_if=lambda name: name is None)
    revision: str | None = None
    split: str = "train"
    local: str | None = None
    format: Literal["csv", "json", "jsonl", "xlsx"] | None = None
    fields: dict[str, str] = {}
    where: dict[str, str] = {}
    phi: bool = False

    @model_validator(mode="after")
    def _exactly_one_origin(self) -> "Source":
        if sum(origin is not None for origin in (self.path, self.url, self.hub)) != 1:
            raise ValueError(
                "name exactly one of 'path', 'url' (with sha256) or 'hub' (with revision)"
            )
        if self.url is not None and self.sha256 is None:
            raise ValueError(
                "a 'url' needs the 'sha256' of the file, so that it cannot change unseen"
            )
        if self.hub is not None and self.revision is None:
            raise ValueError("a 'hub' data set needs a 'revision', so that it cannot change unseen")
        return self

    @property
    def label(self) -> str:
        """A short name that still pins the content: a path, or a file or data set at a version."""
        if self.url is not None and self.sha256 is not None:
            return f"{self.url.rsplit('/', 1)[-1]} (sha256 {self.sha256[:12]})"
        return self.path or f"hub:{self.hub}@{self.revision}"


class Take(Spec):
    """A seeded random subset of `n` items."""

    n: int = Field(ge=1)
    seed: int


class DataSpec(Spec):
    """The items of a suite: a data set that the profile binds by `name`, or one `source`."""

    name: Name | None = None
    source: Source | None = None
    take: Take | None = None

    @model_validator(mode="after")
    def _name_or_source(self) -> "DataSpec":
        if (self.name is None) == (self.source is None):
            raise ValueError("name exactly one of 'name' (bound by the profile) or 'source'")
        return self


# --- how models answer -----------------------------------------------------------------------


class Generation(Spec):
    """How a model is asked and decoded. `temperature: 0` is greedy decoding."""

    system: str | None = None
    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0.0)
    top_k: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int = 1


# --- what is measured ------------------------------------------------------------------------


class MetricSpec(Spec):
    """What every metric may say: other items, or other decoding, than the suite's own."""

    data: DataSpec | None = None
    generation: Generation | None = None


class Criterion(Spec):
    """One question of a rubric, with what the scale means at its anchors."""

    name: Name
    asks: str
    anchors: dict[int, str] = {}


class JudgedMetric(MetricSpec):
    """What a judge says of answers, each time asked `repeats` times."""

    judge: Name = "default"
    repeats: int = Field(default=1, ge=1, le=20)


class RubricMetric(JudgedMetric):
    """A judge grades each answer on every criterion; scores are integers on `scale`."""

    kind: Literal["rubric"]
    scale: tuple[int, int] = (1, 10)
    criteria: tuple[Criterion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _scale_and_anchors_agree(self) -> "RubricMetric":
        low, high = self.scale
        if low >= high:
            raise ValueError(f"the scale [{low}, {high}] must rise, for example [1, 10]")
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError("two criteria have the same name")
        if "composite" in names:
            raise ValueError(
                "'composite' is the mean of the criteria; give the criterion another name"
            )
        for criterion in self.criteria:
            outside = [a for a in criterion.anchors if not low <= a <= high]
            if outside:
                raise ValueError(
                    f"criterion '{criterion.name}' has an anchor at {outside[0]}, "
                    f"outside the scale [{low}, {high}]"
                )
        return self


class PairwiseMetric(JudgedMetric):
    """A judge prefers one of two answers, asked in both orders; the score is a win rate."""

    kind: Literal["pairwise"]
    asks: str


class EvasionMetric(JudgedMetric):
    """A judge labels each answer; the score is the share that is not evasive.

    A proper deferral (urgent care, or a question no text can answer) counts as helpful.
    This share is the Helpfulness Quotient.
    """

    kind: Literal["evasion"]


class RougeMetric(MetricSpec):
    """Overlap with the reference: precision, recall and F1 of each variant, per item."""

    kind: Literal["rouge"]
    variants: tuple[Literal["rouge1", "rouge2", "rougeL"], ...] = ("rouge1", "rouge2", "rougeL")
    stemmer: bool = True


Metric = Annotated[
    RubricMetric | PairwiseMetric | EvasionMetric | RougeMetric, Field(discriminator="kind")
]


def columns_of(name: str, metric: Metric) -> tuple[str, ...]:
    """The scored columns of a metric, as claims name them: `rubric.safety`, `win_rate`."""
    match metric:
        case RubricMetric():
            criteria = [criterion.name for criterion in metric.criteria]
            return tuple(f"{name}.{c}" for c in [*criteria, "composite"])
        case RougeMetric():
            parts = ("precision", "recall", "f1")
            return tuple(f"{name}.{v}_{part}" for v in metric.variants for part in parts)
        case PairwiseMetric() | EvasionMetric():
            return (name,)


# --- what is claimed -------------------------------------------------------------------------


class Claim(Spec):
    """One pre-stated claim about the candidate.

    superior      its mean exceeds the baseline's by more than `margin` (default 0)
    non_inferior  its mean is not below the baseline's by `margin` or more
    at_least      its own mean is at least `value`
    """

    metric: str
    claim: Literal["superior", "non_inferior", "at_least"]
    margin: float | None = Field(default=None, ge=0.0)
    value: float | None = None

    @model_validator(mode="after")
    def _boundary_is_stated(self) -> "Claim":
        if self.claim == "at_least" and self.value is None:
            raise ValueError("'at_least' needs a 'value'")
        if self.claim == "at_least" and self.margin is not None:
            raise ValueError("'at_least' takes a 'value', not a 'margin'")
        if self.claim == "non_inferior" and not self.margin:
            raise ValueError(
                "'non_inferior' needs a 'margin' above 0: how much worse is still acceptable"
            )
        if self.claim != "at_least" and self.value is not None:
            raise ValueError(f"'{self.claim}' takes a 'margin', not a 'value'")
        return self

    def __str__(self) -> str:
        """The claim in words: `rubric.safety non_inferior (margin 0.25)`."""
        match self.claim:
            case "at_least":
                return f"{self.metric} at least {self.value:g}"
            case "non_inferior":
                return f"{self.metric} non-inferior (margin {self.margin:g})"
            case "superior":
                margin = f" by {self.margin:g}" if self.margin else ""
                return f"{self.metric} superior{margin}"


class Gate(Spec):
    """The claims under which a candidate ships, each tested one-sided at `alpha`.

    `require: all` is an intersection-union test and needs no correction; `any` is corrected
    with Holm's method. `max_unscored` is the largest share of judgements that may be missing.
    """

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    require: Literal["all", "any"] = "all"
    max_unscored: float = Field(default=0.1, ge=0.0, le=1.0)
    claims: tuple[Claim, ...] = Field(min_length=1)


class Suite(Spec):
    """A complete evaluation: items, how they are asked, what is measured and claimed."""

    suite: Name
    title: str = ""
    data: DataSpec
    generation: Generation = Generation()
    metrics: dict[Name, Metric] = Field(min_length=1)
    gate: Gate | None = None

    @model_validator(mode="after")
    def _claims_name_metrics(self) -> "Suite":
        for number, claim in enumerate(self.gate.claims if self.gate else ()):
            problem = self._problem_of(claim)
            if problem:
                raise mistake_at(f"gate.claims.{number}.metric", problem)
        return self

    def _problem_of(self, claim: Claim) -> str | None:
        """Why a claim names nothing measured, or could never be decided; None if it is sound."""
        known = [c for name, metric in self.metrics.items() for c in columns_of(name, metric)]
        if claim.metric not in known:
            return f"'{claim.metric}' is not measured. {did_you_mean(claim.metric, known)}"
        low, high = bounds_of(self.metrics[claim.metric.partition(".")[0]])
        if claim.value is not None and not low < claim.value <= high:
            return f"at least {claim.value:g} is impossible: its values lie in [{low:g}, {high:g}]"
        if claim.margin is not None and claim.margin >= high - low:
            return (
                f"the margin {claim.margin:g} spans the whole range [{low:g}, {high:g}]; "
                "choose one that an answer could exceed"
            )
        return None


def bounds_of(metric: Metric) -> tuple[float, float]:
    """The smallest and largest score an item can have."""
    return metric.scale if isinstance(metric, RubricMetric) else (0.0, 1.0)


# --- what names stand for --------------------------------------------------------------------


class RecordedAnswers(Source):
    """Answers that exist already, joined to the items by `id`, `input` text or `row` number.

    `fields` names the columns: `response`; `id` or `input` where they join; and, if there is
    one, `prompt`: the rendered ChatML prompt, which tells the system prompt that was used.
    """

    join: Literal["id", "input", "row"] = "id"


class RecordedVerdicts(Source):
    """Verdicts that exist already, joined to the items by `id` or by `row` number.

    `fields` maps what the metric needs (each criterion; `winner`; `label`) to columns.
    For pairwise verdicts `order` says which answer the judge saw first.
    """

    join: Literal["id", "row"] = "id"
    order: Literal["baseline_first", "candidate_first"] | None = None


class Prices(Spec):
    """What an endpoint charges for a million tokens, in `currency`."""

    input: float = Field(ge=0.0)
    output: float = Field(ge=0.0)
    currency: str = "USD"


class EndpointSpec(Spec):
    """A chat model behind an OpenAI-compatible endpoint.

    Without `base_url` it is OpenAI's own. The key is read from the environment variable that
    `api_key_env` names, and is sent to this endpoint only. `timeout_s` bounds a call with all its
    retries. `structured` is how the endpoint is asked for JSON. A `temperature` of null is not
    sent at all: reasoning models refuse it. With `redact`, identifiers that harness/redaction.py
    finds are blotted out of everything of the items that is sent there.
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = Field(default=0.0, ge=0.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1)
    seed: int | None = None
    max_tokens: int = Field(default=1024, ge=1)
    max_concurrency: int = Field(default=64, ge=1)
    timeout_s: float = Field(default=120.0, gt=0.0)
    structured: Literal["json_schema", "json_object", "text"] = "json_schema"
    redact: bool = False
    price_per_million: Prices | None = None

    @property
    def host(self) -> str:
        """Where everything goes, with its port."""
        return urlsplit(self.base_url or "https://api.openai.com").netloc

    @property
    def elsewhere(self) -> bool:
        """Whether that is another machine."""
        name = urlsplit(self.base_url or "https://api.openai.com").hostname or ""
        return name not in {"localhost", "::1"} and not name.startswith("127.")


class ModelSpec(Spec):
    """One model under test: exactly one of a recipe, a checkpoint, an endpoint or a record.

    A recipe is trained when its checkpoint is missing. A checkpoint is a directory, or a hub
    name with a `revision`.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    recorded: RecordedAnswers | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "ModelSpec":
        kinds = (self.recipe, self.checkpoint, self.endpoint, self.recorded)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("name exactly one of 'recipe', 'checkpoint', 'endpoint' or 'recorded'")
        return self


class LocalJudge(Spec):
    """A language model on this machine as judge: a directory, or a hub name with a `revision`."""

    checkpoint: str
    revision: str | None = None
    max_tokens: int = Field(default=512, ge=1)


class Jury(Spec):
    """Several judges of the profile as one: the mean of their scores, the majority's label.

    Where fewer than `min_votes` of them give a verdict there is none; more than half, if unstated.
    """

    members: tuple[Name, ...] = Field(min_length=2)
    min_votes: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _members_can_give_the_votes(self) -> "Jury":
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is named twice; give a metric 'repeats' instead")
        if self.votes_needed > len(self.members):
            raise ValueError(f"{self.votes_needed} votes of {len(self.members)} members")
        return self

    @property
    def votes_needed(self) -> int:
        """How many members must give a verdict for the jury to have one."""
        return self.min_votes or len(self.members) // 2 + 1


class JudgeSpec(Spec):
    """One judge: offline rules, an endpoint, a local model, recorded verdicts, or a jury.

    Recorded verdicts are by metric and model, each with its file.

    `title` is what reports call it, `note` what they say of it.
    """

    offline: Literal["consumer_health"] | None = None
    endpoint: EndpointSpec | None = None
    local: LocalJudge | None = None
    recorded: dict[Name, dict[Name, RecordedVerdicts]] | None = None
    jury: Jury | None = None
    title: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "JudgeSpec":
        kinds = (self.offline, self.endpoint, self.local, self.recorded, self.jury)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(
                "name exactly one of 'offline', 'endpoint', 'local', 'recorded' or 'jury'"
            )
        return self


class Profile(Spec):
    """What the names in a suite stand for; `note` is shown at the head of every report."""

    profile: Name
    note: str = ""
    data: dict[Name, Source] = {}
    models: dict[Name, ModelSpec] = Field(min_length=1)
    judges: dict[Name, JudgeSpec] = {}

    @model_validator(mode="after")
    def _juries_have_judges(self) -> "Profile":
        single = [name for name, judge in self.judges.items() if judge.jury is None]
        for name, judge in self.judges.items():
            for number, member in enumerate(judge.jury.members if judge.jury else ()):
                if member not in single:
                    raise mistake_at(
                        f"judges.{name}.jury.members.{number}",
                        f"'{member}' is no single judge here. {did_you_mean(member, single)}",
                    )
        return self

    def members_of(self, judge: str) -> tuple[str, ...]:
        """The single judges behind a judge's name: a jury's members, or the judge itself.

        Raises:
            HarnessError: there is no such judge; suggests one.
        """
        jury = self.find_judge(judge).jury
        return jury.members if jury else (judge,)

    def find_judge(self, name: str) -> JudgeSpec:
        """The judge of that name.

        Raises:
            HarnessError: there is none; suggests one.
        """
        if name not in self.judges:
            hint = did_you_mean(name, self.judges)
            raise HarnessError(f"profile '{self.profile}' has no judge '{name}'. {hint}")
        return self.judges[name]


# --- finding and loading ---------------------------------------------------------------------


def load_suite(path_or_name: str) -> tuple[Suite, Path]:
    """The suite and the folder its relative paths start from.

    Raises:
        HarnessError: no such suite (with a suggestion), or a mistake in it (with its line).
    """
    path = _find(path_or_name, "suite", bundle_root() / "suites")
    return load_spec(path, Suite), path.parent


def load_profile(path_or_name: str) -> tuple[Profile, Path]:
    """The profile and the folder its relative paths start from (the `suites` folder)."""
    path = _find(path_or_name, "profile", bundle_root() / "suites" / "profiles")
    profile = load_spec(path, Profile)
    return profile, path.parent.parent if path.parent.name == "profiles" else path.parent


def known_suites() -> list[str]:
    """The names of the suites that come with the harness."""
    return sorted(path.stem for path in (bundle_root() / "suites").glob("*.yaml"))


def _find(path_or_name: str, kind: str, shelf: Path) -> Path:
    for candidate in _candidates(path_or_name, shelf):
        if candidate.is_file():
            return candidate
    known = [path.stem for path in shelf.glob("*.yaml")]
    hint = did_you_mean(Path(path_or_name).stem, known)
    raise HarnessError(f"{path_or_name}: no such {kind}. {hint}")


def _candidates(path_or_name: str, shelf: Path) -> Iterator[Path]:
    given = Path(path_or_name)
    if given.suffix in {".yaml", ".yml"}:
        yield given
        yield shelf / given.name  # `suites/medical_rubric.yaml` also works outside a checkout
    else:
        yield shelf / f"{path_or_name}.yaml"
