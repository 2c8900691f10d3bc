"""The training loop over a random tiny model, with gates that are sure to pass or to fail."""

from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.release.pipeline import run_loop
from harness.release.registry import Registry
from harness.training.context import make_context
from harness.types.training import LoopResult
from tests.builders.files import write
from tests.builders.pipelines import LOOP, make_world
from trainers.checkpoint import verify_checkpoint

FAILS = "{metric: rouge.rouge1_f1, claim: superior, margin: 0.5}"


def loop(world: Path, *, recipes: str = "short.yaml", losers: str = "keep") -> LoopResult:
    path = world / "loop.yaml"
    write(path, LOOP.replace("RECIPES", recipes).replace("LOSERS", losers))
    return run_loop(str(path), make_context(world / "store", QuietProgress()), out=world / "runs")


@pytest.mark.slow
def test_what_passes_every_gate_is_certified_and_promoted_with_its_lineage(tmp_path: Path) -> None:
    done = loop(make_world(tmp_path))
    assert (done.verdict, [stage.verdict for stage in done.stages]) == ("pass", ["pass"])
    standing = Registry(tmp_path / "store").find("assistant")
    assert standing == done.promotion
    assert verify_checkpoint(Path(standing.checkpoint)).fingerprint == standing.fingerprint
    assert [ancestor.recipe for ancestor in standing.lineage] == ["short"]
    assert (standing.look, standing.beaten) == (1, "base")


@pytest.mark.slow
def test_a_stage_trains_a_recipe_whose_name_ends_in_yml(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    (world / "short.yaml").rename(world / "short.yml")
    assert loop(world, recipes="short.yml").verdict == "pass"


@pytest.mark.slow
def test_what_stands_already_is_not_certified_again(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    first = loop(world)
    again = loop(world)
    assert again.promotion == first.promotion
    assert again.sentence == "short is already promoted to 'assistant'."
    assert (world / "store" / "models" / "assistant" / "looks.jsonl").read_text().count("\n") == 1


@pytest.mark.slow
def test_a_gate_that_fails_stops_the_loop_and_what_stands_stays(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    standing = loop(world).promotion
    make_world(tmp_path, develop=FAILS)
    stopped = loop(world, recipes="long.yaml")
    assert (stopped.verdict, stopped.promotion) == ("fail", None)
    assert stopped.sentence.startswith(
        "stopped at stage 'sft'; the current promotion to 'assistant' is unchanged."
    )
    assert Registry(world / "store").find("assistant") == standing


@pytest.mark.slow
def test_what_is_not_certified_is_not_promoted_and_its_look_is_counted(tmp_path: Path) -> None:
    world = make_world(tmp_path, certify=FAILS)
    assert loop(world).verdict == "fail"
    make_world(tmp_path)
    promoted = loop(world, recipes="long.yaml").promotion
    assert promoted is not None
    assert promoted.look == 2
    assert promoted.alpha < 0.05 / 4


@pytest.mark.slow
def test_the_best_of_several_recipes_goes_on_and_losers_are_deleted(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    done = loop(world, recipes="short.yaml, long.yaml", losers="delete")
    (stage,) = done.stages
    means = {name: mean for name, mean in stage.tried.items() if mean is not None}
    assert set(means) == {"short", "long"}
    assert stage.chosen == max(means, key=lambda name: means[name])
    gate = load_result(Path(stage.report).parent).plan.gate
    assert gate is not None
    assert gate.alpha == 0.05 / 2  # the best of two
    kept = [path.name.partition("-")[0] for path in (world / "store" / "checkpoints").iterdir()]
    assert kept == [stage.chosen]


def test_certifying_on_items_of_a_stages_gate_is_refused_before_training(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    text = (world / "certify.yaml").read_text().replace("part: certify", "part: develop")
    write(world / "certify.yaml", text)
    with pytest.raises(HarnessError, match=r"16 of its items are also in develop\.yaml"):
        loop(world)
    assert not (world / "store" / "checkpoints").exists()


def test_several_recipes_without_a_choice_between_them_are_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    write(world / "loop.yaml", LOOP.replace("RECIPES", "short.yaml, long.yaml")
          .replace("LOSERS", "keep").replace(", select: rouge.rouge1_f1", ""))  # fmt: skip
    with pytest.raises(HarnessError, match=r"loop\.yaml:5: .*several recipes need a 'select'"):
        run_loop(
            str(world / "loop.yaml"),
            make_context(world / "store", QuietProgress()),
            out=world / "runs",
        )


def test_a_suite_without_a_gate_can_certify_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    text = (world / "certify.yaml").read_text().partition("gate:")[0]
    write(world / "certify.yaml", text)
    with pytest.raises(HarnessError, match="has no gate"):
        loop(world)


def test_an_unknown_recipe_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"shrt\.yaml: no such recipe"):
        loop(make_world(tmp_path), recipes="shrt.yaml")


def test_a_loop_starts_from_one_checkpoint(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    text = (world / "world.yaml").read_text()
    write(world / "world.yaml", text.replace("checkpoint: base", "checkpoint: 'base-{seed}', seeds: [1, 2]"))  # fmt: skip
    with pytest.raises(
        HarnessError, match="'base' has several training seeds, and a loop promotes one"
    ):
        loop(world)
