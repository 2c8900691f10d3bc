"""Preference pairs of a model's own answers: juries, both orders, filters, and rounds of DPO."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import Profile
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.core.store import Store
from harness.models.session import EndpointSession
from harness.planning.training import forecast_training
from harness.training.checkpoints import make_checkpoint, make_pairs
from harness.training.context import RunContext
from harness.training.sampling import MadePairs
from harness.types import JudgeCard, JudgeRequest, Outcome, PreferenceRequest
from judges.factory import ProfileJudges
from judges.protocol import Judge
from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import load_manifest
from trainers.recipe import load_recipe

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

N_PROMPTS = 6
DRAWS = 2

Taste = Callable[[PreferenceRequest], str | None]


def longer(request: PreferenceRequest) -> str:
    a, b = len(request.first), len(request.second)
    return "tie" if a == b else "first" if a > b else "second"


def shorter(request: PreferenceRequest) -> str:
    return {"first": "second", "second": "first", "tie": "tie"}[longer(request)]


def whatever_is_first(_: PreferenceRequest) -> str:
    return "first"


def never(_: PreferenceRequest) -> None:
    return None


class TastingJudge:
    """A judge with one taste; counts what it was asked."""

    def __init__(self, name: str, taste: Taste, *, remote: bool = False) -> None:
        self.taste, self.n_asked = taste, 0
        self.card = JudgeCard(name=name, nature="a taste", fingerprint=name, remote=remote)

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        for i, request in enumerate(requests):
            assert isinstance(request, PreferenceRequest)
            self.n_asked += 1
            winner = self.taste(request)
            yield i, Outcome(winner=winner) if winner else Outcome(reason="unreadable: nothing")


SAMPLING = "{max_new_tokens: 12, temperature: 1.0}"
DATA = "{path: rows.jsonl, fields: {id: id, input: q, reference: a}}"
TRAINER = "{max_steps: 2, per_device_train_batch_size: 4, learning_rate: 0.01, logging_steps: 1}"
LONGER = TRAINER.replace("2,", "25,", 1).replace("0.01", "0.02")  # until some answers end
JUDGED = f"data: {DATA}\ngeneration: {SAMPLING}\ndraws: {DRAWS}\nprefer: {{kind: pairwise, asks: Better}}"
RECIPES = {
    "base_pairs": f"method: judged_pairs\nparent: {{checkpoint: base}}\n{JUDGED}",
    "base_gold": f"method: gold_pairs\nparent: {{checkpoint: base}}\ndata: {DATA}\ngeneration: {SAMPLING}",
    "sft": f"method: sft\nparent: {{checkpoint: base}}\ndata: [{DATA}]\nlora: {{r: 4, alpha: 8}}\ntrainer: {LONGER}",
    "pairs": f"method: judged_pairs\nparent: {{recipe: sft.yaml}}\n{JUDGED}",
    "dpo": f"method: dpo\nparent: {{recipe: sft.yaml}}\npairs: pairs.yaml\ntrainer: {TRAINER}",
    "pairs2": f"method: judged_pairs\nparent: {{recipe: dpo.yaml}}\n{JUDGED}",
    "dpo2": f"method: dpo\nparent: {{recipe: dpo.yaml}}\npairs: pairs2.yaml\ntrainer: {TRAINER}",
}  # fmt: skip


class World:
    """A folder of recipes around a tiny base, and judges by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_tiny_model(folder / "base")
        # Some letters end an answer too, so that not every one of a random model is cut off.
        stops = {"eos_token_id": list(range(60, 110))}
        write(folder / "base" / "generation_config.json", json.dumps(stops))
        rows = [
            {"id": f"q{i}", "q": f"cough {i}?", "a": "See your doctor."} for i in range(N_PROMPTS)
        ]
        write_rows(folder / "rows.jsonl", rows)
        for name, text in RECIPES.items():
            write(folder / f"{name}.yaml", f"recipe: {name}\n{text}\n")

    def make(self, name: str, call: Any, *tastes: Taste, store: str = "runs") -> Any:
        """What `call` makes of a recipe with a jury of these tastes, or one judge."""
        return self.make_by(name, call, [TastingJudge(t.__name__, t) for t in tastes], store)

    def make_by(self, name: str, call: Any, judges: list[TastingJudge], store: str = "runs") -> Any:
        recipe, root = load_recipe(f"{name}.yaml", search_dir=self.folder)
        by_name: dict[str, Judge] = {judge.card.name: judge for judge in judges}
        spec: dict[str, Any] = {judge: {"offline": "consumer_health"} for judge in by_name}
        if len(judges) > 1:
            spec["default"] = {"jury": {"members": tuple(by_name)}, "title": "the jury"}
        elif judges:
            spec["default"] = spec.pop(judges[0].card.name)
            by_name["default"] = judges[0]
        profile = Profile.model_validate(
            {"profile": "p", "models": {"m": {"checkpoint": "base"}}, "judges": spec}
        )
        with Store(self.folder / store) as opened:
            context = RunContext(opened, EndpointSession(opened), QuietProgress())
            return call(
                recipe, root, context, ProfileJudges(profile, self.folder, by_name.__getitem__)
            )

    def change(self, name: str, *changes: tuple[str, str]) -> str:
        """Another recipe like the one of that name; its own name."""
        text = RECIPES[name]
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        write(self.folder / "changed.yaml", f"recipe: changed\n{text}\n")
        return "changed"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def pairs(world: World, *tastes: Taste, name: str = "base_pairs") -> MadePairs:
    made = world.make(name, make_pairs, *tastes)
    assert isinstance(made, MadePairs)
    return made


# --- judges ----------------------------------------------------------------------------------


def test_every_pair_of_answers_is_counted_once(world: World) -> None:
    told = pairs(world, longer).pairs.statistics
    assert told.built == N_PROMPTS * DRAWS == told.kept + sum(told.dropped.values())


def test_a_judge_who_takes_whatever_comes_first_teaches_nothing(world: World) -> None:
    told = pairs(world, whatever_is_first).pairs.statistics
    assert told.kept == 0
    assert told.dropped["inconsistent"] > 0


def test_a_jury_chooses_by_majority_and_its_members_are_the_teachers(world: World) -> None:
    made, alone = pairs(world, longer, shorter, never), pairs(world, longer)
    assert [teacher.name for teacher in made.teachers] == ["longer", "shorter", "never"]
    assert made.pairs.statistics.dropped["split"] > 0
    assert made.pairs.statistics.kept == 0
    outvoted = pairs(world, longer, whatever_is_first, never).pairs.pairs
    assert outvoted == []  # in one of the orders the two are split
    assert alone.pairs.statistics.agreement is None


def test_the_agreement_of_a_jury_stands_in_the_statistics(world: World) -> None:
    told = pairs(world, longer, shorter).pairs.statistics.agreement
    assert told is not None
    assert told.judges == ("longer", "shorter")
    assert told.percent is not None
    assert told.percent.estimate < 0.5
    assert told.n == 2 * judged_duels(world)


def judged_duels(world: World) -> int:
    told = pairs(world, longer).pairs.statistics
    flagged = told.dropped.get("empty", 0) + told.dropped.get("identical", 0)
    return told.built - flagged


def test_two_of_three_judges_can_choose_unless_the_margin_forbids(world: World) -> None:
    def longer_too(request: PreferenceRequest) -> str:
        return longer(request)

    jury = (longer, longer_too, shorter)
    kept = pairs(world, *jury).pairs.pairs
    assert kept == pairs(world, longer).pairs.pairs != []
    strict = world.change("base_pairs", ("draws:", "filters: {min_margin: 0.5}\ndraws:"))
    told = pairs(world, *jury, name=strict).pairs.statistics
    assert (told.kept, told.dropped["low_margin"]) == (0, len(kept))


def test_a_missing_majority_leaves_a_pair_unscored_with_its_reason(world: World) -> None:
    told = pairs(world, longer, never).pairs.statistics
    assert told.dropped["unscored"] == told.unscored_reasons["too few votes"] > 0


def test_repeats_ask_each_judge_again_and_a_second_run_asks_nothing(world: World) -> None:
    name = world.change("base_pairs", ("asks: Better", "asks: Well, repeats: 3"))
    judges = [TastingJudge("one", longer), TastingJudge("two", shorter)]
    world.make_by(name, make_pairs, judges)
    n_orders = 2
    assert [judge.n_asked for judge in judges] == [3 * n_orders * judged_duels(world)] * 2
    again = [TastingJudge("one", longer), TastingJudge("two", shorter)]
    world.make_by(name, make_pairs, again)
    assert [judge.n_asked for judge in again] == [0, 0]


def test_protected_data_go_to_no_remote_member_of_a_jury(world: World) -> None:
    name = world.change("base_pairs", ("{path: rows", "{phi: true, path: rows"))
    judges = [TastingJudge("here", longer), TastingJudge("there", longer, remote=True)]
    with pytest.raises(HarnessError, match="'there' judges on another machine"):
        world.make_by(name, make_pairs, judges)
    assert judges[0].n_asked == 0


def test_a_judge_that_is_not_there_is_named_before_anything_is_trained(world: World) -> None:
    with pytest.raises(HarnessError, match="profile 'p' has no judge 'default'"):
        world.make("dpo", make_checkpoint, store="untouched")
    assert not (world.folder / "untouched" / "checkpoints").exists()


# --- gold ------------------------------------------------------------------------------------


def test_thoughts_are_in_no_pair_unless_they_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    template = tmp_path / "base" / "chat_template.jinja"
    template.write_text(template.read_text() + "<think>\n")
    dropped = pairs(world, name="base_gold").pairs
    assert not any("<think>" in pair.rejected for pair in dropped.pairs)
    name = world.change("base_gold", ("temperature: 1.0}", "temperature: 1.0, thoughts: keep}"))
    kept = pairs(world, name=name).pairs
    n_thought = sum(pair.rejected.startswith("<think>") for pair in kept.pairs)
    n_blank = kept.statistics.dropped.get("empty", 0)
    assert n_thought == dropped.statistics.dropped["empty"] - n_blank > 0


def test_gold_pairs_ask_no_judge_and_apply_the_filters(world: World) -> None:
    made = pairs(world, name="base_gold")
    assert made.teachers == ()
    assert {pair.chosen for pair in made.pairs.pairs} == {"See your doctor."}
    told = made.pairs.statistics
    assert told.built == N_PROMPTS == told.kept + sum(told.dropped.values())
    name = world.change("base_gold", ("generation:", "filters: {max_words: 2}\ngeneration:"))
    strict = pairs(world, name=name).pairs.statistics
    assert (strict.kept, strict.dropped["too_long"]) == (0, told.kept)


def test_a_row_without_a_reference_is_named(world: World) -> None:
    name = world.change("base_gold", (", reference: a", ""))
    with pytest.raises(HarnessError, match="'q0' has no reference to choose"):
        pairs(world, name=name)


# --- rounds of DPO ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_round_learns_from_the_first_ones_answers_against_its_model(world: World) -> None:
    first = world.make("dpo", make_checkpoint, longer)
    second = world.make("dpo2", make_checkpoint, longer)
    manifests = [load_manifest(Path(made.directory)) for made in (first, second)]
    losses = [
        next(curve.values for curve in manifest.curves if curve.name == "loss")
        for manifest in manifests
    ]
    assert [values[0] for values in losses] == [pytest.approx(math.log(2), abs=1e-3)] * 2
    parent = manifests[1].parent
    assert parent is not None
    assert parent.fingerprint == first.fingerprint
    sft = world.make("sft", make_checkpoint)
    assert manifests[1].adapter_base == load_manifest(Path(sft.directory)).parent
    answers = [
        {pair.rejected for pair in pairs(world, longer, name=name).pairs.pairs}
        for name in ("pairs", "pairs2")
    ]
    assert answers[0] != answers[1]
    assert second.pairs == pairs(world, longer, name="pairs2").pairs.statistics


# --- plans -----------------------------------------------------------------------------------

PROFILE = """\
profile: p
data: {health_questions: {path: data/consumer_health.jsonl, fields: {id: id, input: question}}}
models:
  sft: {recipe: tiny/sft.yaml}
  dpo: {recipe: tiny/dpo.yaml}
judges:
  default: {jury: {members: [rules, one]}}
  rules: {offline: consumer_health}
  one: {endpoint: {model: judge-one, base_url: 'http://127.0.0.1:9/v1'}}
"""


def test_a_plan_counts_what_every_member_of_a_jury_is_asked(tmp_path: Path) -> None:
    profile = write(tmp_path / "p.yaml", PROFILE)
    request = load_request("pairwise_win_rate", str(profile), ["sft", "dpo"])
    forecast = forecast_training(request)
    (sampled,), (asked,) = forecast.sampling, forecast.to_judge
    assert sampled.answers is not None
    assert sampled.verdicts == 2 * sampled.answers
    assert (asked.judge, len(asked.requests)) == ("one", sampled.answers)
