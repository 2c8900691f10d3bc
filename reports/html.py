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
from reports.parts import Chart, View
from reports.view import make_view

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(result: RunResult) -> str:
    """The whole report as one HTML document."""
    return view_to_html(make_view(result))


def view_to_html(view: View) -> str:
    """The HTML document for a view that is computed already."""
    from markupsafe import Markup

    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return _template().render(
        view=view,
        style=Markup(style),  # noqa: S704 - our own file
        policy=_policy(style),
    )


@cache
def _template() -> "Template":
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
    environment.globals["svg"] = svg
    return environment.get_template("report.html")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
