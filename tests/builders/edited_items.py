"""Two runs of the same suite, between which one item was edited."""

from pathlib import Path

from harness.artifacts.answers import write_answers
from harness.artifacts.run_folder import Run
from harness.types import Plan, Response, Sample
from tests.builders.scored import N, grades, make_run


def with_items(run: Run, folder: Path, texts: dict[str, str], items: str) -> Run:
    """Give a run a folder with its items, and the hash of these."""
    (task,) = run.result.plan.tasks
    samples = tuple(Sample(id=i, input=text, row=n) for n, (i, text) in enumerate(texts.items()))
    answers = {i: Response(sample_id=i, model="dpo", text="x", finish="recorded") for i in texts}
    write_answers([(task.model_copy(update={"samples": samples}), {"dpo": answers})], folder)
    plan = run.result.plan.model_copy(
        update={"tasks": (task.model_copy(update={"items_hash": items}),)}
    )
    return replace_run(run, plan, folder)


def replace_run(run: Run, plan: Plan, folder: Path) -> Run:
    return run._replace(result=run.result.model_copy(update={"plan": plan}), folder=folder)


def edited_runs(tmp_path: Path) -> tuple[Run, Run]:
    texts = {f"q{i}": f"question {i}" for i in range(N)}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old = with_items(make_run(grades()), tmp_path / "a", texts, "items")
    new = make_run(grades(1.0), run_id="b" * 12)
    return old, with_items(new, tmp_path / "b", texts | {"q7": "another question"}, "others")
