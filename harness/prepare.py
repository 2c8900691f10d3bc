"""Checkpoints and preference pairs on demand: made when missing, verified when there.

A recipe names its parent, its parent names its own; each link is kept in the workspace under a
key of everything it was made from, so that nothing is trained twice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness.endpoint import Budget
from harness.errors import HarnessError
from harness.generate import (
    CheckpointModel,
    EndpointModel,
    Model,
    RecordedModel,
    generate_responses,
    recorded_fingerprint,
)
from harness.hygiene import hygiene_flags
from harness.judging import collect_outcomes, judges_of, preference_requests
from harness.models import fingerprint_model, make_prompt
from harness.plan import Request
from harness.progress import Progress, Stage
from harness.provenance import content_hash
from harness.samples import read_prompt
from harness.store import Store
from harness.suite import ModelSpec, load_profile
from harness.types import CheckpointCard, JudgeCard, Response, Sample, Task
from judges.protocol import Judge
from trainers.checkpoint import (
    MANIFEST,
    MARK,
    card,
    checkpoint_key,
    load_manifest,
    verify_checkpoint,
)
from trainers.examples import data_hash, load_examples, load_samples
from trainers.pairs import (
    GoldAnswer,
    JudgedAnswers,
    Pairs,
    SampledAnswer,
    load_pairs,
    not_judgeable,
    pairs_from_gold,
    pairs_from_preferences,
    write_pairs,
)
from trainers.recipe import (
    DpoRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    PairsRecipe,
    Parent,
    PretrainRecipe,
    SftRecipe,
    TrainingRecipe,
    load_recipe,
    parent_directory,
)


class Workshop(NamedTuple):
    """What preparing models takes: a store, judges by name, a display, and a limit on costs."""

    store: Store
    judge: Callable[[str], Judge]
    progress: Progress
    budget: Budget | None = None

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept."""
        return self.store.workspace / "checkpoints"

    @property
    def pairs(self) -> Path:
        """Where preference pairs are kept."""
        return self.store.workspace / "pairs"


class Prepared(NamedTuple):
    """A model ready to answer; `teachers` are the judges that chose its training pairs."""

    model: Model
    fingerprint: str
    card: CheckpointCard | None
    teachers: tuple[JudgeCard, ...]


class Made(NamedTuple):
    """A checkpoint in the workspace (or the parent it starts from) and who taught it."""

    directory: str
    fingerprint: str
    teachers: tuple[JudgeCard, ...] = ()


class MadePairs(NamedTuple):
    """Preference pairs in the workspace, and the judges that chose them."""

    path: Path
    pairs: Pairs
    teachers: tuple[JudgeCard, ...]


def prepare_models(request: Request, workshop: Workshop) -> dict[str, Prepared]:
    """Every model of the request, in its order; what is missing is trained.

    Raises:
        HarnessError: a checkpoint that is incomplete or was changed, or a recipe with a mistake.
    """
    return {
        name: _prepare(name, request.profile.models[name], request.profile_root, workshop)
        for name in request.models
    }


def make_checkpoint(
    recipe: TrainingRecipe, root: Path, workshop: Workshop, *, out: Path | None = None
) -> Made:
    """The recipe's checkpoint, trained unless it is there; its own parents likewise.

    `out` is another place than the workspace; it is trained anew there.
    """
    from trainers.dpo import train_dpo
    from trainers.pretrain import train_base
    from trainers.sft import train_sft

    progress = workshop.progress.advance
    match recipe:
        case PretrainRecipe():
            texts = [sample for source in recipe.data for sample in load_samples(source, root)]
            key = checkpoint_key(recipe, None, data_hash(texts))
            target = out or _target(recipe, key, workshop)
            if out is not None or not _is_there(target):
                train_base(recipe, root, target, progress)
            return _made(target)
        case SftRecipe():
            parent = make_parent(recipe.parent, root, workshop)
            rows = load_examples(recipe.data, root)
            key = checkpoint_key(recipe, parent.fingerprint, data_hash(rows))
            target = out or _target(recipe, key, workshop)
            if out is not None or not _is_there(target):
                train_sft(recipe, parent.directory, target, rows=rows, progress=progress)
            return _made(target, parent.teachers)
        case DpoRecipe():
            parent = make_parent(recipe.parent, root, workshop)
            pairs_recipe, pairs_root = load_pairs_recipe(recipe.pairs, root)
            made = make_pairs(pairs_recipe, pairs_root, workshop)
            pairs = made.pairs.pairs
            key = checkpoint_key(recipe, parent.fingerprint, data_hash(pairs))
            target = out or _target(recipe, key, workshop)
            if out is not None or not _is_there(target):
                train_dpo(recipe, Path(parent.directory), target, pairs=pairs, progress=progress)
            return _made(target, (*parent.teachers, *made.teachers))


def make_parent(parent: Parent, root: Path, workshop: Workshop) -> Made:
    """What a recipe starts from; a directory with a manifest is verified first."""
    if parent.recipe is not None:
        recipe, recipe_root = load_recipe(parent.recipe, beside=root)
        if isinstance(recipe, JudgedPairsRecipe | GoldPairsRecipe):
            raise HarnessError(f"{parent.recipe}: makes pairs, not a checkpoint to start from.")
        return make_checkpoint(recipe, recipe_root, workshop)
    source = parent_directory(parent, root)
    return Made(source, _fingerprint(source, parent.revision))


# --- pairs -----------------------------------------------------------------------------------


def load_pairs_recipe(path_or_name: str, beside: Path) -> tuple[PairsRecipe, Path]:
    """A recipe that makes pairs.

    Raises:
        HarnessError: no such recipe, or one that trains.
    """
    recipe, root = load_recipe(path_or_name, beside=beside)
    if not isinstance(recipe, JudgedPairsRecipe | GoldPairsRecipe):
        raise HarnessError(f"{path_or_name}: trains a checkpoint; it makes no preference pairs.")
    return recipe, root


def make_pairs(recipe: PairsRecipe, root: Path, workshop: Workshop) -> MadePairs:
    """The recipe's pairs, built unless they are there."""
    parent = make_parent(recipe.parent, root, workshop)
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    judge = workshop.judge(recipe.prefer.judge) if isinstance(recipe, JudgedPairsRecipe) else None
    teachers = () if judge is None else (judge.card,)
    path = pairs_path(recipe, parent, samples, system, teachers, workshop)
    if not path.is_file():
        draws = 2 * recipe.draws if isinstance(recipe, JudgedPairsRecipe) else 1
        drawn = [_draw(recipe, samples, system, parent, draw, workshop) for draw in range(draws)]
        if isinstance(recipe, JudgedPairsRecipe):
            assert judge is not None
            judged = _judge_draws(recipe, samples, system, drawn, judge, workshop)
            write_pairs(path, pairs_from_preferences(judged))
        else:
            write_pairs(path, pairs_from_gold(_gold_answers(samples, system, drawn[0])))
    return MadePairs(path, load_pairs(path), teachers)


def pairs_path(
    recipe: PairsRecipe,
    parent: Made,
    samples: tuple[Sample, ...],
    system: str | None,
    teachers: tuple[JudgeCard, ...],
    workshop: Workshop,
) -> Path:
    """Where pairs made of exactly this are kept."""
    asked = recipe.model_dump(mode="json", exclude={"recipe", "parent", "data"})
    key = content_hash(asked, parent.fingerprint, list(samples), system, list(teachers))
    return workshop.pairs / f"{recipe.recipe}-{key[:12]}.jsonl"


def _draw(
    recipe: PairsRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    parent: Made,
    draw: int,
    workshop: Workshop,
) -> dict[str, Response]:
    """One answer of the parent to every prompt; draws differ in their seed only."""
    seed = recipe.generation.seed + draw
    task = Task(
        name=f"pairs, draw {draw + 1}",
        source=recipe.recipe,
        items_hash="",
        n_items=len(samples),
        samples=samples,
        generation=recipe.generation.model_copy(update={"seed": seed}),
        system=system,
        metrics={},
    )
    model = CheckpointModel(recipe.recipe, parent.directory, parent.fingerprint)
    responses = generate_responses(task, model, workshop.store, workshop.progress)
    return {response.sample_id: response for response in responses}


def _judge_draws(
    recipe: JudgedPairsRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    drawn: list[dict[str, Response]],
    judge: Judge,
    workshop: Workshop,
) -> Iterator[JudgedAnswers]:
    """Draws two by two, each pair judged in both orders; what cannot differ is not asked."""
    duels = [(s, a[s.id], b[s.id]) for a, b in zip(drawn[::2], drawn[1::2], strict=True) for s in samples]  # fmt: skip
    requests = [
        request
        for sample, first, second in duels
        if not_judgeable(first.text, second.text) is None
        for request in preference_requests(
            sample,
            "pairs",
            recipe.prefer,
            ("first", first.text or ""),
            ("second", second.text or ""),
        )
    ]
    stage = Stage(f"judge {recipe.recipe}", len(requests))
    judged = collect_outcomes(requests, judge, workshop.store, workshop.progress, stage)
    outcomes = (outcome for _, outcome in judged)
    for sample, first, second in duels:
        asked = not_judgeable(first.text, second.text) is None
        yield JudgedAnswers(
            prompt=make_prompt(system, sample.input),
            first=SampledAnswer(first, hygiene_flags(first, system)),
            second=SampledAnswer(second, hygiene_flags(second, system)),
            forward=next(outcomes) if asked else None,
            backward=next(outcomes) if asked else None,
        )


def _gold_answers(
    samples: tuple[Sample, ...], system: str | None, own: dict[str, Response]
) -> Iterator[GoldAnswer]:
    for sample in samples:
        if not sample.reference:
            raise HarnessError(f"Row '{sample.id}' has no reference to choose over the own answer.")
        yield GoldAnswer(make_prompt(system, sample.input), sample.reference, own[sample.id])


# --- models ----------------------------------------------------------------------------------


def _prepare(name: str, spec: ModelSpec, root: Path, workshop: Workshop) -> Prepared:
    if spec.recorded is not None:
        recorded = RecordedModel(name, spec.recorded, root)
        return Prepared(recorded, recorded_fingerprint(recorded), None, ())
    if spec.endpoint is not None:
        asked = EndpointModel(name, spec.endpoint, workshop.budget)
        return Prepared(asked, content_hash(spec.endpoint.model, spec.endpoint.base_url), None, ())
    if spec.recipe is not None:
        recipe, recipe_root = load_recipe(spec.recipe)
        if isinstance(recipe, JudgedPairsRecipe | GoldPairsRecipe):
            raise HarnessError(f"model '{name}': {spec.recipe} makes pairs, not a model.")
        made = make_checkpoint(recipe, recipe_root, workshop)
    else:
        source = parent_directory(Parent(checkpoint=spec.checkpoint, revision=spec.revision), root)
        made = Made(source, _fingerprint(source, spec.revision))
    model = CheckpointModel(name, made.directory, made.fingerprint, spec.revision)
    return Prepared(model, made.fingerprint, _card(made.directory, name), made.teachers)


def _fingerprint(source: str, revision: str | None) -> str:
    """A directory of ours is verified; another one, or a hub model, is fingerprinted."""
    directory = Path(source)
    if (directory / MANIFEST).is_file() or (directory / MARK).is_file():
        return verify_checkpoint(directory).fingerprint
    if not directory.is_dir() and revision is None:
        raise HarnessError(
            f"{source}: is no directory here. For a hub model also give its 'revision', "
            "so that it cannot change unseen."
        )
    return fingerprint_model(source, revision=revision)


def _card(directory: str, name: str) -> CheckpointCard | None:
    if not (Path(directory) / MANIFEST).is_file():
        return None
    return card(load_manifest(Path(directory)), name)


def _target(recipe: TrainingRecipe, key: str, workshop: Workshop) -> Path:
    return workshop.checkpoints / f"{recipe.recipe}-{key[:12]}"


def _is_there(target: Path) -> bool:
    """Whether the checkpoint lies there, whole; its folder's name tells which one it is.

    Raises:
        HarnessError: it lies there, and is damaged.
    """
    return target.is_dir() and bool(verify_checkpoint(target).fingerprint)


def _made(target: Path, teachers: tuple[JudgeCard, ...] = ()) -> Made:
    return Made(str(target), load_manifest(target).fingerprint, teachers)


# --- single commands -------------------------------------------------------------------------


class Summary(NamedTuple):
    """What one command made, and where it lies."""

    directory: str
    summary: dict[str, str]


def train_recipe(
    recipe: str, profile: str, *, workspace: Path, out: Path | None, progress: Progress
) -> Summary:
    """The checkpoint of one recipe; the profile's judges choose its pairs.

    Raises:
        HarnessError: a mistake in the recipe, or one that makes pairs.
    """
    loaded, root = load_recipe(recipe)
    if isinstance(loaded, JudgedPairsRecipe | GoldPairsRecipe):
        raise HarnessError(f"{recipe}: makes preference pairs; use `harness pairs {recipe}`.")
    bound, profile_root = load_profile(profile)
    with Store(workspace) as store:
        workshop = Workshop(store, judges_of(bound, profile_root), progress)
        made = make_checkpoint(loaded, root, workshop, out=out)
    manifest = load_manifest(Path(made.directory))
    described = card(manifest, loaded.recipe)
    return Summary(made.directory, {"fingerprint": made.fingerprint} | described.facts)


def build_pairs(recipe: str, profile: str, *, workspace: Path, progress: Progress) -> Summary:
    """The pairs of one recipe, with what was kept and dropped.

    Raises:
        HarnessError: a mistake in the recipe, or one that trains.
    """
    loaded, root = load_pairs_recipe(recipe, Path())
    bound, profile_root = load_profile(profile)
    with Store(workspace) as store:
        workshop = Workshop(store, judges_of(bound, profile_root), progress)
        made = make_pairs(loaded, root, workshop)
    statistics = made.pairs.statistics
    facts = {"built": str(statistics.built), "kept": str(statistics.kept)}
    facts |= {f"dropped, {reason}": str(n) for reason, n in sorted(statistics.dropped.items())}
    facts |= {"chosen by": ", ".join(teacher.name for teacher in made.teachers) or "gold answers"}
    return Summary(str(made.path), facts)
