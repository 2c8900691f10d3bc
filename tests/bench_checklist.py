"""A checklist at HealthBench's size, from recorded verdicts to the report: `python -m tests.bench_checklist`.

5,000 conversations and about 48,000 criteria of 40 words, two models with answers of 300 words, a verdict on each
criterion. What is measured is the whole process of `harness plan` and of `harness run`.
"""

import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench import measure, show
from tests.bench_scale import WORDS
from tests.builders.checklist_study import make_items, make_verdicts, write_rows, write_study

N_ITEMS, CRITERIA = 5_000, (4, 15)  # 9.6 an item


def main() -> None:
    if sys.argv[
        1:
    ]:  # in a process of its own: a large parent would count as the peak of what it starts
        write(Path(sys.argv[1]))
        return
    work = Path(tempfile.mkdtemp(prefix="bench-checklist-"))
    print("| what | wall s | CPU s | peak MB | said |\n|---|---|---|---|---|")
    try:
        made = measure(sys.executable, "-m", "tests.bench_checklist", str(work / "study"))
        print(made.last_line)
        suite = (str(work / "study" / "suite.yaml"), "--models", "old,new")
        profile = ("--profile", str(work / "study" / "profile.yaml"))
        store = ("--store", str(work / "store"), "--format", "json")
        for command, *more in (("plan",), ("run", "--out", str(work / "runs"))):
            whole = (sys.executable, "-m", "harness", command, *suite, *profile, *store, *more)
            show(f"`harness {command}`", measure(*whole))
    finally:
        shutil.rmtree(work)


def write(folder: Path) -> None:
    """Write the study, and print its size."""
    rng = random.Random(5)

    def say(n: int) -> str:
        return " ".join(rng.choices(WORDS, k=n))

    folder.mkdir()
    items = make_items(N_ITEMS, criteria=CRITERIA)
    for item in items:
        item["prompt"][0]["content"] += f" {say(100)}"
        for rubric in item["rubrics"]:
            rubric["criterion"] += f": {say(40)}"
    verdicts = [make_verdicts(items, seed=seed, missing=0.0005) for seed in (1, 2)]
    for row in (row for listed in verdicts for row in listed):
        row["explanation"] = say(20)
    write_study(folder, items, *verdicts)
    for name in ("old", "new"):
        answers = [{"id": item["prompt_id"], "text": say(300)} for item in items]
        write_rows(folder / f"{name}.jsonl", answers)
    profile = (folder / "profile.yaml").read_text()
    (folder / "profile.yaml").write_text(
        profile.replace("met: met}", "met: met, rationale: explanation}")
    )
    n_criteria = sum(len(item["rubrics"]) for item in items)
    print(f"{len(items):,} items, {n_criteria:,} criteria, 2 models")


if __name__ == "__main__":
    main()
