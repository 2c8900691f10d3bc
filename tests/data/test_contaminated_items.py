"""Models that were trained on what they are measured on."""

from pathlib import Path

import pytest

from harness.config import Generation
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.data.contamination import (
    TrainingText,
    find_contaminated_items,
    require_no_contamination,
)
from harness.runs.prepare import Prepared
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import Sample, Task
from tests.builders.files import write
from tests.builders.pipelines import make_world

QUESTION = "My son is six and coughs every night when he lies down, could this be asthma?"


def task(*questions: str) -> Task:
    samples = tuple(Sample(id=f"q{i}", input=q, row=i) for i, q in enumerate(questions))
    return Task(
        name="items",
        source="s",
        items_hash="h",
        n_items=len(samples),
        samples=samples,
        generation=Generation(),
        system=None,
        metrics={},
    )


def learnt(*questions: str) -> Prepared:
    texts = tuple(TrainingText(f"row-{i}", (q,), ()) for i, q in enumerate(questions))
    return Prepared(None, "f", (), (), "", texts)  # type: ignore[arg-type]  # never asked


def test_an_item_learnt_word_for_word_stops_the_run_and_is_named() -> None:
    exposures = find_contaminated_items(
        [task(QUESTION, "What is gout?")], {"sft": learnt("Else?", QUESTION)}
    )
    assert (exposures[0].exact, exposures[0].contaminated, exposures[0].n_rows) == (1, 1, 2)
    with pytest.raises(HarnessError, match=r"1 of 2 items of 'items'.*item 'q0' in row 'row-1'"):
        require_no_contamination(exposures)


def test_clean_items_stop_nothing() -> None:
    require_no_contamination(
        find_contaminated_items([task(QUESTION)], {"sft": learnt("What is gout?")})
    )


def test_nothing_is_said_of_a_model_whose_training_is_not_known() -> None:
    assert find_contaminated_items([task(QUESTION)], {"base": learnt()}) == []


@pytest.mark.slow
def test_a_contaminated_run_goes_on_if_allowed_and_its_report_says_so(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    recipe = (world / "short.yaml").read_text().replace("part: train", "part: develop")
    write(world / "short.yaml", recipe)
    profile = (world / "world.yaml").read_text()
    write(world / "world.yaml", f"{profile}  sft: {{recipe: {world / 'short.yaml'}}}\n")

    def run(*, allow: bool) -> list[str]:
        request = load_request(
            str(world / "develop.yaml"),
            str(world / "world.yaml"),
            ["base", "sft"],
            allow_contamination=allow,
        )
        done = run_suite(
            request, make_context(world / "store", QuietProgress()), out=world / "runs"
        )
        return [caveat.text for caveat in done.result.caveats if caveat.code == "contaminated"]

    with pytest.raises(HarnessError, match="--allow-contamination"):
        run(allow=False)
    (told,) = run(allow=True)
    assert told.startswith(
        "16 of 16 items of 'items' are in the training data of 'sft', 16 of them"
    )
