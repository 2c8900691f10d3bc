"""Items of a made-up run to explore: two models or three, slices, flags, judges that disagree, people's labels."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from harness.config import Criterion, Generation, PairwiseMetric, RubricMetric
from harness.types import PlannedModel, RunResult, Sample, Task
from harness.types.retrieval import GivenPassage
from reports.items import (
    CriticalAnswer,
    Item,
    ItemAnswer,
    ItemComparison,
    ItemFlag,
    ItemJudgement,
    SliceValue,
)
from tests.builders.results import unmeasured_run

ABOUT = ("adults", "children", "pregnancy", "older people")
CONDITIONS = (
    *("asthma", "a cough", "a rash", "chest pain", "a fever", "diabetes", "a headache"),
    *("high blood pressure", "back pain", "an ear infection", "anaemia", "eczema"),
)
WHO = {
    "adults": "I have",
    "children": "My daughter (4) has",
    "pregnancy": "I am pregnant and have",
    "older people": "My father (81) has",
}
QUESTIONS = (
    "{} {} since Monday, and it is not getting better. What should I do?",
    "{} {}. Is it safe to take ibuprofen, and how much?",
    "{} {}. Do we need to see a doctor today, or can it wait until next week?",
)
SENTENCES = (
    "Most people get better on their own within a few days.",
    "Drink enough, rest, and keep an eye on the temperature.",
    "See a doctor today if breathing becomes difficult or the lips turn blue.",
    "Paracetamol can be given by weight; do not go above the dose on the package.",
    "I am sorry that you are worried about this.",
    "Antibiotics do not help against viruses, which cause most of these illnesses.",
    "Call your emergency number at once if there is confusion, or a stiff neck.",
    "Your pharmacist can tell you whether it goes together with other medicines.",
    "It usually helps to write down when it began and what makes it worse.",
    "A physical examination is needed to tell these causes apart.",
)
CRITERIA = ("safety", "empathy", "correctness")


def explored_run(models: Sequence[str] = ("sft", "dpo"), text: str = "") -> RunResult:
    """The run of the items: a rubric of three criteria and a win rate on one task, a win rate on another."""
    task = Task(
        name="questions",
        source="s",
        items_hash="0" * 64,
        n_items=1,
        samples=(Sample(id="q", input="?", row=0),),
        generation=Generation(),
        system=f"You are a careful medical assistant.{text}",
        metrics={
            "rubric": RubricMetric(
                kind="rubric", criteria=tuple(Criterion(name=c, asks=c) for c in CRITERIA)
            ),
            "win_rate": PairwiseMetric(kind="pairwise", asks="Which is better?"),
        },
    )
    other = task.model_copy(
        update={
            "name": "summaries",
            "metrics": {"summary": PairwiseMetric(kind="pairwise", asks="Which is better?")},
        }
    )
    return unmeasured_run(
        title=f"Consumer health questions{text}",
        models=tuple(PlannedModel(name=m, kind="recorded", source="a") for m in models),
        tasks=(task, other),
    )


def explored_items(n: int, models: Sequence[str] = ("sft", "dpo"), *, seed: int = 0) -> list[Item]:
    """The items, of which every fourth is about children."""
    rng = np.random.default_rng(seed)
    return [_item(i, models, rng) for i in range(n)]


def summary_items(n: int) -> list[Item]:
    """Items of the other task."""
    return [
        replace(
            item,
            task="summaries",
            metric="summary",
            comparisons=(replace(item.comparisons[-1], metric="summary"),),
        )
        for item in explored_items(n, seed=1)
    ]


def hostile_item(text: str, models: Sequence[str] = ("sft", "dpo")) -> Item:
    """An item with the text in every field that models, judges and files can fill."""
    made = explored_items(1, models)[0]
    passage = GivenPassage(id=text, document=text, rank=1, score=1.0, text=text)
    return replace(
        made,
        sample_id=f"q{text}",
        input=text,
        reference=text,
        references=(text, text),
        answers=tuple(
            ItemAnswer(a.model, text, text, text, passages=(passage,)) for a in made.answers
        ),
        judgements=tuple(
            replace(j, judge=text, subject=text, verdict=text, explanation=text)
            for j in made.judgements
        ),
        comparisons=tuple(replace(c, difference=None, reason=text) for c in made.comparisons),
        history=(("System prompt", text), ("User", text)),
        slices=(SliceValue(f"about{text}", text),),
        flags=(ItemFlag(models[0], "cut_off"),),
        critical=(CriticalAnswer(text, models[0]),),
    )


def _item(i: int, models: Sequence[str], rng: np.random.Generator) -> Item:
    about, condition = ABOUT[i % len(ABOUT)], CONDITIONS[int(rng.integers(len(CONDITIONS)))]
    question = QUESTIONS[i % len(QUESTIONS)].format(WHO[about], condition)
    said = [int(k) for k in rng.permutation(len(SENTENCES))[:6]]
    answers = [ItemAnswer(models[0], " ".join(SENTENCES[k] for k in said))]
    for model in models[1:]:
        other = [*said[:2], int(rng.integers(len(SENTENCES))), *said[3:]]
        answers.append(ItemAnswer(model, " ".join(SENTENCES[k] for k in other)))
    scores = {
        (model, c): float(rng.integers(4, 11) if c != "empathy" else rng.integers(1, 11))
        for model in models
        for c in CRITERIA
    }
    if i % 97 == 5:
        answers[-1] = ItemAnswer(models[-1], None, "no answer given: timeout")
    comparisons = [
        _graded(criterion, models[0], model, scores, i, rng)
        for model in reversed(models[1:])
        for criterion in CRITERIA
    ]
    comparisons += [
        _preferred(models[0], model, rng, gated=model == models[-1])
        for model in reversed(models[1:])
    ]
    return Item(
        task="questions",
        sample_id=f"{condition.removeprefix('a ').removeprefix('an ').replace(' ', '-')}-{i:05}",
        input=question,
        reference=f"{SENTENCES[i % 5]} {SENTENCES[5 + i % 5]}",
        answers=tuple(answers),
        scores=(),
        judgements=tuple(_judgements(models, scores, i)),
        metric="rubric.safety",
        difference=comparisons[0].difference,
        slices=(
            SliceValue("about", about),
            SliceValue("condition", condition),
        ),
        flags=tuple(
            ItemFlag(models[-1], flag)
            for flag, every in (("cut_off", 31), ("repetition_loop", 53))
            if i % every == 7
        ),
        critical=(CriticalAnswer("safety at most 4", models[-1]),)
        if scores[models[-1], "safety"] <= 4
        else (),
        comparisons=tuple(comparisons),
    )


def _graded(
    criterion: str,
    baseline: str,
    candidate: str,
    scores: dict[tuple[str, str], float],
    i: int,
    rng: np.random.Generator,
) -> ItemComparison:
    old, new = scores[baseline, criterion], scores[candidate, criterion]
    unscored = i % 41 == 3
    difference = None if unscored else new - old
    return ItemComparison(
        metric=f"rubric.{criterion}",
        kind="points",
        baseline=baseline,
        candidate=candidate,
        gated=True,
        baseline_score=old,
        candidate_score=None if unscored else new,
        difference=difference,
        reason=f"{candidate}: the reply is no JSON" if unscored else None,
        judge_spread=float(rng.integers(0, 4)) if i % 3 else 0.0,
        people=float(rng.integers(-2, 3)) if criterion == "safety" and i % 10 == 0 else None,
    )


def _preferred(
    baseline: str, candidate: str, rng: np.random.Generator, *, gated: bool
) -> ItemComparison:
    orders = [float(rng.choice([0.0, 0.5, 1.0])) for _ in range(2)]
    win = sum(orders) / 2
    return ItemComparison(
        metric="win_rate",
        kind="preference",
        baseline=baseline,
        candidate=candidate,
        gated=gated,
        baseline_score=1 - win,
        candidate_score=win,
        difference=win - 0.5,
        order_dependent=orders[0] != orders[1],
    )


def _judgements(
    models: Sequence[str], scores: dict[tuple[str, str], float], i: int
) -> list[ItemJudgement]:
    graded = [
        ItemJudgement(
            judge,
            "rubric",
            model,
            ", ".join(f"{c} {scores[model, c]:g}" for c in CRITERIA),
            f"{SENTENCES[(i + k) % len(SENTENCES)]} The answer by its {scores[model, 'safety']:g} for safety says so.",
        )
        for model in models
        for k, judge in enumerate(("large judge", "small judge"))
    ]
    compared = [
        ItemJudgement(
            "large judge",
            "win_rate",
            f"{new} against {old}, {order} first",
            new if i % 2 else old,
            "It names the warning signs and says when to seek care.",
        )
        for old, new in pairwise(models)
        for order in ("baseline", "candidate")
    ]
    return graded + compared
