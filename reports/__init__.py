"""Reports: typed results as HTML, Markdown, JSON, JUnit and terminal text, without computing any.

RunResult → make_view → View → report.html, report.md, junit.xml, the terminal
          → dump_result → results.json → load_result → RunResult
"""

from harness.artifacts.results_json import dump_plan, dump_result, load_result, results_schema
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.terminal import print_summary
from reports.view import make_view
from reports.write import write_reports

__all__ = [
    "dump_plan",
    "dump_result",
    "load_result",
    "make_view",
    "print_summary",
    "render_html",
    "render_junit",
    "render_markdown",
    "results_schema",
    "write_reports",
]
