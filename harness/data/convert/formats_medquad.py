"""MedQuAD: a folder of XML files, each with the questions and answers of one page.

<Document id="0000093" source="NIDDK" url="…"><Focus>Crohn's Disease</Focus><QAPairs>
  <QAPair pid="1"><Question qid="0000093-1" qtype="information">…</Question><Answer>…</Answer>
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash, file_hash
from harness.data.cells import Row


class QaPairs(NamedTuple):
    """Question-answer pairs with their places, and one hash over all files."""

    rows: list[tuple[str, Row]]
    sha256: str


def load_medquad(folder: Path) -> QaPairs:
    """Load the pairs of all XML files in and below a folder, sorted by file name.

    Raises:
        HarnessError: there is no XML file, or a file is not one of MedQuAD.
    """
    files = sorted(folder.rglob("*.xml"), key=lambda file: file.relative_to(folder).as_posix())
    if not files:
        raise HarnessError(f"{folder}: holds no XML files; a folder is read as MedQuAD's.")
    rows = [pair for file in files for pair in _pairs(file, file.relative_to(folder).as_posix())]
    if not rows:
        raise HarnessError(f"{folder}: its {len(files)} XML files hold no <QAPair>.")
    return QaPairs(
        rows, content_hash([[f.relative_to(folder).as_posix(), file_hash(f)] for f in files])
    )


def _pairs(file: Path, name: str) -> Iterator[tuple[str, Row]]:
    content = file.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise HarnessError(f"{file}: declares a document type, which MedQuAD's files do not.")
    try:
        document = ElementTree.fromstring(content)  # noqa: S314 - no DOCTYPE
    except ElementTree.ParseError as error:
        raise HarnessError(f"{file}:{error.position[0]}: not valid XML: {error}.") from None
    for pair in document.iter("QAPair"):
        question = pair.find("Question")
        qid = question.get("qid", "") if question is not None else ""
        yield (
            f"{name}#{pair.get('pid', '')}",
            {
                "document": f"{document.get('source', '')}-{document.get('id', '')}",
                "qid": f"{document.get('source', '')}-{qid}" if qid else "",
                "focus": document.findtext("Focus"),
                "question": pair.findtext("Question"),
                "answer": pair.findtext("Answer"),
            },
        )
