"""A small world of retrieval: a corpus of drugs, questions with their sources, and two models at an endpoint."""

import json
from pathlib import Path
from typing import Any

from tests.builders.files import write, write_rows

N_ITEMS = 40
DRUGS = [f"drug{i}" for i in range(N_ITEMS)]

SUITE = """\
suite: doses
data:
  source:
    path: items.jsonl
    fields: {id: id, input: question, reference: answer, sources: source}
generation: {max_new_tokens: 32}
metrics:
  right: {kind: match, by: contains}
  found: {kind: retrieval, at: 2}
gate:
  claims:
    - {metric: right, claim: superior}
"""
PROFILE = """\
profile: there
data:
  leaflets: {{path: corpus.jsonl}}
models:
  closed: {{endpoint: {{model: m, base_url: '{url}'}}}}
  open:
    endpoint: {{model: m, base_url: '{url}'}}
    retrieval: {{corpus: leaflets, k: 2{more}}}
judges:
  default: {{offline: consumer_health}}
"""


def write_world(folder: Path, url: str, more: str = "", suite: str = SUITE) -> None:
    """Write the suite, the profile, the items and the corpus, which has a document for each item."""
    write(folder / "doses.yaml", suite)
    write(folder / "there.yaml", PROFILE.format(url=url, more=more))
    items = [
        {"id": f"q{i}", "question": f"What is the dose of {drug}?", "answer": f"{i + 3} mg",
         "source": f"leaflet-{drug}"}
        for i, drug in enumerate(DRUGS)
    ]  # fmt: skip
    write_rows(folder / "items.jsonl", items)
    write_rows(folder / "corpus.jsonl", [*documents()])


def documents() -> list[dict[str, str]]:
    """The leaflet of each drug, whose dose it states."""
    return [
        {"id": f"leaflet-{drug}", "text": f"Take {drug} with water. The dose is {i + 3} mg a day."}
        for i, drug in enumerate(DRUGS)
    ]


def answer_from_passages(body: dict[str, Any]) -> str:
    """What the model says: the first passage, cited, if there is one in its prompt."""
    text = body["messages"][-1]["content"]
    _, mark, rest = text.partition("<passage-1-")
    return f"{rest.split(chr(10))[1]} [1]" if mark else "I do not know the dose."


def read_result(folder: Path) -> dict[str, Any]:
    """Return the only run's results.json."""
    (path,) = folder.rglob("results.json")
    made: dict[str, Any] = json.loads(path.read_text())
    return made
