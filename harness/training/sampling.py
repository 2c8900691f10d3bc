"""Training data from a model's own answers: preference pairs, or the best of several answers.

The answers are sampled from the recipe's parent and judged through the store. The data are kept in
the workspace under a key of everything that they were made from.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.analysis.judge_reliability import preference_agreement
from harness.config import ChecklistMetric, RubricMetric, Source
from harness.config.endpoint import server_endpoint
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.core.progress import Stage
from harness.core.text_files import read_prompt
from harness.data.hygiene import hygiene_flags
from harness.data.preference_pairs import (
    GoldAnswer,
    JudgedAnswers,
    Pairs,
    SampledAnswer,
    load_pairs,
    pairs_from_gold,
    pairs_from_preferences,
    unpairable_reason,
    write_pairs,
)
from harness.models.generate import generate_responses
from harness.models.model_kinds import CheckpointModel, serve_checkpoint
from harness.models.serving.servers import served_fingerprint
from harness.scoring.reduce import reduce_judgements
from harness.training.context import RunContext, TrainedModel
from harness.types import JudgeCard, Preference, PreferenceRequest, Response, Sample, Task, Winner
from harness.types.judgements import JudgeRound
from judges.grading import grade_answers
from judges.judging import (
    collect_outcomes,
    preference_requests,
    repeat_requests,
    to_judgement,
)
from judges.panel import Panel
from judges.plugin import InstalledJudge
from judges.protocol import Judge
from trainers.examples import load_samples
from trainers.recipe import BestOfRecipe, GoldPairsRecipe, JudgedPairsRecipe, SampledRecipe
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
    recipe: BestOfRecipe, root: Path, parent: TrainedModel, judge: Judge, context: RunContext
) -> MadeBestOf:
    """Sample the parent's answers and keep the best of each prompt, unless they are stored.

    An answer with a hygiene flag is never the best, so the judge does not grade it.
    """
    samples = load_samples(recipe.data, root, recipe.grade)
    system = read_prompt(recipe.generation.system, root)
    refuse_remote_phi(recipe.data, judge)
    path = context.best_of / _file_name(recipe, parent, samples, system, (judge.card,))
    if not path.is_file():
        context.begin_making(path)
        # Sample, and flag what is not worth a grade.
        draws = [
            _sample_answers(recipe, samples, system, parent, n, context) for n in range(recipe.n)
        ]
        context.session.check_complete()
        answers = [
            (s, d[s.id], hygiene_flags(d[s.id], s.system or system)) for s in samples for d in draws
        ]
        # Grade the rest, and choose among the answers to each prompt.
        clean = [(sample, response.text or "") for sample, response, flags in answers if not flags]
        title = f"judge {recipe.recipe}"
        grades = iter(grade_candidates(clean, recipe.grade, judge, title, context))
        graded = [GradedAnswer(r, f, None if f else next(grades)) for _, r, f in answers]
        by_prompt = [
            GradedDraws(s.id, s.chat(system), graded[i * recipe.n :][: recipe.n])
            for i, s in enumerate(samples)
        ]
        write_best_of(path, choose_best(by_prompt))
    return MadeBestOf(path, load_best_of(path), (judge.card,))


def sample_gold_pairs(
    recipe: GoldPairsRecipe, root: Path, parent: TrainedModel, context: RunContext
) -> MadePairs:
    """Pair each reference with an answer of the parent, unless the pairs are stored."""
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    path = context.pairs / _file_name(recipe, parent, samples, system, (), PAIRS_VERSION)
    if not path.is_file():
        context.begin_making(path)
        responses = _sample_answers(recipe, samples, system, parent, 0, context)
        context.session.check_complete()
        answers = _gold_answers(samples, system, responses)
        write_pairs(path, pairs_from_gold(answers, recipe.filters))
    return MadePairs(str(path), load_pairs(path), ())


def sample_judged_pairs(
    recipe: JudgedPairsRecipe, root: Path, parent: TrainedModel, panel: Panel, context: RunContext
) -> MadePairs:
    """Sample the parent's answers two by two and have them judged, unless the pairs are stored.

    Verdicts that the store has are not asked for again.
    """
    samples = load_samples(recipe.data, root)
    system = read_prompt(recipe.generation.system, root)
    for judge in panel.judges:
        refuse_remote_phi(recipe.data, judge)
    name = _file_name(recipe, parent, samples, system, (panel.card,), PAIRS_VERSION)
    path = context.pairs / name
    if not path.is_file():
        context.begin_making(path)
        # Sample, and judge the first draw against the second, the third against the fourth, …
        numbers = range(2 * recipe.draws)
        draws = [_sample_answers(recipe, samples, system, parent, n, context) for n in numbers]
        context.session.check_complete()
        answer_pairs = list(_pair_answers(samples, draws))
        rounds = _judge_answer_pairs(recipe, answer_pairs, panel, context)
        # Keep the pairs with a clear winner.
        judged_answers = _judged_answers(answer_pairs, rounds, panel, system)
        pairs, statistics = pairs_from_preferences(judged_answers, recipe.filters)
        agreement = preference_agreement("preference", rounds)
        write_pairs(path, Pairs(pairs, statistics.model_copy(update={"agreement": agreement})))
    return MadePairs(str(path), load_pairs(path), panel.card.members or (panel.card,))


def _file_name(
    recipe: SampledRecipe,
    parent: TrainedModel,
    samples: tuple[Sample, ...],
    system: str | None,
    teachers: tuple[JudgeCard, ...],
    *version: int,
) -> str:
    """Return a name that is equal for equal data: it holds a hash of everything they depend on."""
    settings = recipe.model_dump(mode="json", exclude={"recipe", "parent", "data", "serve"})
    judged_by = [teacher.fingerprint for teacher in teachers]
    answering = parent.fingerprint
    if recipe.serve is not None:
        answering = served_fingerprint(answering, recipe.serve)
    key = content_hash(settings, answering, list(samples), system, judged_by, *version)
    return f"{recipe.recipe}-{key[:12]}.jsonl"


def _sample_answers(
    recipe: SampledRecipe,
    samples: tuple[Sample, ...],
    system: str | None,
    parent: TrainedModel,
    draw: int,
    context: RunContext,
) -> dict[str, Response]:
    """Sample one answer of the parent to every prompt, by sample; draws differ in their seed only."""
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
    _refuse_phi_elsewhere(recipe)
    weights = CheckpointModel(recipe.recipe, parent.directory, parent.fingerprint)
    model = serve_checkpoint(weights, recipe.serve, context.session)
    responses = generate_responses(task, model, context.store, context.progress)
    return {response.sample_id: response for response in responses}


def _refuse_phi_elsewhere(recipe: SampledRecipe) -> None:
    """Refuse to send protected health information to a server on another machine."""
    server = server_endpoint(recipe.serve)
    if recipe.data.phi and server is not None and server.elsewhere:
        raise HarnessError(
            f"{recipe.data.label}: is marked phi (protected health information), and '{recipe.recipe}' would "
            f"send it to {server.host}. Serve its parent on this machine."
        )


class _AnswerPair(NamedTuple):
    """Two answers to one prompt, each with the name of its draw."""

    sample: Sample
    first_name: str
    first: Response
    second_name: str
    second: Response

    @property
    def key(self) -> tuple[str, str]:
        """Return a key that no other pair of the recipe has."""
        return self.sample.id, self.second_name


def _pair_answers(
    samples: tuple[Sample, ...], draws: Sequence[dict[str, Response]]
) -> Iterator[_AnswerPair]:
    for n in range(0, len(draws), 2):
        first, second = draws[n], draws[n + 1]
        for sample in samples:
            sides = (f"draw {n + 1}", first[sample.id], f"draw {n + 2}", second[sample.id])
            yield _AnswerPair(sample, *sides)


def _judge_answer_pairs(
    recipe: JudgedPairsRecipe, pairs: Sequence[_AnswerPair], panel: Panel, context: RunContext
) -> list[JudgeRound]:
    """Ask every judge about every pair, in both orders and all rounds.

    Pairs of identical or empty answers are skipped.
    """
    first_round = [request for pair in pairs for request in _requests(pair, recipe)]
    requests = list(repeat_requests(first_round, range(panel.repeats)))
    rounds = []
    for judge in panel.judges:
        by = f" by {judge.card.name}" if len(panel.judges) > 1 else ""
        stage = Stage(f"judge {recipe.recipe}{by}", len(requests))
        outcomes = collect_outcomes(requests, judge, context.store, context.progress, stage)
        for number in range(panel.repeats):
            judgements = [to_judgement(r, outcome) for r, outcome in outcomes if r.round == number]
            rounds.append(JudgeRound(judge.card, number, judgements))
    context.session.check_complete()
    return rounds


def _requests(pair: _AnswerPair, recipe: JudgedPairsRecipe) -> Iterator[PreferenceRequest]:
    if unpairable_reason(pair.first.text, pair.second.text) is None:
        sides = (pair.first_name, pair.first.text or ""), (pair.second_name, pair.second.text or "")
        yield from preference_requests(pair.sample, "pairs", recipe.prefer, *sides)


def _judged_answers(
    pairs: Sequence[_AnswerPair], rounds: Sequence[JudgeRound], panel: Panel, system: str | None
) -> Iterator[JudgedAnswers]:
    """Yield each pair with the panel's preference in each order, and every vote behind it."""
    preferences = {
        (judgement.sample_id, judgement.candidate, judgement.order): judgement
        for judgement in reduce_judgements(rounds, panel.votes_needed)
        if isinstance(judgement, Preference)
    }
    votes: dict[tuple[str, str], list[Winner]] = {}
    for judgement in (judgement for judge_round in rounds for judgement in judge_round.judgements):
        if isinstance(judgement, Preference) and judgement.winner is not None:
            key = judgement.sample_id, judgement.candidate
            votes.setdefault(key, []).append(judgement.winner)
    for pair in pairs:
        yield JudgedAnswers(
            prompt=pair.sample.chat(system),
            first=SampledAnswer(
                pair.first, hygiene_flags(pair.first, pair.sample.system or system)
            ),
            second=SampledAnswer(
                pair.second, hygiene_flags(pair.second, pair.sample.system or system)
            ),
            forward=preferences.get((*pair.key, "baseline_first")),
            backward=preferences.get((*pair.key, "candidate_first")),
            votes=tuple(votes.get(pair.key, ())),
        )


def _gold_answers(
    samples: tuple[Sample, ...], system: str | None, responses: dict[str, Response]
) -> Iterator[GoldAnswer]:
    for sample in samples:
        if not sample.reference:
            raise HarnessError(f"Row '{sample.id}' has no reference to choose over the own answer.")
        if sample.references:
            raise HarnessError(f"Row '{sample.id}' has several references; choose one of them.")
        yield GoldAnswer(sample.chat(system), sample.reference, responses[sample.id])


def grade_candidates(
    answers: Sequence[tuple[Sample, str]],
    metric: RubricMetric | ChecklistMetric,
    judge: Judge,
    title: str,
    context: RunContext,
) -> list[float | None]:
    """Grade answers on a rubric or checklist through the store; None where the judge gave no grade.

    Raises:
        PendingRepliesError: some grades are to come by batch.
    """
    grades = grade_answers(answers, metric, judge, context.store, context.progress, title)
    context.session.check_complete()
    return grades


def refuse_remote_phi(source: Source, judge: Judge) -> None:
    """Refuse a judge on another machine for protected health information.

    Raises:
        HarnessError: the judge is on another machine, or a plug-in that may send texts to one, and the
            data are marked phi.
    """
    if source.phi and (judge.card.remote or isinstance(judge, InstalledJudge)):
        raise HarnessError(
            f"{source.label}: is marked phi (protected health information), and '{judge.card.name}' "
            "judges on another machine, or may. Use a judge on this one."
        )
