"""The request of a command line: its files, read and checked against each other."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from harness.config.base import SEED, names_seed
from harness.config.loading import load_profile, load_suite
from harness.config.metrics import PairwiseMetric
from harness.config.profile import Profile
from harness.config.suite import AloneSuite, Suite, measure_alone
from harness.core.errors import HarnessError, did_you_mean

AskAgainFor = Literal["answers", "unreadable", "failed"]


class AskAgain(NamedTuple):
    """What is asked again although the store has it: of one model, or of all.

    answers     every answer of a model behind an endpoint
    unreadable  verdicts that were none because the judge's reply could not be read
    failed      empty answers, and verdicts that are missing for any reason but an abstention

    With `try_repaired` one unreadable verdict of each metric is asked again in any run; where it can
    be read now, the judge was repaired, and the others are asked again too.
    """

    what: AskAgainFor | None = None
    model: str | None = None
    try_repaired: bool = False

    def concerns(self, *models: str) -> bool:
        return self.model is None or self.model in models


NOTHING_AGAIN = AskAgain()


class Request(NamedTuple):
    """The suite, the profile and the models of a run, and the options that narrow it.

    With `by_batch` the requests to endpoints are written into batch files for the user to send. Of a
    run of one model the suite is what it says of that model alone: `not_measured` are the metrics and
    `not_decided` the claims that would take a baseline. With `order_seed` items are in a random order, so
    that the first `limit` are a sample of all.
    """

    suite: Suite
    suite_root: Path
    profile: Profile
    profile_root: Path
    models: tuple[str, ...]
    limit: int | None = None
    seed: int | None = None
    judge: str | None = None
    allow_remote_phi: bool = False
    by_batch: bool = False
    allow_contamination: bool = False
    not_measured: tuple[str, ...] = ()
    not_decided: tuple[str, ...] = ()
    order_seed: int | None = None

    @property
    def seeded(self) -> tuple[str, ...]:
        """Return the names of the models with several training seeds; one in training has no spec."""
        specs = self.profile.models
        return tuple(name for name in self.models if name in specs and specs[name].seeds)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the training seeds of these models, which are alike for all that have some."""
        return self.profile.models[self.seeded[0]].seeds if self.seeded else ()


def load_request(
    suite: str,
    profile: str,
    models: Iterable[str],
    *,
    limit: int | None = None,
    seed: int | None = None,
    judge: str | None = None,
    allow_remote_phi: bool = False,
    by_batch: bool = False,
    allow_contamination: bool = False,
    serve: str | None = None,
    serve_options: Iterable[str] = (),
    search_dir: Path | None = None,
) -> Request:
    """Read the suite and the profile of a command line and check them against each other.

    `serve` names an inference engine that answers for every checkpoint, and `serve_options` are the
    engine's, as typed. A suite in `search_dir`, the folder of the file that names it, comes first.

    Raises:
        HarnessError: a file is wrong, or a model, judge or data set is not in the profile.
    """
    loaded_suite, suite_root = load_suite(suite, search_dir=search_dir)
    loaded_profile, profile_root = load_profile(profile)
    loaded_profile = loaded_profile.served_by(serve, tuple(serve_options))
    request = Request(
        suite=loaded_suite,
        suite_root=suite_root,
        profile=loaded_profile,
        profile_root=profile_root,
        models=tuple(models),
        limit=limit,
        seed=seed,
        judge=judge or None,
        allow_remote_phi=allow_remote_phi,
        by_batch=by_batch,
        allow_contamination=allow_contamination,
    )
    return check_request(request)


def check_request(request: Request) -> Request:
    """Check the parts of a request against each other; of one model alone, return what can be measured.

    Raises:
        HarnessError: a model, judge or data set is not in the profile, or does not fit the suite.
    """
    profile = request.profile
    _check_models(request.models, profile)
    _check_thinking(request.models, request.suite, profile)
    suite, not_measured, not_decided = _what_these_models_show(request.suite, request.models)
    request = request._replace(suite=suite, not_measured=not_measured, not_decided=not_decided)
    _check_seeds(request)
    _refuse_batch_by_server(request)
    # Every judged metric needs a judge of the profile that can judge these models.
    for metric_name in suite.metrics:
        name = judge_name(metric_name, request)
        if name is not None:
            profile.find_judge(name)
            _refuse_unrecorded_pairs(metric_name, request)
            _refuse_third_models(metric_name, name, request)
            _require_verdicts_by_seed(metric_name, name, request)
    return request


def read_ask_again(what: str | None, model: str | None, request: Request) -> AskAgain:
    """Read the options `--ask-again` and `--model`.

    Raises:
        HarnessError: an unknown word or model, a model that is no endpoint, or a batch.
    """
    words = get_args(AskAgainFor)
    if what is None:
        if model is not None:
            raise HarnessError("--model belongs to --ask-again; name the models in --models.")
        return NOTHING_AGAIN
    if what not in words:
        raise HarnessError(f"--ask-again {what}: no such thing. {did_you_mean(what, words)}")
    if request.by_batch:
        raise HarnessError(
            "--ask-again asks live; replies that came by batch are kept. Leave out one."
        )
    if model is not None and model not in request.models:
        raise HarnessError(
            f"--model {model}: not in this run. {did_you_mean(model, request.models)}"
        )
    asked = request.models if model is None else (model,)
    if what == "answers" and not any(request.profile.models[name].endpoint for name in asked):
        raise HarnessError(
            "--ask-again answers: only endpoints can answer otherwise than they did. Answers of "
            "weights and files are stored by their content."
        )
    return AskAgain(cast(AskAgainFor, what), model)


def judge_name(metric_name: str, request: Request) -> str | None:
    """Return the profile's name of the judge of a metric; None for one that is computed."""
    metric = request.suite.metrics[metric_name]
    return None if metric.judge is None else request.judge or metric.judge


def judge_names(metric_name: str, request: Request) -> tuple[str, ...]:
    """Return the single judges of a metric: a jury's members, one and its second, none if computed."""
    name = judge_name(metric_name, request)
    if name is None:
        return ()
    second = request.profile.find_judge(name).then
    return (*request.profile.members_of(name), *(() if second is None else (second,)))


def is_all_recorded(request: Request) -> bool:
    """Return whether the run asks nobody: answers and verdicts are recorded, or rules compute them."""
    models = (request.profile.models[name] for name in request.models)
    judges = (
        request.profile.judges[name]
        for metric in request.suite.metrics
        for name in judge_names(metric, request)
    )
    return all(model.recorded for model in models) and all(
        judge.recorded or judge.offline for judge in judges
    )


def _check_models(names: tuple[str, ...], profile: Profile) -> None:
    for name in names:
        parts = name.split()
        if name not in profile.models and len(parts) > 1 and set(parts) <= profile.models.keys():
            raise HarnessError(
                f"--models '{name}': separate the models with commas: --models {','.join(parts)}"
            )
        profile.find_model(name)
    if not names:
        raise HarnessError(
            "name the models, baseline first and candidate last, for example: --models sft,dpo"
        )
    if len(set(names)) < len(names):
        raise HarnessError(f"a model is named twice in --models {','.join(names)}.")


def _check_thinking(names: tuple[str, ...], suite: Suite, profile: Profile) -> None:
    """Refuse a switch of thinking that the suite and an endpoint of the profile both set."""
    options = suite.generation.template_options
    for name in names:
        endpoint = profile.models[name].endpoint
        if endpoint is not None and endpoint.template_options.keys() & options.keys():
            raise HarnessError(
                f"model '{name}': its 'chat_template_kwargs' in the profile and 'thinking' in the suite both "
                "switch its thoughts. Leave one of them out."
            )


def _check_seeds(request: Request) -> None:
    """Refuse models with different training seeds, which cannot be paired, and looks before the end."""
    for name in request.seeded[1:]:
        first, seeds = request.seeded[0], request.profile.models[name].seeds
        if seeds != request.seeds:
            raise HarnessError(
                f"model '{name}': has the training seeds {_listed(seeds)}, and '{first}' has "
                f"{_listed(request.seeds)}. Models are paired by seed: give both the same ones."
            )
    gate = request.suite.gate
    if request.seeded and gate is not None and gate.stop_early:
        raise HarnessError(
            f"gate: 'stop_early' takes one checkpoint of each model, and '{request.seeded[0]}' has "
            "several training seeds. Leave out one of them."
        )


def _refuse_batch_by_server(request: Request) -> None:
    """Refuse batch files with a checkpoint at somebody else's server, which is compared with it live."""
    for name in request.models if request.by_batch else ():
        serve = request.profile.models[name].serve
        if serve is not None and serve.base_url is not None:
            raise HarnessError(
                f"model '{name}': --batch sends nothing, and the server that holds it is checked before it "
                "answers. Leave out --batch, or 'serve' to have it answer here."
            )


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def _what_these_models_show(suite: Suite, models: tuple[str, ...]) -> AloneSuite:
    """Return the suite, of one model without what compares two.

    Raises:
        HarnessError: every metric compares two models, and there is only one.
    """
    if len(models) > 1:
        return AloneSuite(suite, (), ())
    alone = measure_alone(suite)
    if not alone.suite.metrics:
        raise HarnessError(
            f"suite '{suite.suite}': {', '.join(suite.metrics)} compares two models, and nothing else is "
            f"measured. Name a baseline too: --models BASELINE,{models[0]}"
        )
    return alone


def _refuse_unrecorded_pairs(metric_name: str, request: Request) -> None:
    """Refuse `pairs: all` with recorded verdicts, which are stored by candidate alone."""
    metric = request.suite.metrics[metric_name]
    if not isinstance(metric, PairwiseMetric) or len(request.models) < 3 or metric.pairs != "all":
        return
    for judge in judge_names(metric_name, request):
        if request.profile.judges[judge].recorded is not None:
            raise HarnessError(
                f"metric '{metric_name}': 'pairs: all' compares every model with every other, but "
                f"judge '{judge}' has recorded verdicts, which are about the baseline and one "
                "candidate. Leave 'pairs' out, or use a judge that can be asked."
            )


def _refuse_third_models(metric_name: str, judge: str, request: Request) -> None:
    """Refuse a third model with a human study, which compares two."""
    people = request.profile.judges[judge].people
    if people is not None and people.study is not None and len(request.models) > 2:
        raise HarnessError(
            f"metric '{metric_name}': judge '{judge}' is a study, in which people compared two models; "
            "name these two in --models."
        )


def _require_verdicts_by_seed(metric_name: str, judge: str, request: Request) -> None:
    """Require verdicts on each training seed, of judges that do not ask; people's are not by seed."""
    if not request.seeded:
        return
    if request.profile.judges[judge].people is not None:
        raise HarnessError(
            f"metric '{metric_name}': judge '{judge}' is people, whose votes are on one checkpoint, and "
            f"'{request.seeded[0]}' has several training seeds. Name a model without 'seeds'."
        )
    pairs = isinstance(request.suite.metrics[metric_name], PairwiseMetric)
    for name in request.profile.members_of(judge):
        recorded = (request.profile.judges[name].recorded or {}).get(metric_name, {})
        for model in request.models[1:] if pairs else request.seeded:
            if model in recorded and not names_seed(recorded[model]):
                raise HarnessError(
                    f"judge '{name}': its verdicts on '{model}' for '{metric_name}' are the same for every "
                    f"training seed. Write {SEED} where they differ: in the path, or in 'where'."
                )
