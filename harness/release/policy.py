"""A release over several suites: each is run, or read where it is finished, then decided together.

policy → requests and baselines → finished runs are read → suites are run → one verdict
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import harness
from harness.artifacts.integrity import NOT_VERIFIED
from harness.artifacts.run_folder import Run, load_run
from harness.artifacts.run_list import find_run
from harness.config.release import ReleasePart, load_release
from harness.config.request import Request, load_request
from harness.core.errors import HarnessError, InfrastructureError
from harness.gate.release import decide_release, level_of_release
from harness.release.registry import now
from harness.runs.conclude import too_many_unscored
from harness.runs.regression import Baseline, check_run, read_baseline
from harness.runs.run import run_suite
from harness.training.context import RunContext
from harness.types.release import ReleaseLine, ReleaseResult
from reports.release import RELEASE_FILES, write_release
from reports.write import remove_reports

RELEASES = "releases"  # the folder of releases among those of runs


class _Part(NamedTuple):
    """One suite of a policy with its files read; a finished run has no request."""

    spec: ReleasePart
    request: Request | None
    baseline: Baseline | None


def run_release(
    policy_file: Path,
    models: Sequence[str],
    profile: str,
    context: RunContext,
    *,
    out: Path,
) -> tuple[ReleaseResult, Path]:
    """Run what the policy names as suites, read what it names as runs, and decide and report on all.

    Each suite that is run is a try on its items, as in `run_suite`. Returns the result and its folder.

    Raises:
        HarnessError: a mistake in a file, found before anything is run; or runs of different models.
    """
    # 1. Read every file.
    policy = load_release(policy_file)
    root = policy_file.parent
    folder = out / RELEASES / policy.release
    remove_reports(folder, RELEASE_FILES)  # an earlier release must not be read as this one
    parts = [_read_part(part, root, models, profile) for part in policy.suites]
    # 2. Read the finished runs first: where they are of other models, no suite is paid for.
    measured: dict[str, Run | HarnessError] = {}
    common: dict[str, _Model] = {}
    for part in sorted(parts, key=lambda part: part.request is not None):
        if part.spec.named not in measured:  # it may have several roles
            context.progress.log(f"{part.spec.role}: {part.spec.named}")
            measured[part.spec.named] = _measure(part, root, context, out)
            common = _common_models(measured)
        _require_gate(part, measured[part.spec.named])
    if all(part.request is None for part in parts):
        _require_named(common, models)
    # 3. Decide.
    lines = tuple(_judge_part(part, measured[part.spec.named]) for part in parts)
    verdict, sentence = decide_release(lines)
    compared = [common[place] for place in ("baseline", "candidate") if place in common]
    result = ReleaseResult(
        release=policy.release,
        title=policy.title,
        decided=now(),
        harness_version=harness.__version__,
        models=tuple(model.name for model in compared),
        fingerprints=tuple(model.fingerprint for model in compared),
        verdict=verdict,
        sentence=sentence,
        alpha=level_of_release(lines),
        lines=lines,
    )
    write_release(result, folder)
    return result, folder


def _read_part(part: ReleasePart, root: Path, models: Sequence[str], profile: str) -> _Part:
    """Read the suite and the baseline of a part.

    Raises:
        HarnessError: a mistake in one of them, or no models to run the suite with.
    """
    request = None
    if part.suite is not None:
        if not models:
            raise HarnessError(
                f"suite '{part.suite}' is to be run: name its models, baseline first, with --models."
            )
        request = load_request(part.suite, profile, models, search_dir=root)
        if part.role == "required" and request.suite.gate is None:
            raise HarnessError(_NO_GATE.format(part.suite))
    baseline = None if part.baseline is None else read_baseline(root / part.baseline)
    return _Part(part, request, baseline)


_NO_GATE = "'{}' has no gate, so that it cannot be required. Give its suite a 'gate', or show it."


def _measure(part: _Part, root: Path, context: RunContext, out: Path) -> Run | HarnessError:
    """Run the suite or read the run; an error in it is the part's, and the others go on."""
    try:
        if part.request is not None:
            return load_run(run_suite(part.request, context, out=out).folder)
        beside = root / part.spec.named
        return load_run(beside if beside.is_dir() else find_run(Path(part.spec.named), out))
    except HarnessError as error:
        return error


class _Model(NamedTuple):
    """A model that a run compares: its name there, its checkpoint, and which run it is."""

    name: str
    fingerprint: str
    run: str


def _common_models(measured: Mapping[str, Run | HarnessError]) -> dict[str, _Model]:
    """Return the baseline and the candidate of all runs; a run of a model alone has no baseline.

    Raises:
        HarnessError: runs are of different checkpoints; names the two.
    """
    common: dict[str, _Model] = {}
    for named, run in measured.items():
        if isinstance(run, HarnessError):
            continue
        plan, fingerprints = run.result.plan, run.result.fingerprints
        names = {} if plan.alone else {"baseline": plan.baseline}
        for place, name in {**names, "candidate": plan.candidate}.items():
            model = _Model(name, fingerprints[name], named)
            first = common.setdefault(place, model)
            if first.fingerprint != model.fingerprint:
                raise HarnessError(
                    f"'{first.run}' and '{named}' have different models as {place}: '{first.name}' is "
                    f"{first.fingerprint[:12]} in the first, and '{name}' {model.fingerprint[:12]} in the "
                    "second. A release is of one checkpoint against one baseline: run all suites with "
                    "the same."
                )
    return common


def _require_named(common: Mapping[str, _Model], models: Sequence[str]) -> None:
    """Refuse finished runs of other models than those that the command names, if it names any."""
    named = [*models[-1:], *models[:-1][:1]]  # one model alone is a candidate
    for place, name in zip(("candidate", "baseline"), named, strict=False):
        model = common.get(place)
        if model is not None and model.name != name:
            raise HarnessError(
                f"'{model.run}' has '{model.name}' as {place}, and --models names '{name}'. Leave --models "
                "out to decide on the runs' own models, or name runs of these."
            )


def _require_gate(part: _Part, run: Run | HarnessError) -> None:
    """Refuse a required run without a gate."""
    if part.spec.role == "required" and isinstance(run, Run) and run.result.decision is None:
        raise HarnessError(_NO_GATE.format(part.spec.named))


def _judge_part(part: _Part, run: Run | HarnessError) -> ReleaseLine:
    """Return what a part contributes; a check that is refused leaves it without a result."""
    role = part.spec.role
    if isinstance(run, HarnessError):
        return _without_result(part.spec, run)
    result = run.result
    line = ReleaseLine(
        name=result.plan.suite,
        role=role,
        run_id=result.run_id,
        folder=str(run.folder),
        notes=tuple(_notes(run)),
        infrastructure=role != "shown" and too_many_unscored(result),
    )
    decision, alpha = result.decision, result.plan.gate.alpha if result.plan.gate else None
    if part.baseline is not None:
        try:
            decision, alpha = check_run(run, part.baseline).decision, part.baseline.alpha
        except HarnessError as error:
            return _without_result(part.spec, error).model_copy(
                update={"run_id": line.run_id, "folder": line.folder}
            )
    if decision is None:
        return line.model_copy(update={"sentence": "no gate: its comparisons are descriptive."})
    stated = {"verdict": decision.verdict, "sentence": decision.sentence}
    return line.model_copy(update={**stated, "claims": decision.claims, "alpha": alpha})


def _without_result(part: ReleasePart, error: HarnessError) -> ReleaseLine:
    return ReleaseLine(
        name=part.named,
        role=part.role,
        problem=str(error),
        infrastructure=isinstance(error, InfrastructureError),
    )


def _notes(run: Run) -> Iterator[str]:
    if not run.result.tables:
        yield NOT_VERIFIED
    yield from (caveat.text for caveat in run.result.caveats)
