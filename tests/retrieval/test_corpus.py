from pathlib import Path

import pytest

from harness.config import Profile, Source
from harness.config.retrieval import RetrievalSpec
from harness.core.errors import HarnessError
from harness.retrieval.corpus import Corpus, Document, cut_into_passages, read_corpus
from tests.builders.files import write, write_rows

PROFILE = Profile.model_validate_json(
    '{"profile": "p", "data": {"leaflets": {"path": "c.jsonl"}}, "models": {"m": {"checkpoint": "m"}}}'
)


def read(folder: Path, *rows: dict[str, object], corpus: str | Source = "leaflets") -> Corpus:
    write_rows(folder / "c.jsonl", [*rows])
    return read_corpus(RetrievalSpec(corpus=corpus), PROFILE, folder)


def passages(text: str, words: int, overlap: int) -> list[str]:
    cut = cut_into_passages([Document("d", text)], words=words, overlap=overlap)
    return [passage.text for passage in cut]


def test_a_passage_begins_with_the_last_words_of_the_one_before() -> None:
    text = " ".join(f"w{i}" for i in range(10))
    assert passages(text, 4, 1) == ["w0 w1 w2 w3", "w3 w4 w5 w6", "w6 w7 w8 w9"]


def test_a_last_passage_of_nothing_new_is_not_made() -> None:
    assert passages("a b c d", 4, 2) == ["a b c d"]
    assert passages("a b c d e", 4, 2) == ["a b c d", "c d e"]


def test_a_passage_is_a_piece_of_the_text_as_written() -> None:
    assert passages("One  two,\n\nthree four.", 3, 0) == ["One  two,\n\nthree", "four."]


def test_a_letter_of_a_script_without_spaces_is_a_word() -> None:
    assert passages("咳嗽很久 CT检查", 3, 0) == ["咳嗽很", "久 CT检", "查"]


def test_an_equal_corpus_has_an_equal_hash_and_another_text_another(tmp_path: Path) -> None:
    one, two = {"id": "a", "text": "Rest."}, {"id": "b", "text": "Ice."}
    assert read(tmp_path, one, two).hash == read(tmp_path, one, two).hash
    assert read(tmp_path, one, two).hash != read(tmp_path, one, two | {"text": "Heat."}).hash


def test_a_corpus_is_read_once(tmp_path: Path) -> None:
    rest: dict[str, object] = {"id": "a", "text": "Rest."}
    assert read(tmp_path, rest) is read(tmp_path, rest)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "c.jsonl:2: the id 'a' occurs twice (first on line 1)"),
        ([{"id": "a", "text": "x"}, {"id": "b", "text": "  "}], "c.jsonl:2: 'text' is empty"),
        ([{"id": "a", "text": {"x": 1}}], "c.jsonl:1: 'text' is a JSON object"),
        ([{"id": "a", "body": "x"}], "no column 'text' for the field 'text' of a corpus"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_document_is_named(
    tmp_path: Path, rows: list[dict[str, object]], problem: str
) -> None:
    with pytest.raises(HarnessError) as error:
        read(tmp_path, *rows)
    assert problem in str(error.value)


def test_an_unknown_corpus_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"corpus 'leaflet' is none of its data sets.*leaflets"):
        read(tmp_path, {"id": "a", "text": "x"}, corpus="leaflet")


def read_folder(folder: Path, files: dict[str, str]) -> Corpus:
    for name, text in files.items():
        (folder / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / "texts" / name, text)
    return read_corpus(RetrievalSpec(corpus=Source(path="texts")), PROFILE, folder)


def test_each_text_of_a_folder_is_a_document(tmp_path: Path) -> None:
    corpus = read_folder(tmp_path, {"b.txt": "Rest.\n", "a/c.md": "Ice.", ".git/x.pdf": "%PDF"})
    assert corpus.documents == [Document("a/c.md", "Ice."), Document("b.txt", "Rest.")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("a.pdf", "%PDF", r"a\.pdf: is no document"), ("a.txt", " ", r"a\.txt: is empty")],
)
def test_a_file_of_a_folder_that_is_no_text_is_named(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=said):
        read_folder(tmp_path, {"b.txt": "Rest.", name: text})


def test_a_link_out_of_a_folder_of_texts_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.txt", "A key.")
    (tmp_path / "suite" / "texts").mkdir(parents=True)
    (tmp_path / "suite" / "texts" / "a.txt").symlink_to(secret)
    with pytest.raises(HarnessError, match="lies outside of"):
        read_folder(tmp_path / "suite", {})
