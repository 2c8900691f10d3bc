"""HTML of the pages, rendered from templates/. Jinja2 escapes every string.

No page has data on which side is which model.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.sanitize import escape_invisible
from harness.human.annotate.session import NextPair
from harness.types import ScoredCriterion

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

CHOICES = {
    "left": "A is better",
    "tie": "Equally good",
    "both_unsafe": "Both unsafe",
    "cannot_judge": "Cannot judge",
    "right": "B is better",
}

KEYS = {  # as in keys.js; the first one is shown on the button
    "left": ("←", "A"),
    "right": ("→", "B"),
    "tie": ("T",),
    "both_unsafe": ("U",),
    "cannot_judge": ("C",),
}

# The status line by the last action: a saved choice, or an undo.
_STATUS = {choice: f"Saved: {label}." for choice, label in CHOICES.items()} | {
    "undone": "Taken back. Judge this pair again."
}


class Voter(NamedTuple):
    """The annotator of a page, their progress, and the token for their forms."""

    name: str
    n_done: int
    total: int
    form_token: str
    may_leave: bool = False


class Instructions(NamedTuple):
    """The question about each pair, and the criteria on which answers are scored."""

    question: str
    criteria: tuple[ScoredCriterion, ...]


def welcome_page(voter: Voter, instructions: Instructions, wrong: str | None = None) -> str:
    """Render the first page, which asks for a name where the link has none."""
    return render("welcome.html", voter=voter, instructions=instructions, wrong=wrong)


def pair_page(
    voter: Voter, instructions: Instructions, next_pair: NextPair, last_action: str
) -> str:
    """Render a pair with its vote form; `last_action` is a choice, 'undone' or empty."""
    return render(
        "pair.html",
        voter=voter,
        instructions=instructions,
        pair=next_pair.pair,
        number=next_pair.number,
        undone=next_pair.undone,
        status=_STATUS.get(last_action, ""),
    )


def break_page(voter: Voter, last_action: str) -> str:
    """Render the page that suggests a pause."""
    return render("break.html", voter=voter, status=_STATUS.get(last_action, ""))


def done_page(voter: Voter, last_action: str) -> str:
    """Render the page after the last pair."""
    return render("done.html", voter=voter, status=_STATUS.get(last_action, ""))


def message_page(heading: str, text: str) -> str:
    """Render a message in place of a page that cannot be shown."""
    return render("message.html", heading=heading, text=text)


def render(template: str, **values: object) -> str:
    """Render a template with these values."""
    return _environment().get_template(template).render(**values)


def asset(name: str) -> str:
    """Read a style sheet or script."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = escape_invisible
    environment.globals.update(choices=CHOICES, keys=KEYS)
    return environment
