"""report.html: one file that opens from disk, makes no network request and runs no script.

Jinja2 escapes every string. The Content-Security-Policy allows only the one style sheet, by its
hash, so that even an unescaped text could not run or load anything.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import RunResult
from reports.charts import draw
from reports.components import CAVEATS_TITLE, FACTS_TITLE, NEXT_TITLE, Chart, View
from reports.formatting import signed
from reports.human_inputs import NO_HUMAN_INPUTS, HumanInputs
from reports.view import make_view

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(
    result: RunResult,
    *,
    n_items: int = 0,
    human_inputs: HumanInputs = NO_HUMAN_INPUTS,
    pages: Sequence[str] = (),
) -> str:
    """Return the report as one HTML document; with `n_items` it links to the item pages and the explorer."""
    return view_to_html(make_view(result, human_inputs, pages), n_items=n_items)


def view_to_html(view: View, *, n_items: int = 0) -> str:
    return render_page("report.html", view=view, n_items=n_items)


def render_page(template: str, **content: object) -> str:
    """Render a template with the style sheet and the security policy that all pages share."""
    from markupsafe import Markup

    style = style_sheet()
    safe_style = Markup(style)  # noqa: S704 - our own file
    page = page_environment().get_template(template)
    return page.render(style=safe_style, policy=_security_policy(style), **content)


def link_names(text: str, links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text, each with the address that it links to; "" where it is no name of `links`."""
    names = "|".join(re.escape(name) for name in sorted(links, key=len, reverse=True))
    for piece in re.split(rf"(?<![\w.-])({names})(?![\w-])", text) if names else [text]:
        yield piece, links.get(piece, "")


@cache
def style_sheet() -> str:
    """Return the style sheet that all pages share."""
    return read_asset("colours.css") + read_asset("report.css")


def read_asset(name: str) -> str:
    """Read a style sheet or a script from the folder of the templates."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@cache
def page_environment(*folders: Path) -> "Environment":
    """Return the environment of the pages' templates, and of those in more `folders`, which go first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def svg(chart: Chart, chart_id: str) -> Markup:
        return Markup(draw(chart, chart_id))  # noqa: S704 - ElementTree has escaped it

    environment = Environment(
        loader=FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        svg=svg,
        signed=signed,
        link_names=link_names,
        caveats_title=CAVEATS_TITLE,
        facts_title=FACTS_TITLE,
        next_title=NEXT_TITLE,
    )

    return environment


@cache
def _security_policy(style: str) -> str:
    return (
        f"default-src 'none'; style-src '{source_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def source_hash(text: str) -> str:
    """Return how a policy names an inline style or script that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
