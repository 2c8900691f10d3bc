"""Questions with the documents that answer them, and the corpus of these documents."""

import json
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.data.convert import convert_file, make_options
from tests.builders.files import write

PAGE = """<Document id="1" source="CDC"><Focus>Asthma</Focus><QAPairs>
<QAPair pid="1"><Question qid="1-1">What is asthma?</Question><Answer>A disease.</Answer></QAPair>
<QAPair pid="2"><Question qid="1-2">What helps?</Question><Answer>An inhaler.</Answer></QAPair>
</QAPairs></Document>"""
ABSTRACTS = {
    "11": {"QUESTION": "Does it?", "CONTEXTS": ["First.", "Second."], "LONG_ANSWER": "It does."}
}


def convert(source: Path, to: str, **options: object) -> list[dict[str, object]]:
    out = source.parent / "out.jsonl"
    convert_file(str(source), out, make_options(fields="", to=to, **options))
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture
def medquad(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    write(tmp_path / "pages" / "1.xml", PAGE)
    return tmp_path / "pages"


@pytest.fixture
def pubmedqa(tmp_path: Path) -> Path:
    return write(tmp_path / "pubmedqa.json", json.dumps(ABSTRACTS))


def test_a_page_of_medquad_is_one_document_of_all_its_answers(medquad: Path) -> None:
    (document,) = convert(medquad, "corpus")
    text = "What is asthma?\nA disease.\n\nWhat helps?\nAn inhaler."
    assert document == {"id": "CDC-1", "text": text}
    sources = [(row["id"], row["sources"]) for row in convert(medquad, "questions")]
    assert sources == [("CDC-1-1", ["CDC-1"]), ("CDC-1-2", ["CDC-1"])]


def test_a_question_of_pubmedqa_comes_without_its_abstract(pubmedqa: Path) -> None:
    assert convert(pubmedqa, "corpus") == [{"id": "11", "text": "First.\nSecond."}]
    (row,) = convert(pubmedqa, "questions")
    assert row == {"id": "11", "input": "Does it?", "reference": "It does.", "sources": ["11"]}


def test_a_format_without_documents_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", '{"instruction": "Why?", "output": "So."}\n')
    with pytest.raises(HarnessError, match="--to corpus reads pubmedqa, medquad"):
        convert(source, "corpus")


def test_a_corpus_is_not_split(pubmedqa: Path) -> None:
    with pytest.raises(HarnessError, match="a corpus is not split"):
        convert(pubmedqa, "corpus", split=0.5)
