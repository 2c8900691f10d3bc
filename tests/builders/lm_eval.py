"""Multiple choice as lm-eval asks it: made-up rows in the shape of its data sets, and a run of lm-eval.

`HARNESS_LM_EVAL` names the Python of an environment with lm_eval 0.4.13 and transformers. Its own task
files are used, with rows from a file in place of the hub's. `python -m tests.builders.lm_eval` writes
tests/golden/lm_eval_choices.json, the numbers of the tiny checkpoint on the made-up rows.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.config import LikelihoodMetric, load_suite
from harness.data.choices import put_choices
from harness.data.samples import make_samples
from harness.data.tables import Table
from harness.types import Sample
from tests.builders.files import write_rows
from tests.builders.tiny import make_tiny_model

GOLDEN = Path(__file__).parents[1] / "golden" / "lm_eval_choices.json"
CONTEXT = 2048  # tokens of the tiny checkpoint: its tokens are bytes
LM_EVAL = os.environ.get("HARNESS_LM_EVAL", "")
Row = dict[str, Any]

# The suite that asks as each task does; the folder and the name of lm-eval's task file.
SUITES = {
    "pubmedqa": "pubmedqa_likelihood",
    "medqa_4options": "medqa_likelihood",
    "medmcqa": "medmcqa_likelihood",
    "mmlu_college_medicine": "mmlu_medical_likelihood",
}
FILES = {
    "pubmedqa": "pubmedqa/pubmedqa.yaml",
    "medqa_4options": "medqa/medqa.yaml",
    "medmcqa": "medmcqa/medmcqa.yaml",
    "mmlu_college_medicine": "mmlu/default/mmlu_college_medicine.yaml",
}
OVERLAY = """\
include: {include}
task: {name}
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{test: {rows}}}}}
training_split: null
validation_split: null
fewshot_split: null
test_split: test
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""

# Questions with what readers trip over: spaces at their ends, line breaks, signs, other scripts.
_EXAMS = (
    ("Which drug is a loop diuretic?", ("ibuprofen", "furosemide", "aspirin", "codeine"), 1),
    (" A man of 40 coughs at night.  What is likeliest? ", ("asthma", "gout ", "a  rash", "mumps"), 0),
    ("Which is the SI unit of dose?\n\n(one only)", ("Gy", "µg/kg", "> 5 mg", "< 5 mg"), 0),
    ("C. difficile is treated with", ("vancomycin.", "E. coli", "None", "All of the above"), 0),
    ("喘息とは何ですか。", ("気道の病気", "骨折", "皮膚の病気", "眼の病気"), 0),
    ("Which of these says: see a doctor soon?", ("cough", "your son", "night", "a sign of asthma"), 3),
)  # fmt: skip
_ABSTRACTS = (
    (["Sons who cough every night were seen.", "A doctor saw each."], "Is cough a sign of asthma?", "yes"),
    (["We asked 40 doctors.\nNone of them coughs."], " Do doctors cough ?", "no"),
    (["Asthma can come back at night. " * 8, "", "It could be asthma (P < .05)."], "Could it be asthma?", "maybe"),
    (["Köln: 12 % of 3,000 patients."], "Should patients see a doctor soon?", "yes"),
)  # fmt: skip


def made_up_rows(task: str) -> list[Row]:
    """Return made-up rows in the columns of a task's data set."""
    if task == "pubmedqa":
        return [
            {"id": f"p{i}", "CONTEXTS": contexts, "QUESTION": question, "final_decision": decision}
            for i, (contexts, question, decision) in enumerate(_ABSTRACTS)
        ]
    return [
        _exam_row(task, f"q{i}", question, options, right)
        for i, (question, options, right) in enumerate(_EXAMS)
    ]


def _exam_row(task: str, name: str, question: str, options: tuple[str, ...], right: int) -> Row:
    match task:
        case "medqa_4options":
            endings = {f"ending{i}": text for i, text in enumerate(options)}
            return {"id": name, "sent1": question, **endings, "label": right}
        case "medmcqa":
            columns = dict(zip(("opa", "opb", "opc", "opd"), options, strict=True))
            return {
                "id": name,
                "question": question,
                **columns,
                "cop": right,
                "subject_name": "any",
            }
        case _:
            subject = task.removeprefix("mmlu_")
            return {"question": question, "choices": list(options), "answer": right, "subject": subject}  # fmt: skip


def metric_of(task: str) -> LikelihoodMetric:
    """Return the metric of the shipped suite that asks as the task does."""
    metric = load_suite(SUITES[task])[0].metrics["likelihood"]
    assert isinstance(metric, LikelihoodMetric)
    return metric


def items_of(task: str, rows: Iterable[Row]) -> tuple[Sample, ...]:
    """Return the items that the shipped suite makes of a task's rows."""
    suite, _ = load_suite(SUITES[task])
    source, layout = suite.data.source, metric_of(task).layout
    assert source is not None
    ours = [_as_the_suite_has_it(task, row) for row in rows]
    table = Table(origin=task, lines=list(range(1, len(ours) + 1)), rows=ours, sha256="")
    samples = make_samples(table, source.fields, None, suite.data.slices)
    return put_choices(samples, layout, table, source.fields)


def _as_the_suite_has_it(task: str, row: Row) -> Row:
    """Return a row of lm-eval's data set as that of ours; MedQA's are two of the same questions."""
    if task != "medqa_4options":
        return row
    options = {label: row[f"ending{i}"] for i, label in enumerate("ABCD")}
    return {"question": row["sent1"], "options": options, "answer_idx": "ABCD"[row["label"]]}


def run_lm_eval(model: Path, rows: dict[str, list[Row]], folder: Path) -> dict[str, list[Row]]:
    """Return the samples that lm-eval makes of a checkpoint, by task."""
    folder.mkdir()
    code = "import lm_eval.tasks as t; print(t.__path__[0])"
    shipped = subprocess.run([LM_EVAL, "-c", code], capture_output=True, text=True, check=True)
    for name, of_task in rows.items():
        write_rows(folder / f"{name}.jsonl", of_task)
        include = Path(shipped.stdout.strip().splitlines()[-1]) / FILES[name]
        overlay = OVERLAY.format(
            include=include, name=f"local_{name}", rows=folder / f"{name}.jsonl"
        )
        (folder / f"{name}.yaml").write_text(overlay)
    subprocess.run(
        [LM_EVAL, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}",
         "--tasks", ",".join(f"local_{name}" for name in rows), "--include_path", str(folder),
         "--batch_size", "8", "--device", "cpu", "--log_samples", "--output_path", str(folder / "out")],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")},
        capture_output=True, check=True,
    )  # fmt: skip
    found = {}
    for name in rows:
        (file,) = (folder / "out").rglob(f"samples_local_{name}_*.jsonl")
        samples = [json.loads(line) for line in file.read_text().splitlines()]
        found[name] = sorted(samples, key=lambda sample: sample["doc_id"])
    return found


def condense(sample: Row) -> Row:
    """Return of a sample of lm-eval the prompt, the continuations, their log-likelihoods and its scores."""
    requests = list(sample["arguments"].values())
    (prompt,) = {request["arg_0"] for request in requests}
    return {
        "prompt": prompt,
        "continuations": [request["arg_1"] for request in requests],
        "log_probabilities": [float(response[0][0]) for response in sample["resps"]],
        "acc": sample["acc"],
        "acc_norm": sample["acc_norm"],
    }


def main() -> None:
    """Write the golden file."""
    with tempfile.TemporaryDirectory() as folder:
        model = make_tiny_model(Path(folder, "model"), context=CONTEXT)
        rows = {task: made_up_rows(task) for task in SUITES}
        samples = run_lm_eval(model, rows, Path(folder, "lm_eval"))
    golden = {
        "provenance": "lm_eval 0.4.13, --model hf, torch 2.13.0, transformers 5.23.0, on the tiny checkpoint: "
        "HARNESS_LM_EVAL=… python -m tests.builders.lm_eval",
        "samples": {task: [condense(one) for one in found] for task, found in samples.items()},
    }
    GOLDEN.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
