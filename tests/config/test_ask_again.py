from pathlib import Path

import pytest

from harness.config.request import AskAgain, load_request, read_ask_again
from harness.core.errors import HarnessError
from tests.builders.files import write, write_world


def read(folder: Path, what: str | None, model: str | None, *, batch: bool = False) -> AskAgain:
    suite, profile = write_world(folder, n=3)
    endpoint = "  served: {endpoint: {model: m, base_url: 'http://localhost:1/v1'}}\n"
    text = Path(profile).read_text().replace("models:\n", f"models:\n{endpoint}", 1)
    write(folder / "served.yaml", text)
    request = load_request(suite, str(folder / "served.yaml"), ["sft", "served"])
    return read_ask_again(what, model, request._replace(by_batch=batch))


def test_what_is_asked_again_is_read_with_its_model(tmp_path: Path) -> None:
    assert read(tmp_path, "answers", "served") == AskAgain("answers", "served")
    assert read(tmp_path, None, None) == AskAgain()


@pytest.mark.parametrize(
    ("what", "model", "batch", "message"),
    [
        ("answer", None, False, "Did you mean 'answers'|answers"),
        ("answers", "nobody", False, "not in this run"),
        ("answers", "sft", False, "only endpoints can answer otherwise"),
        (None, "sft", False, "belongs to --ask-again"),
        ("failed", None, True, "by batch"),
    ],
)
def test_what_cannot_be_asked_again_is_refused(
    tmp_path: Path, what: str | None, model: str | None, batch: bool, message: str
) -> None:
    with pytest.raises(HarnessError, match=message):
        read(tmp_path, what, model, batch=batch)
