"""The request of a command line: its files, read and checked against each other."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from harness.config.loading import load_profile, load_suite
from harness.config.metrics import PairwiseMetric
from harness.config.profile import Profile
from harness.config.suite import Suite
from harness.core.errors import HarnessError


class Request(NamedTuple):
    """The suite, the profile and the models of a run, and the options that narrow it.

    With `by_batch` the requests to endpoints are written into batch files for the user to send.
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
) -> Request:
    """Read the suite and the profile of a command line and check them against each other.

    Raises:
        HarnessError: a file is wrong, or a model, judge or data set is not in the profile.
    """
    # Read the files.
    loaded_suite, suite_root = load_suite(suite)
    loaded_profile, profile_root = load_profile(profile)
    names = tuple(models)
    _check_models(names, loaded_profile)
    request = Request(
        suite=loaded_suite,
        suite_root=suite_root,
        profile=loaded_profile,
        profile_root=profile_root,
        models=names,
        limit=limit,
        seed=seed,
        judge=judge or None,
        allow_remote_phi=allow_remote_phi,
        by_batch=by_batch,
        allow_contamination=allow_contamination,
    )
    # Every judged metric needs a judge of the profile that can judge these models.
    for metric_name in loaded_suite.metrics:
        name = judge_name(metric_name, request)
        if name is not None:
            loaded_profile.find_judge(name)
            _refuse_unrecorded_pairs(metric_name, request)
            _refuse_third_models(metric_name, name, request)
    return request


def judge_name(metric_name: str, request: Request) -> str | None:
    """Return the profile's name of the judge of a metric; None for one that is computed."""
    metric = request.suite.metrics[metric_name]
    return None if metric.judge is None else request.judge or metric.judge


def judge_names(metric_name: str, request: Request) -> tuple[str, ...]:
    """Return the single judges of a metric, each member of a jury; none if it is computed."""
    name = judge_name(metric_name, request)
    return () if name is None else request.profile.members_of(name)


def _check_models(names: tuple[str, ...], profile: Profile) -> None:
    for name in names:
        profile.find_model(name)
    if len(set(names)) < 2:
        raise HarnessError(
            "name at least two different models, baseline first and candidate last, "
            "for example: --models sft,dpo"
        )
    if len(set(names)) < len(names):
        raise HarnessError(f"a model is named twice in --models {','.join(names)}.")


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
