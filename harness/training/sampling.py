"""What a model learns from its own answers: pairs of them, or the best of several.

The answers are drawn from the recipe's parent, judged or graded through the store, and kept in the
workspace under a key of everything that they came of.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.analysis.judge_reliability import preference_agreement
from harness.config import RubricMetric, Source
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.progress import Stage
from harness.data.hygiene import hygiene_flags
from harness.data.preference_pairs import (
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
from harness.data.samples import read_prompt
from harness.models.generate import CheckpointModel, generate_responses
from harness.models.local import make_prompt
from harness.scoring.reduce import reduce_judgements
from harness.training.context import TrainedModel, TrainingContext
from harness.types import JudgeCard, Preference, PreferenceRequest, Response, Sample, Task, Winner
from harness.types.judgements import JudgeRound
from judges.judging import (
    collect_outcomes,
    grade_answers,
    preference_requests,
    repeat_requests,
    to_judgement,
)
from judges.panel import Panel
from judges.protocol import Judge
from trainers.examples import load_samples
from trainers.recipe import BestOfRecipe, JudgedPairsRecipe, SampledPairsRecipe, SampledRecipe
from trainers.rejection_sampling import (
    BestOf,
    GradedAnswer,
    GradedDraws,
    choose_best,
    load_best_of,
    write_best_of,
)

PAIRS_VERSION = 2  # raise it when the same verdicts give other pairs or statistics


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


def sample_best_of_n(
    recipe: BestOfRecipe, root: Path, parent: TrainedModel, workshop: TrainingContext
) -> MadeBestOf:
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
        grades = iter(
            grade_candidates(clean, recipe.grade, judge, f"judge {recipe.recipe}", workshop)
        )
        graded = [GradedAnswer(r, f, None if f else next(grades)) for _, r, f in answers]
        draws = [
            GradedDraws(s.id, make_prompt(system, s.input), graded[i * recipe.n :][: recipe.n])
            for i, s in enumerate(samples)
        ]
        write_best_of(path, choose_best(draws))
    return MadeBestOf(path, load_best_of(path), (judge.card,))


def sample_preference_pairs(
    recipe: SampledPairsRecipe, root: Path, parent: TrainedModel, workshop: TrainingContext
) -> MadePairs:
    """The recipe's pairs, built unless they are there."""
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    if isinstance(recipe, JudgedPairsRecipe):
        return _draw_judged(recipe, samples, system, parent, workshop)
    path = workshop.pairs / _file_name(recipe, parent, samples, system, (), PAIRS_VERSION)
    if not path.is_file():
        own = _draw(recipe, samples, system, parent, 0, workshop)
        write_pairs(path, pairs_from_gold(_gold_answers(samples, system, own), recipe.filters))
    return MadePairs(str(path), load_pairs(path), ())


def _draw_judged(
    recipe: JudgedPairsRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    parent: TrainedModel,
    workshop: TrainingContext,
) -> MadePairs:
    """Draws two by two, judged; what was judged before is taken from the store."""
    panel = workshop.panel(recipe.prefer.judge, recipe.prefer.repeats)
    for judge in panel.judges:
        refuse_remote_phi(recipe.data, judge)
    name = _file_name(recipe, parent, samples, system, (panel.card,), PAIRS_VERSION)
    path = workshop.pairs / name
    if not path.is_file():
        draws = range(2 * recipe.draws)
        drawn = [_draw(recipe, samples, system, parent, draw, workshop) for draw in draws]
        duels = list(_make_duels(samples, drawn))
        ballots = _judge_duels(recipe, duels, panel, workshop)
        made = pairs_from_preferences(
            _judged_answers(duels, ballots, panel, system), recipe.filters
        )
        agreement = preference_agreement("preference", ballots)
        statistics = made.statistics.model_copy(update={"agreement": agreement})
        write_pairs(path, Pairs(made.pairs, statistics))
    return MadePairs(str(path), load_pairs(path), panel.card.members or (panel.card,))


def _file_name(
    recipe: SampledRecipe,
    parent: TrainedModel,
    samples: tuple[Sample, ...],
    system: str | None,
    teachers: tuple[JudgeCard, ...],
    *version: int,
) -> str:
    asked = recipe.model_dump(mode="json", exclude={"recipe", "parent", "data"})
    judged = [t.fingerprint for t in teachers]
    key = content_hash(asked, parent.fingerprint, list(samples), system, judged, *version)
    return f"{recipe.recipe}-{key[:12]}.jsonl"


def _draw(
    recipe: SampledRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    parent: TrainedModel,
    draw: int,
    workshop: TrainingContext,
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


class _AnswerPair(NamedTuple):
    """Two answers to one prompt, each with the name of its draw."""

    sample: Sample
    first_name: str
    first: Response
    second_name: str
    second: Response

    @property
    def key(self) -> tuple[str, str]:
        """No two duels of a recipe share it."""
        return self.sample.id, self.second_name


def _make_duels(
    samples: tuple[Sample, ...], drawn: Sequence[dict[str, Response]]
) -> Iterator[_AnswerPair]:
    for n in range(0, len(drawn), 2):
        first, second = drawn[n], drawn[n + 1]
        for sample in samples:
            sides = (f"draw {n + 1}", first[sample.id], f"draw {n + 2}", second[sample.id])
            yield _AnswerPair(sample, *sides)


def _judge_duels(
    recipe: JudgedPairsRecipe, duels: Sequence[_AnswerPair], panel: Panel, workshop: TrainingContext
) -> list[JudgeRound]:
    """Every judge on every duel in both orders and all rounds; what cannot differ is not asked."""
    once = [request for duel in duels for request in _requests(duel, recipe)]
    requests = list(repeat_requests(once, range(panel.repeats)))
    ballots = []
    for judge in panel.judges:
        by = f" by {judge.card.name}" if len(panel.judges) > 1 else ""
        stage = Stage(f"judge {recipe.recipe}{by}", len(requests))
        judged = collect_outcomes(requests, judge, workshop.store, workshop.progress, stage)
        for number in range(panel.repeats):
            said = [to_judgement(r, outcome) for r, outcome in judged if r.round == number]
            ballots.append(JudgeRound(judge.card, number, said))
    workshop.session.check_complete()
    return ballots


def _requests(duel: _AnswerPair, recipe: JudgedPairsRecipe) -> Iterator[PreferenceRequest]:
    if not_judgeable(duel.first.text, duel.second.text) is None:
        sides = (duel.first_name, duel.first.text or ""), (duel.second_name, duel.second.text or "")
        yield from preference_requests(duel.sample, "pairs", recipe.prefer, *sides)


def _judged_answers(
    duels: Sequence[_AnswerPair], ballots: Sequence[JudgeRound], panel: Panel, system: str | None
) -> Iterator[JudgedAnswers]:
    """Each duel with what the panel said of it in each order, and every vote behind that."""
    said = {
        (judgement.sample_id, judgement.candidate, judgement.order): judgement
        for judgement in reduce_judgements(ballots, panel.votes_needed)
        if isinstance(judgement, Preference)
    }
    votes: dict[tuple[str, str], list[Winner]] = {}
    for judgement in (judgement for ballot in ballots for judgement in ballot.judgements):
        if isinstance(judgement, Preference) and judgement.winner is not None:
            key = judgement.sample_id, judgement.candidate
            votes.setdefault(key, []).append(judgement.winner)
    for duel in duels:
        yield JudgedAnswers(
            prompt=make_prompt(system, duel.sample.input),
            first=SampledAnswer(duel.first, hygiene_flags(duel.first, system)),
            second=SampledAnswer(duel.second, hygiene_flags(duel.second, system)),
            forward=said.get((*duel.key, "baseline_first")),
            backward=said.get((*duel.key, "candidate_first")),
            votes=tuple(votes.get(duel.key, ())),
        )


def _gold_answers(
    samples: tuple[Sample, ...], system: str | None, own: dict[str, Response]
) -> Iterator[GoldAnswer]:
    for sample in samples:
        if not sample.reference:
            raise HarnessError(f"Row '{sample.id}' has no reference to choose over the own answer.")
        yield GoldAnswer(make_prompt(system, sample.input), sample.reference, own[sample.id])


def grade_candidates(
    answers: Sequence[tuple[Sample, str]],
    rubric: RubricMetric,
    judge: Judge,
    stage: str,
    workshop: TrainingContext,
) -> list[float | None]:
    grades = grade_answers(answers, rubric, judge, workshop.store, workshop.progress, stage)
    workshop.session.check_complete()
    return grades


def refuse_remote_phi(source: Source, judge: Judge) -> None:
    """Protected health information stays on this machine."""
    if source.phi and judge.card.remote:
        raise HarnessError(
            f"{source.label}: is marked phi (protected health information), and '{judge.card.name}' "
            "judges on another machine. Use a judge on this one."
        )
