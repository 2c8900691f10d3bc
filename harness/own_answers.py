"""What a model learns from its own answers: pairs of them, or the best of several.

The answers are drawn from the recipe's parent, judged or graded through the store, and kept in the
workspace under a key of everything that they came of.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.asking import Asking
from harness.errors import HarnessError
from harness.generate import (
    CheckpointModel,
    generate_responses,
)
from harness.grading import grade_answers
from harness.hygiene import hygiene_flags
from harness.judging import collect_outcomes, preference_requests
from harness.models import make_prompt
from harness.progress import Stage
from harness.provenance import content_hash
from harness.samples import read_prompt
from harness.suite import RubricMetric, Source
from harness.types import JudgeCard, Response, Sample, Task
from harness.workshop import Made, Workshop
from judges.protocol import Judge
from trainers.best_of import (
    BestOf,
    GradedAnswer,
    GradedDraws,
    choose_best,
    load_best_of,
    write_best_of,
)
from trainers.examples import load_samples
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
    BestOfRecipe,
    JudgedPairsRecipe,
    SampledPairsRecipe,
    SampledRecipe,
)


class MadePairs(NamedTuple):
    """Preference pairs, the file or source that holds them, and the judges that chose them."""

    place: str
    pairs: Pairs
    teachers: tuple[JudgeCard, ...]


class MadeBestOf(NamedTuple):
    """Rows in the workspace, each the best of several answers, and the judges that chose them."""

    path: Path
    best: BestOf
    teachers: tuple[JudgeCard, ...]


def draw_best(recipe: BestOfRecipe, root: Path, parent: Made, workshop: Workshop) -> MadeBestOf:
    """The best answers of the recipe's parent, made unless they are there.

    What has a hygiene flag is never the best, and so the judge is not asked about it.
    """
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    judge = workshop.judge(recipe.grade.judge)
    refuse_remote_phi(recipe.data, judge)
    path = workshop.best_of / _file_name(recipe, parent, samples, system, (judge.card,))
    if not path.is_file():
        drawn = [_draw(recipe, samples, system, parent, n, workshop) for n in range(recipe.n)]
        answers = [(s, d[s.id], hygiene_flags(d[s.id], system)) for s in samples for d in drawn]
        clean = [(sample, response.text or "") for sample, response, flags in answers if not flags]
        grades = iter(grade_now(clean, recipe.grade, judge, f"judge {recipe.recipe}", workshop))
        graded = [GradedAnswer(r, f, None if f else next(grades)) for _, r, f in answers]
        draws = [
            GradedDraws(s.id, make_prompt(system, s.input), graded[i * recipe.n :][: recipe.n])
            for i, s in enumerate(samples)
        ]
        write_best_of(path, choose_best(draws))
    return MadeBestOf(path, load_best_of(path), (judge.card,))


def draw_pairs(
    recipe: SampledPairsRecipe, root: Path, parent: Made, workshop: Workshop
) -> MadePairs:
    """The recipe's pairs, built unless they are there."""
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    judge = workshop.judge(recipe.prefer.judge) if isinstance(recipe, JudgedPairsRecipe) else None
    if judge is not None:
        refuse_remote_phi(recipe.data, judge)
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
    return MadePairs(str(path), load_pairs(path), teachers)


def pairs_path(
    recipe: SampledPairsRecipe,
    parent: Made,
    samples: tuple[Sample, ...],
    system: str | None,
    teachers: tuple[JudgeCard, ...],
    workshop: Workshop,
) -> Path:
    """Where pairs made of exactly this are kept."""
    return workshop.pairs / _file_name(recipe, parent, samples, system, teachers)


def _file_name(
    recipe: SampledRecipe,
    parent: Made,
    samples: tuple[Sample, ...],
    system: str | None,
    teachers: tuple[JudgeCard, ...],
) -> str:
    asked = recipe.model_dump(mode="json", exclude={"recipe", "parent", "data"})
    key = content_hash(
        asked, parent.fingerprint, list(samples), system, [t.fingerprint for t in teachers]
    )
    return f"{recipe.recipe}-{key[:12]}.jsonl"


def _draw(
    recipe: SampledRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    parent: Made,
    draw: int,
    workshop: Workshop,
) -> dict[str, Response]:
    """One answer of the parent to every prompt; draws differ in their seed only."""
    seed = recipe.generation.seed + draw
    task = Task(
        name=f"draw {draw + 1}",
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
    if isinstance(workshop.terms, Asking):
        workshop.terms.check_complete()
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


def grade_now(
    answers: Sequence[tuple[Sample, str]],
    rubric: RubricMetric,
    judge: Judge,
    stage: str,
    workshop: Workshop,
) -> list[float | None]:
    grades = grade_answers(answers, rubric, judge, workshop.store, workshop.progress, stage)
    if isinstance(workshop.terms, Asking):
        workshop.terms.check_complete()
    return grades


def refuse_remote_phi(source: Source, judge: Judge) -> None:
    """Protected health information stays on this machine."""
    if source.phi and judge.card.remote:
        raise HarnessError(
            f"{source.label}: is marked phi (protected health information), and '{judge.card.name}' "
            "judges on another machine. Use a judge on this one."
        )
