"""Opening a page in the browser of the machine's user."""

from pathlib import Path

import pytest
import typer

from harness.web.serve import open_in_browser


@pytest.mark.parametrize(("screen", "opened"), [(":0", 1), ("", 0)])
def test_a_browser_is_opened_only_where_there_is_a_screen(
    screen: str, opened: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(typer, "launch", lambda link: asked.append(link) or 0)
    with open_in_browser("http://127.0.0.1:1/enter/secret", tmp_path):
        assert len(asked) == opened
        assert "secret" not in "".join(asked)
    assert [*tmp_path.iterdir()] == []
