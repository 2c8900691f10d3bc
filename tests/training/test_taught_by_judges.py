"""Recipes that learn from judges' grades and from rounds of themselves, made from YAML."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.config import ModelSpec, Profile, RubricMetric, load_suite
from harness.config.request import Request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.local import make_prompt
from harness.models.session import EndpointSession
from harness.runs.prepare import prepare_models
from harness.training.checkpoints import make_best_of, make_checkpoint
from harness.training.commands import build_pairs
from harness.training.context import RunContext, make_context
from harness.types import (
    GradeRequest,
    HygieneFlag,
    ItemCriterion,
    JudgeCard,
    JudgeRequest,
    Outcome,
    Response,
    Sample,
)
from judges.factory import ProfileJudges
from judges.grading import grade_answers
from tests.builders.files import write, write_rows
from tests.builders.judge_requests import checklist, listed
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import load_manifest, trace_manifests
from trainers.recipe import SftRecipe, load_recipe
from trainers.recipe_graph import recipe_graph
from trainers.rejection_sampling import (
    GradedAnswer,
    GradedDraws,
    choose_best,
    load_best_of,
    write_best_of,
)
from trainers.sft import Sft

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

RUBRIC = RubricMetric(
    kind="rubric",
    scale=(1, 5),
    criteria=({"name": "plain", "asks": "Plain letters?"}, {"name": "short", "asks": "Short?"}),
)


class LettersJudge:
    """Grades plain letters and shortness; cannot grade what has a `z`. Keeps what it was asked."""

    def __init__(self, fingerprint: str = "letters", *, remote: bool = False) -> None:
        self.asked: list[JudgeRequest] = []
        self.card = JudgeCard(
            name="letters", nature="rules", fingerprint=fingerprint, remote=remote
        )

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            assert isinstance(request, GradeRequest)
            self.asked.append(request)
            yield i, self._meets(request) if request.asked_criteria else self._grade(request.answer)

    def _meets(self, request: GradeRequest) -> Outcome:
        (criterion,) = request.asked_criteria
        if criterion.criterion[-1] == "z":
            return Outcome(reason="a z")
        return Outcome(values={"met": float(criterion.criterion[-1] in request.answer)})

    def _grade(self, answer: str) -> Outcome:
        if "z" in answer:
            return Outcome(reason="a z")
        plain = sum(c.isascii() and c.isalpha() for c in answer) / max(1, len(answer))
        return Outcome(values={"plain": 1 + round(4 * plain), "short": 5 if len(answer) < 9 else 1})


# --- grades ----------------------------------------------------------------------------------


def sample(number: int) -> Sample:
    return Sample(id=f"q{number}", input=f"cough {number}", row=number)


def grade(folder: Path, judge: LettersJudge, *answers: str) -> list[float | None]:
    with Store(folder) as store:
        asked = [(sample(i), answer) for i, answer in enumerate(answers)]
        return grade_answers(asked, RUBRIC, judge, store, QuietProgress(), "test")


def test_a_grade_is_the_mean_over_the_criteria_from_zero_to_one(tmp_path: Path) -> None:
    assert grade(tmp_path, LettersJudge(), "doctor", "1234567890", "doctor doctor") == [
        1.0,
        0.0,
        pytest.approx(0.5),
    ]


def test_an_answer_that_cannot_be_graded_has_no_number(tmp_path: Path) -> None:
    assert grade(tmp_path, LettersJudge(), "zz", "doctor") == [None, 1.0]


def test_no_answer_is_graded_twice(tmp_path: Path) -> None:
    judge = LettersJudge()
    assert grade(tmp_path, judge, "doctor", "rest") == grade(tmp_path, judge, "doctor", "rest")
    assert len(judge.asked) == 2


def checklist_grade(folder: Path, *criteria: tuple[str, float], repeats: int = 1) -> float | None:
    """The grade of the answer "rest" on criteria that ask for a letter."""
    listed_criteria = [ItemCriterion(criterion=f"Has {c}", points=p) for c, p in criteria]
    with Store(folder) as store:
        asked = [
            (listed(*listed_criteria, row=row), answer)
            for row in (0, 1)
            for answer in ("rest", "zzz")
        ]
        metric = checklist(repeats=repeats)
        return grade_answers(asked, metric, LettersJudge(), store, QuietProgress(), "test")[0]


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_grade_on_a_checklist_is_the_rows_own_score_and_not_clipped(
    tmp_path: Path, repeats: int
) -> None:
    grade_of = partial(checklist_grade, tmp_path, repeats=repeats)
    assert grade_of(("e", 3), ("x", 1)) == 0.75
    assert grade_of(("x", 2), ("e", -6)) == -3.0


def test_an_answer_without_a_verdict_on_each_criterion_has_no_grade(tmp_path: Path) -> None:
    assert checklist_grade(tmp_path, ("e", 3), ("z", 1)) is None
    assert checklist_grade(tmp_path, ("e", -3)) is None


# --- the best of several ---------------------------------------------------------------------


def draws(*answers: tuple[str, float | None, tuple[HygieneFlag, ...]]) -> GradedDraws:
    graded = [
        GradedAnswer(Response(sample_id="q", model="m", text=text, finish="stop"), flags, number)
        for text, number, flags in answers
    ]
    return GradedDraws("q", make_prompt(None, "cough"), graded)


def test_the_best_clean_graded_answer_becomes_a_row() -> None:
    best = choose_best(
        [draws(("poor", 0.2, ()), ("leak", None, ("prompt_leak_words",)), ("good", 0.9, ()))]
    )
    assert [row.completion for row in best.rows] == ["good"]
    assert (best.statistics.flagged, best.statistics.unscored) == (1, 0)


def test_a_tie_goes_to_the_first_draw() -> None:
    (row,) = choose_best([draws(("a", 0.5, ()), ("b", 0.9, ()), ("c", 0.9, ()))]).rows
    assert row.completion == "b"


def test_prompts_without_a_graded_or_a_clean_answer_are_dropped_and_counted() -> None:
    best = choose_best(
        [
            draws(("a", None, ()), ("b", None, ("empty",))),
            draws(("", None, ("empty",)), ("b", None, ("cut_off",))),
            draws(("good", 0.9, ())),
        ]
    )
    told = best.statistics
    assert told.dropped == {"unscored": 1, "flagged": 1}
    assert (told.prompts, told.kept, told.answers, told.unscored) == (3, 1, 5, 1)


def test_rows_are_read_back_as_written(tmp_path: Path) -> None:
    best = choose_best([draws(("a\u2028b", 0.5, ()))])
    write_best_of(tmp_path / "best.jsonl", best)
    assert load_best_of(tmp_path / "best.jsonl") == best
    (tmp_path / "best.jsonl").write_text("")
    with pytest.raises(HarnessError, match="holds 0 rows, but its statistics count 1"):
        load_best_of(tmp_path / "best.jsonl")


# --- recipes ---------------------------------------------------------------------------------

TRAINER = "{max_steps: 2, per_device_train_batch_size: 4, learning_rate: 0.01}"
LONGER = TRAINER.replace("2,", "25,").replace("0.01", "0.02")  # until some answers end
DATA = "{path: rows.jsonl, fields: {id: id, input: q, reference: a}}"
SAMPLING = "{max_new_tokens: 12, temperature: 1.0}"
ONLINE = (
    "{max_steps: 2, per_device_train_batch_size: 4, num_generations: 4, max_completion_length: 8, "
    "learning_rate: 0.01}"
)
CRITERIA = "criteria: [{name: plain, asks: 'Plain letters?'}, {name: short, asks: 'Short?'}]"
RECIPES = {
    "sft": f"method: sft\nparent: {{checkpoint: base}}\ndata: [{DATA}]\nlora: {{r: 4, alpha: 8}}\ntrainer: {LONGER}",
    "gold": f"method: gold_pairs\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\ngeneration: {SAMPLING}",
    "dpo": f"method: dpo\nparent: {{recipe: sft.yaml}}\npairs: gold.yaml\ntrainer: {TRAINER}",
    "gold2": f"method: gold_pairs\nparent: {{recipe: dpo.yaml}}\ndata: {DATA}\ngeneration: {SAMPLING}",
    "dpo2": f"method: dpo\nparent: {{recipe: dpo.yaml}}\npairs: gold2.yaml\ntrainer: {TRAINER}",
    "reward": f"method: reward\nparent: {{recipe: sft.yaml}}\npairs: gold.yaml\nlora: {{r: 4, alpha: 8}}\ntrainer: {TRAINER}",
    "rloo": f"method: rloo\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\nreward: {{recipe: reward.yaml}}\ntrainer: {ONLINE}",
    "grpo": f"method: grpo\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\nreward: {{rubric: {{kind: rubric, scale: [1, 5], {CRITERIA}}}}}\ntrainer: {ONLINE}",
    "best_of": f"method: best_of\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\ngeneration: {SAMPLING}\nn: 3\ngrade: {{kind: rubric, scale: [1, 5], {CRITERIA}}}",
    "grpo_checklist": f"method: grpo\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\nreward: {{checklist: {{kind: checklist, criteria: rubrics}}}}\ntrainer: {ONLINE}",
    "best_of_checklist": f"method: best_of\nparent: {{recipe: sft.yaml}}\ndata: {DATA}\ngeneration: {SAMPLING}\nn: 3\ngrade: {{kind: checklist, criteria: rubrics}}",
    "raft": f"method: sft\nparent: {{recipe: sft.yaml}}\nbest_of: best_of.yaml\nlora: {{r: 4, alpha: 8}}\ntrainer: {TRAINER}",
}  # fmt: skip


class World:
    """A folder of recipes around a tiny base, and one judge."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.judge = LettersJudge()
        make_tiny_model(folder / "base")
        rubrics = [{"criterion": "Has an e", "points": 2}, {"criterion": "Has an o", "points": -1}]
        rows = [
            {"id": f"q{i}", "q": f"cough {i}?", "a": "See your doctor.", "rubrics": rubrics}
            for i in range(6)
        ]
        write_rows(folder / "rows.jsonl", rows)
        for name, text in RECIPES.items():
            write(folder / f"{name}.yaml", f"recipe: {name}\n{text}\n")

    def make(
        self, name: str, call: Any = make_checkpoint, judge: LettersJudge | None = None
    ) -> Any:
        recipe, root = load_recipe(f"{name}.yaml", search_dir=self.folder)
        with self.context(judge) as context_and_judges:
            return call(recipe, root, *context_and_judges)

    @contextmanager
    def context(
        self, judge: LettersJudge | None = None
    ) -> Iterator[tuple[RunContext, ProfileJudges]]:
        """An open context, and judges that are all this one, or the world's own."""
        asked = judge or self.judge
        profile = Profile(profile="p", models={"base": ModelSpec(checkpoint="base")})
        with Store(self.folder / "runs") as store:
            context = RunContext(store, EndpointSession(store), QuietProgress())
            yield context, ProfileJudges(profile, self.folder, lambda _: asked)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.slow
def test_the_best_answers_are_learnt_and_their_judge_is_a_teacher(world: World) -> None:
    made = world.make("raft")
    best = world.make("best_of", make_best_of)
    manifest = load_manifest(Path(made.directory))
    assert manifest.facts["rows"] == str(best.best.statistics.kept)
    assert best.best.statistics.answers == 18
    assert made.teachers == best.teachers == (world.judge.card,)


@pytest.mark.slow
def test_what_has_a_flag_is_not_shown_to_the_judge(world: World) -> None:
    judge = LettersJudge("another")
    told = world.make("best_of", make_best_of, judge).best.statistics
    assert 0 < told.flagged < told.answers
    assert len(judge.asked) == told.answers - told.flagged
    again = LettersJudge("another")
    assert world.make("best_of", make_best_of, again).best.statistics == told
    assert not again.asked


@pytest.mark.slow
def test_a_judge_who_rewards_is_a_teacher_and_is_asked_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    made = world.make("grpo")
    assert made.teachers == (world.judge.card,)
    assert load_manifest(Path(made.directory)).facts["reward"] == "letters, on a rubric"
    n_asked = len(world.judge.asked)
    assert n_asked > 0
    recipe, root = load_recipe("grpo.yaml", search_dir=world.folder)
    with world.context() as (context, judges):  # trained anew, with the same answers
        again = make_checkpoint(recipe, root, context, judges, out=tmp_path / "again")
    assert again.fingerprint == made.fingerprint
    assert len(world.judge.asked) == n_asked


@pytest.mark.slow
def test_a_rows_own_criteria_choose_and_reward_too(world: World) -> None:
    judge = LettersJudge("criteria")
    told = world.make("best_of_checklist", make_best_of, judge).best.statistics
    assert len(judge.asked) == 2 * (told.answers - told.flagged)
    assert told.mean_grade is not None
    assert told.mean_grade <= (told.mean_grade_of_best or -1)
    made = load_manifest(Path(world.make("grpo_checklist", judge=judge).directory))
    assert made.facts["reward"] == "letters, on a checklist"
    assert made.metrics["unscored_share"] == 0.0


@pytest.mark.slow
def test_a_reward_model_rewards(world: World) -> None:
    made = load_manifest(Path(world.make("rloo").directory))
    assert made.facts["reward"] == "the reward model reward"
    assert made.metrics["unscored_share"] == 0.0


@pytest.mark.slow
def test_a_reward_model_is_no_model_that_answers(world: World) -> None:
    directory = world.make("reward").directory
    recipe = str(world.folder / "reward.yaml")
    for spec in (ModelSpec(recipe=recipe), ModelSpec(checkpoint=directory)):
        with pytest.raises(HarnessError, match="reward model, which generates no text"):
            prepare(world, spec)
    write(
        world.folder / "wrong.yaml",
        "recipe: wrong\n" + RECIPES["dpo"].replace("sft.yaml", "reward.yaml") + "\n",
    )
    with pytest.raises(HarnessError, match="reward model, which generates no text"):
        world.make("wrong")


def prepare(world: World, spec: ModelSpec) -> None:
    suite, suite_root = load_suite("helpfulness_quotient")
    profile = Profile(profile="p", models={"m": spec})
    request = Request(suite, suite_root, profile, world.folder, models=("m",))
    with world.context() as (context, judges):
        prepare_models(request, context, judges)


@pytest.mark.slow
def test_only_a_reward_model_can_reward(world: World) -> None:
    text = RECIPES["rloo"].replace("reward.yaml", "sft.yaml")
    write(world.folder / "wrong.yaml", f"recipe: wrong\n{text}\n")
    with pytest.raises(HarnessError, match="trains no reward model"):
        world.make("wrong")


@pytest.mark.slow
def test_dpo_goes_on_from_its_own_answers_in_a_second_round(world: World) -> None:
    first, second = world.make("dpo"), world.make("dpo2")
    manifest = load_manifest(Path(second.directory))
    assert manifest.parent is not None
    assert manifest.parent.fingerprint == first.fingerprint
    sft = load_manifest(Path(world.make("sft").directory))
    assert manifest.adapter_base == sft.parent  # one adapter, from the first round on
    assert second.fingerprint != first.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo2", "rloo", "raft"])
def test_the_lineage_in_manifests_is_that_of_the_recipes(world: World, name: str) -> None:
    manifests = trace_manifests(Path(world.make(name).directory))
    stages = recipe_graph(*load_recipe(f"{name}.yaml", search_dir=world.folder))[-1].lineage()
    assert [manifest.recipe for manifest in manifests][::-1] == [s.recipe.recipe for s in stages]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grpo", "best_of"])
def test_protected_data_stays_on_this_machine(world: World, name: str) -> None:
    text = RECIPES[name].replace("{path: rows.jsonl", "{phi: true, path: rows.jsonl")
    write(world.folder / "phi.yaml", f"recipe: phi\n{text}\n")
    judge = LettersJudge(remote=True)
    with pytest.raises(HarnessError, match="judges on another machine"):
        world.make("phi", make_best_of if name == "best_of" else make_checkpoint, judge)
    assert not judge.asked


def test_nothing_to_learn_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    recipe = write(tmp_path / "raft.yaml", f"recipe: raft\n{RECIPES['raft']}\n")
    sft, _ = load_recipe(str(recipe))
    assert isinstance(sft, SftRecipe)
    with pytest.raises(HarnessError, match="there are no rows to learn from"):
        Sft(sft, tmp_path, []).make_trainer(None)


def test_a_best_of_recipe_trains_nothing_and_others_make_no_best_answers(tmp_path: Path) -> None:
    for name, text in RECIPES.items():
        write(tmp_path / f"{name}.yaml", f"recipe: {name}\n{text}\n")
    wrong = RECIPES["raft"].replace("best_of.yaml", "sft.yaml")
    write(tmp_path / "wrong.yaml", f"recipe: wrong\n{wrong}\n")
    with pytest.raises(HarnessError, match="is no recipe of 'method: best_of'"):
        recipe_graph(*load_recipe("wrong.yaml", search_dir=tmp_path))
    with pytest.raises(HarnessError, match="makes a model, not preference pairs"):
        build_pairs(str(tmp_path / "sft.yaml"), "tiny", make_context(tmp_path, QuietProgress()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("raft", ("best_of: best_of.yaml\n", ""), "nothing to learn from"),
        ("rloo", ("{recipe: reward.yaml}", "{}"), "exactly one of 'recipe', 'rubric' or 'checklist'"),
        ("dpo", ("method: dpo", "method: dpo\nreference: base\nlora: {r: 4, alpha: 8}"), "dpo.yaml:3: reference"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_recipe_is_shown(
    tmp_path: Path, name: str, change: tuple[str, str], message: str
) -> None:
    path = write(tmp_path / f"{name}.yaml", f"recipe: {name}\n{RECIPES[name].replace(*change)}\n")
    with pytest.raises(HarnessError, match=message):
        load_recipe(str(path))
