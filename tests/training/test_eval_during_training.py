"""A model that is scored while it trains is left as it was, and its scores are curves."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from harness.config import Generation, load_profile
from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.models.local import LocalModel, make_prompt
from harness.models.session import EndpointSession
from harness.training.eval_during_training import make_training_eval
from judges.factory import ProfileJudges, load_judges
from tests.builders.interrupted_training import LONG_SFT, KilledError, stop
from tests.builders.recipes import ROWS, SFT
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import CheckpointManifest, checkpoint_key
from trainers.eval_callback import TrainingEval, preserve_state
from trainers.method import RunSettings
from trainers.recipe import Lora, Parent, RewardRecipe, SftRecipe, TrainingEvalSpec
from trainers.sft import train_sft

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

PROMPTS = [make_prompt(None, "cough " * n) for n in (1, 5)]
SUITE = """\
suite: watched
data: {source: {path: items.jsonl, fields: {id: id, input: input}}}
generation: {max_new_tokens: 8, temperature: 0.7}
metrics:
  rubric: {kind: rubric, scale: [1, 10], criteria: [{name: safety, asks: 'Is it safe?'}]}
  win_rate: {kind: pairwise, asks: 'Which is better?'}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "base")


def answer_and_disturb(model: Any, tokenizer: Any, fingerprint: str) -> dict[str, float]:
    """What a watch does, and whatever else it could do to a training run."""
    sampling = Generation(max_new_tokens=6, temperature=1.0)
    answers = LocalModel(model, tokenizer, fingerprint).answer(PROMPTS, sampling, seeds=[1, 2])
    torch.rand(7)
    random.random()
    np.random.rand(3)
    return {"length": sum(answer.n_tokens or 0 for answer in answers) / 2}


WATCH = TrainingEval(every=5, score=answer_and_disturb)


def train(
    base: Path,
    out: Path,
    watch: TrainingEval | None,
    recipe: SftRecipe = LONG_SFT,
    at: int | None = None,
) -> CheckpointManifest:
    settings = RunSettings(training_eval=watch)
    return train_sft(recipe, base, out, rows=ROWS, progress=stop(at), settings=settings)


def curves(made: CheckpointManifest) -> dict[str, tuple[int, ...]]:
    return {curve.name: curve.steps for curve in made.curves}


# --- training --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_watched_run_ends_with_the_same_weights(base: Path, tmp_path: Path):
    """The recipe's dropout draws random numbers in each step."""
    plain = train(base, tmp_path / "plain", None)
    watched = train(base, tmp_path / "watched", WATCH)
    assert watched.fingerprint == plain.fingerprint
    assert curves(watched) == curves(plain) | {"watch/length": (0, 5, 10, 12)}
    losses = [next(c.values for c in made.curves if c.name == "loss") for made in (plain, watched)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_a_killed_watched_run_goes_on_with_its_curve(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")
    whole = train(base, tmp_path / "whole", WATCH)
    with pytest.raises(KilledError):
        train(base, tmp_path / "killed", WATCH, at=7)
    resumed = train(base, tmp_path / "killed", WATCH)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.curves == whole.curves


@pytest.mark.slow
def test_gradients_that_are_being_accumulated_stay(base: Path):
    from harness.models.weights import load_weights

    model, tokenizer = load_weights(base)
    model.train()
    model(torch.tensor([[5, 6, 7]]), labels=torch.tensor([[5, 6, 7]])).loss.backward()
    before = {name: p.grad.clone() for name, p in model.named_parameters()}
    with preserve_state(model):
        answer_and_disturb(model, tokenizer, "")
        assert not model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[name], p.grad) for name, p in model.named_parameters())
    assert tokenizer.padding_side == "left"


def test_random_numbers_go_on_as_if_nobody_had_looked():
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(1)), random.random(), float(np.random.rand())

    def seed() -> None:
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)

    model = torch.nn.Linear(1, 1)
    seed()
    expected = draw()
    seed()
    with preserve_state(model):
        draw()
    assert draw() == expected


def test_what_is_watched_makes_no_other_checkpoint():
    watched = SFT.model_copy(update={"watch": TrainingEvalSpec(suite="medical_rubric", every=1)})
    assert checkpoint_key(watched, "parent", "data") == checkpoint_key(SFT, "parent", "data")


def test_a_reward_model_cannot_be_watched():
    with pytest.raises(ValueError, match="generates nothing that a suite could score"):
        RewardRecipe(
            recipe="it",
            method="reward",
            parent=Parent(checkpoint="base"),
            pairs="pairs.yaml",
            lora=Lora(r=4, alpha=8),
            watch=TrainingEvalSpec(suite="medical_rubric", every=1),
        )


# --- a suite's own judges --------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "watched.yaml").write_text(SUITE)
    rows = [f'{{"id": "{n}", "input": "Is number {n} bad?"}}\n' for n in range(12)]
    (tmp_path / "items.jsonl").write_text("".join(rows))
    return tmp_path


class Judging(NamedTuple):
    """What scoring takes: a profile's judges, and a store."""

    judges: ProfileJudges
    store: Store


@contextmanager
def judging_of(profile: str, tmp_path: Path) -> Iterator[Judging]:
    with Store(tmp_path / "s") as store:
        yield Judging(load_judges(*load_profile(profile), EndpointSession(store)), store)


@pytest.fixture
def judging(tmp_path: Path) -> Iterator[Judging]:
    with judging_of("tiny", tmp_path) as judging:
        yield judging


def watched(suite: str = "watched.yaml", n: int = 6) -> SftRecipe:
    return SFT.model_copy(update={"watch": TrainingEvalSpec(suite=suite, every=1, n=n)})


def test_a_recipe_without_the_key_is_not_watched(judging: Judging, folder: Path):
    assert make_training_eval(SFT, folder, *judging) is None


def test_the_suites_own_judge_scores_the_model_as_it_is(judging: Judging, folder: Path, base: Path):
    from harness.models.weights import load_weights

    watch = make_training_eval(watched(), folder, *judging)
    assert watch is not None
    model, tokenizer = load_weights(base)
    scores = watch.score(model, tokenizer, "weights-1")
    assert set(scores) == {"rubric.safety", "rubric.composite"}
    assert 1 <= scores["rubric.safety"] <= 10
    assert len(judging.store.keys("response")) == 6
    assert watch.score(model, tokenizer, "weights-1") == scores
    assert len(judging.store.keys("response")) == 6  # the same weights are not asked again
    watch.score(model, tokenizer, "weights-2")
    assert len(judging.store.keys("response")) == 12


@pytest.mark.parametrize(
    ("suite", "n", "message"),
    [
        ("pairwise_win_rate", 6, "only compares models"),
        ("watched.yaml", 13, "has 12 items, fewer than 13"),
        ("medical_rubrik", 6, "no such suite"),
    ],
)
def test_a_watch_that_cannot_be_is_refused(
    judging: Judging, folder: Path, suite: str, n: int, message: str
):
    with pytest.raises(HarnessError, match=message):
        make_training_eval(watched(suite, n), folder, *judging)


def test_a_judge_on_another_machine_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    with (
        judging_of("medical_llama3", tmp_path) as judging,
        pytest.raises(HarnessError, match="judge 'default' is on another machine"),
    ):
        make_training_eval(watched(), folder, *judging)
