"""badge.svg: the verdict of a suite's run as a small picture for a README or a dashboard.

    medical_rubric | ✓ PASS · 2026-01-02

It says the verdict in a word, a symbol and a colour, holds no script and loads nothing. The date is the day
on which the run ended: a badge is as old as its run.
"""

import unicodedata
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from harness.artifacts.run_list import NO_GATE
from harness.core.sanitize import escape_invisible, one_line
from harness.types import RunResult
from reports.components import LABELS

BADGE = "badge.svg"
_N_NAME_CHARS = 40
_HEIGHT, _PADDING, _CHAR_WIDTH = 20, 7, 7.0  # pixels; a character of an 11-pixel font, on average
_NAME_FILL = "#3b4148"
_FILLS = {  # white on each has a contrast above 5 to 1
    "pass": "#1a7345",
    "fail": "#b0271e",
    "inconclusive": "#8a5700",
    "none": "#59616b",
}
_LABELS = {label.value: label for label in LABELS.values()} | {NO_GATE: LABELS["none"]}


def render_badge(result: RunResult) -> bytes:
    """Return the content of badge.svg for a run."""
    verdict = result.decision.verdict if result.decision else NO_GATE
    return draw_badge(result.plan.suite, verdict, result.finished)


def draw_badge(suite: str, verdict: str, finished: str) -> bytes:
    """Return the badge of a verdict as `harness runs` says it; `finished` is the run's end in ISO 8601."""
    label = _LABELS[verdict]
    name, day = one_line(escape_invisible(suite)), one_line(escape_invisible(finished[:10]))
    short = name if len(name) <= _N_NAME_CHARS else f"{name[: _N_NAME_CHARS - 1]}…"
    said = f"{label.symbol} {label.word} · {day}"
    left, right = (_width(text) + 2 * _PADDING for text in (short, said))
    title = f"{name}: {label.word.lower()}, {day}"
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title,
            "width": f"{left + right:g}", "height": f"{_HEIGHT}",
        },
    )  # fmt: skip
    SubElement(svg, "title").text = title
    _box(svg, 0, left, short, _NAME_FILL)
    _box(svg, left, right, said, _FILLS[label.value])
    return f"{ElementTree.tostring(svg, encoding='unicode')}\n".encode()


def _box(svg: Element, x: float, width: float, text: str, fill: str) -> None:
    """Add a filled box with the text in its middle, as wide as the box in whatever font there is."""
    place = {"x": f"{x:g}", "width": f"{width:g}", "height": f"{_HEIGHT}", "fill": fill}
    SubElement(svg, "rect", place)
    label = {
        "x": f"{x + width / 2:g}", "y": "14", "fill": "#ffffff", "text-anchor": "middle",
        "font-family": "Verdana, DejaVu Sans, sans-serif", "font-size": "11",
        "textLength": f"{width - 2 * _PADDING:g}", "lengthAdjust": "spacingAndGlyphs",
    }  # fmt: skip
    SubElement(svg, "text", label).text = text


def _width(text: str) -> float:
    """Estimate the width of a text in pixels; East Asian characters are twice as wide."""
    n_wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return _CHAR_WIDTH * (len(text) + n_wide)
