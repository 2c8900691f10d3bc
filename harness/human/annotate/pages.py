"""The HTML of every page. Jinja2 escapes every string, and no page is told which side is which."""

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


KEYS = {  # as keys.js has them; the first stands on the button
    "left": ("←", "A"),
    "right": ("→", "B"),
    "tie": ("T",),
    "both_unsafe": ("U",),
    "cannot_judge": ("C",),
}


_SAVED = {choice: f"Saved: {words}." for choice, words in CHOICES.items()}


_SAVED["undone"] = "Taken back. Judge this pair again."


class Voter(NamedTuple):
    """Who is looking, how far they are, and the token that their forms carry."""

    name: str
    n_done: int
    total: int
    form_token: str
    may_leave: bool = False


class Instructions(NamedTuple):
    """What annotators are asked of each pair."""

    question: str
    criteria: tuple[ScoredCriterion, ...]


def welcome_page(voter: Voter, asked: Instructions, wrong: str | None = None) -> str:
    """Who are you, and how this works."""
    return render("welcome.html", voter=voter, asked=asked, wrong=wrong)


def pair_page(voter: Voter, asked: Instructions, turn: NextPair, said: str) -> str:
    """A pair and its ballot; `said` is what was saved just before."""
    return render(
        "pair.html",
        voter=voter,
        asked=asked,
        pair=turn.pair,
        number=turn.number,
        before=turn.before,
        status=_SAVED.get(said, ""),
    )


def break_page(voter: Voter, said: str) -> str:
    """A pause."""
    return render("break.html", voter=voter, status=_SAVED.get(said, ""))


def done_page(voter: Voter, said: str) -> str:
    """There is nothing left to judge."""
    return render("done.html", voter=voter, status=_SAVED.get(said, ""))


def message_page(heading: str, text: str) -> str:
    """Something cannot be shown, and what to do."""
    return render("message.html", heading=heading, text=text)


def render(template: str, **values: object) -> str:
    """Any template with these values."""
    return _environment().get_template(template).render(**values)


def asset(name: str) -> str:
    """A style sheet or script of ours."""
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
