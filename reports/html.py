"""report.html: one file that opens from disk, asks nothing of the network and runs no script.

Jinja2 escapes every string; the Content-Security-Policy allows the one style sheet by its hash
and nothing else, so that a text which slipped through could still do nothing.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import RunResult
from reports.charts import draw
from reports.components import Chart, View
from reports.formatting import signed
from reports.human_inputs import NOTHING, HumanInputs
from reports.view import make_view

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(result: RunResult, *, n_items: int = 0, beside: HumanInputs = NOTHING) -> str:
    """The whole report as one HTML document; it links to the pages of `n_items` items, if any."""
    return view_to_html(make_view(result, beside), n_items=n_items)


def view_to_html(view: View, *, n_items: int = 0) -> str:
    """The HTML document for a view that is computed already."""
    return render_page("report.html", view=view, n_items=n_items)


def render_page(template: str, **content: object) -> str:
    """One of the templates, with the style sheet and the policy that every page has."""
    from markupsafe import Markup

    style = _style()
    safe = Markup(style)  # noqa: S704 - our own file
    page = _templates().get_template(template)
    return page.render(style=safe, policy=_policy(style), **content)


@cache
def _style() -> str:
    return (_TEMPLATES / "report.css").read_text(encoding="utf-8")


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def svg(chart: Chart, chart_id: str) -> Markup:
        return Markup(draw(chart, chart_id))  # noqa: S704 - ElementTree has escaped it

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(svg=svg, signed=signed)
    return environment


@cache
def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
