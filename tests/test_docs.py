"""What the documentation shows is so: its YAML loads, its commands and options exist, its links lead somewhere."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from harness.cli import app
from harness.config import load_profile, load_suite
from harness.config.release import load_release
from harness.config.study import load_study
from tests.builders.files import write
from trainers.recipe import load_recipe

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LOADERS = {
    "suite": load_suite,
    "profile": load_profile,
    "recipe": load_recipe,
    "release": lambda path: load_release(Path(path)),
    "study": load_study,
}
EXAMPLES = [
    pytest.param(LOADERS[kind.group(1)], text, id=f"{page.stem}-{kind.group(1)}")
    for page in PAGES
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    if (kind := re.search(r"^(study|suite|profile|recipe|release):", text, re.MULTILINE))
]
COMMANDS = sorted(
    {
        line
        for page in PAGES
        for line in re.findall(r"(?:^ {4}|`)(?:[A-Z_]+=\S+ )?harness ([a-z][^`\n#]*)", page.read_text(), re.MULTILINE)
    }
)  # fmt: skip


@pytest.mark.parametrize(("load", "text"), EXAMPLES)
def test_every_example_loads(load: Callable[[str], object], text: str, tmp_path: Path) -> None:
    load(str(write(tmp_path / "example.yaml", text)))


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_its_options_exist(line: str) -> None:
    command, words = typer.main.get_command(app), line.split()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    assert not getattr(command, "commands", None) or not words, f"harness {line}"
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    assert {word for word in words if word.startswith("--")} - known - {"--"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)", page.read_text())
    for path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), path
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {_anchor(heading) for heading in headings}, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_file_that_is_named_exists(page: Path) -> None:
    """A file may be named by its last parts, as `gate/decision.py`; capitals stand for any name."""
    named = {
        name for name in re.findall(r"`([\w/]+\.py)`", page.read_text()) if name == name.lower()
    }
    roots = ("harness", "judges", "trainers", "reports", "tests")
    files = {f"/{path.relative_to(ROOT)}" for root in roots for path in (ROOT / root).rglob("*.py")}
    assert {n for n in named if not any(file.endswith(f"/{n}") for file in files)} == set()


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
