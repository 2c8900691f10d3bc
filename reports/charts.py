"""Charts as inline SVG: no script, no style attributes, no external resource.

Elements carry class names; the page's style sheet gives them colours for light and dark mode. Every
chart can be read without colour: the baseline is hollow, the candidate solid.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from reports.components import (
    Chart,
    CurveChart,
    ForestPanel,
    ForestRow,
    Histogram,
    Mark,
    PreferenceBar,
    ScatterChart,
    Series,
    TrendChart,
    TrendPoint,
)
from reports.formatting import count, number

N_CURVE_BUCKETS = 150


def draw(chart: Chart, chart_id: str) -> str:
    """Return the chart as an `<svg>` element; `chart_id` must be unique on the page."""
    return ElementTree.tostring(_element(chart, chart_id), encoding="unicode")


def _element(chart: Chart, chart_id: str) -> Element:
    match chart:
        case ForestPanel():
            return _forest(chart, chart_id)
        case Histogram():
            return _histogram(chart, chart_id)
        case PreferenceBar():
            return _preference_bar(chart, chart_id)
        case CurveChart():
            return _curve(chart, chart_id)
        case TrendChart():
            return _trend(chart, chart_id)
        case ScatterChart():
            return _scatter(chart, chart_id)


# --- forest plot -----------------------------------------------------------------------------

_WIDE_WIDTH, _ROW_HEIGHT = 420, 46


def _forest(panel: ForestPanel, chart_id: str) -> Element:
    bottom = 30 + _ROW_HEIGHT * len(panel.rows)
    svg = _svg(chart_id, _WIDE_WIDTH, bottom + 44, panel.title, _describe_forest(panel))
    axis = _Axis(*_forest_extent(panel), 12, _WIDE_WIDTH - 12)
    _text(svg, "heading", 4, 16, panel.title, anchor="start")
    for i, row in enumerate(panel.rows):
        _forest_row(svg, row, panel.null, axis, 30 + _ROW_HEIGHT * i)
    for tick in axis.ticks(6):
        _text(svg, "tick", axis.at(tick), bottom + 14, axis.print(tick), anchor="middle")
    _text(svg, "note", 4, bottom + 36, f"← {_truncate(panel.baseline, 20)} better", anchor="start")
    better = f"{_truncate(panel.candidate, 20)} better →"
    _text(svg, "note", _WIDE_WIDTH - 4, bottom + 36, better, anchor="end")
    return svg


def _forest_row(svg: Element, row: ForestRow, null: float, axis: "_Axis", top: float) -> None:
    middle = top + 30
    _text(svg, "label", 4, top + 13, _truncate(row.label, 28), anchor="start")
    _text(svg, "value", _WIDE_WIDTH - 4, top + 13, row.numbers, anchor="end")
    for tick in axis.ticks(6):
        _line(svg, "grid", axis.at(tick), middle - 11, axis.at(tick), middle + 13)
    _line(svg, "null", axis.at(null), middle - 11, axis.at(null), middle + 13)
    for mark in row.marks:
        _margin_mark(svg, mark, axis.at(mark.value), middle)
    low, high, estimate = axis.at(row.low), axis.at(row.high), axis.at(row.estimate)
    _line(svg, "interval", low, middle, high, middle)
    _line(svg, "interval", low, middle - 5, low, middle + 5)
    _line(svg, "interval", high, middle - 5, high, middle + 5)
    excludes_null = row.low > null or row.high < null
    _add(svg, "circle", {"class": "solid" if excludes_null else "hollow", "r": "5.5"},
         cx=estimate, cy=middle)  # fmt: skip


def _margin_mark(svg: Element, mark: Mark, x: float, middle: float) -> None:
    points = f"{x - 5:.1f},{middle + 14:.1f} {x + 5:.1f},{middle + 14:.1f} {x:.1f},{middle + 6:.1f}"
    _line(svg, "margin", x, middle - 11, x, middle + 9)
    triangle = _add(svg, "polygon", {"class": "margin", "points": points})
    SubElement(triangle, "title").text = mark.label


def _forest_extent(panel: ForestPanel) -> tuple[float, float]:
    values = [panel.null]
    for row in panel.rows:
        values += [row.low, row.high, *(mark.value for mark in row.marks)]
    finite = [value for value in values if math.isfinite(value)]
    padding = 0.08 * (max(finite) - min(finite)) or 1.0
    return min(finite) - padding, max(finite) + padding


def _describe_forest(panel: ForestPanel) -> str:
    return ". ".join(
        "; ".join([f"{row.label}: {row.numbers}", *(mark.label for mark in row.marks)])
        for row in panel.rows
    )


# --- distributions ---------------------------------------------------------------------------

_SMALL_WIDTH, _SMALL_HEIGHT = 320, 176


def _histogram(chart: Histogram, chart_id: str) -> Element:
    # 1. Lay out the axes.
    svg = _svg(chart_id, _SMALL_WIDTH, _SMALL_HEIGHT, chart.title, _describe_histogram(chart))
    step = _step(chart)
    left, right = (0.0, step) if chart.binned else (-step / 2, step / 2)
    edge = chart.high - step if chart.binned else chart.high
    x_axis = _Axis(chart.low + left, edge + right, 30, _SMALL_WIDTH - 8)
    highest = max([1, *(n for series in chart.series for n in series.counts.values())])
    y_axis = _Axis(0, highest, 132, 40)
    _frame(svg, chart.title, x_axis, y_axis, [0, highest])
    for tick in _histogram_ticks(chart, step, x_axis):
        _text(svg, "tick", x_axis.at(tick), 148, f"{tick:.4g}", anchor="middle")
    # 2. Draw each model's bars, the baseline left of the candidate.
    half = min((x_axis.at(step) - x_axis.at(0)) * 0.43, 24)
    bars = (("hollow", -half), ("solid", 0.0))[-len(chart.series) :]
    for series, (name, offset) in zip(chart.series, bars, strict=True):
        for value, n in sorted(series.counts.items()):
            middle = x_axis.at(value + (left + right) / 2)
            _bar(svg, name, middle + offset + 0.75, y_axis.at(n), half - 1.5, 132)
    _legend(svg, *(series.label for series in chart.series))
    return svg


def _step(chart: Histogram) -> float:
    """Return the distance between neighbouring values: a tenth of the range, or the smallest gap."""
    if chart.binned:
        return (chart.high - chart.low) / 10
    values = sorted({chart.low, chart.high, *(x for series in chart.series for x in series.counts)})
    return min(after - before for before, after in pairwise(values))


def _histogram_ticks(chart: Histogram, step: float, axis: "_Axis") -> list[float]:
    if chart.binned or step < (chart.high - chart.low) / 10:
        return axis.ticks(5)
    n_steps = round((chart.high - chart.low) / step)
    return [chart.low + i * step for i in range(n_steps + 1)]


def _describe_histogram(chart: Histogram) -> str:
    return ". ".join(_describe_counts(series) for series in chart.series)


def _describe_counts(series: Series) -> str:
    counts = ", ".join(f"{n} at {value:g}" for value, n in sorted(series.counts.items()))
    return f"{series.label}: {counts}"


def _legend(svg: Element, *labels: str) -> None:
    """Draw the legend: the hollow baseline at the left, the solid candidate in the right half."""
    places = ((30, "hollow"), (_SMALL_WIDTH / 2 + 15, "solid"))
    for (x, name), label in zip(places[-len(labels) :], labels, strict=True):
        _bar(svg, name, x, 160, 10, 170)
        _text(svg, "note", x + 16, 170, _truncate(label, 18), anchor="start")


# --- preferences -----------------------------------------------------------------------------


def _preference_bar(bar: PreferenceBar, chart_id: str) -> Element:
    parts = [
        (f"{_truncate(bar.candidate, 16)} wins", bar.wins, "solid"),
        ("tie", bar.ties, "between"),
        (f"{_truncate(bar.baseline, 16)} wins", bar.losses, "hollow"),
    ]
    total = sum(n for _, n, _ in parts)
    description = ", ".join(f"{label}: {count(n, 'item')}" for label, n, _ in parts)
    svg = _svg(chart_id, _WIDE_WIDTH, 92, bar.title, description)
    _text(svg, "label", 4, 16, _truncate(bar.title, 52), anchor="start")
    # Stacked segments, and a line at one half.
    scale = (_WIDE_WIDTH - 8) / max(total, 1)
    x = 4.0
    for _, n, name in parts:
        if n:
            _bar(svg, name, x + 1, 28, n * scale - 2, 58)
        x += n * scale
    if total:
        _line(svg, "null", _WIDE_WIDTH / 2, 24, _WIDE_WIDTH / 2, 62)
    for (label, n, _), x, anchor in zip(
        parts, (4, _WIDE_WIDTH / 2, _WIDE_WIDTH - 4), ("start", "middle", "end"), strict=True
    ):
        _text(svg, "note", x, 80, f"{label}: {n:,}", anchor=anchor)
    return svg


# --- training curves -------------------------------------------------------------------------


def _curve(chart: CurveChart, chart_id: str) -> Element:
    points = list(_thin_out(chart))
    svg = _svg(chart_id, _SMALL_WIDTH, _SMALL_HEIGHT, chart.title, f"Last value: {chart.last}")
    if not points:
        return svg
    steps, values = [step for step, _ in points], [value for _, value in points]
    x_axis = _Axis(min(steps), max(steps), 44, _SMALL_WIDTH - 22)
    y_axis = _Axis(min(values), max(values), 132, 40)
    _frame(svg, chart.title, x_axis, y_axis, y_axis.ticks(3))
    for tick in x_axis.ticks(4):
        _text(svg, "tick", x_axis.at(tick), 148, x_axis.print(tick), anchor="middle")
    path = " ".join(f"{x_axis.at(step):.1f},{y_axis.at(value):.1f}" for step, value in points)
    _add(svg, "polyline", {"class": "curve", "points": path})
    _add(svg, "circle", {"class": "solid", "r": "3"},
         cx=x_axis.at(steps[-1]), cy=y_axis.at(values[-1]))  # fmt: skip
    _text(svg, "note", _SMALL_WIDTH - 12, 170, chart.last, anchor="end")
    return svg


def _thin_out(chart: CurveChart) -> Iterator[tuple[int, float]]:
    """Yield at most two points for each bucket, its lowest and highest, so that no spike is lost."""
    finite = [p for p in zip(chart.steps, chart.values, strict=True) if math.isfinite(p[1])]
    size = max(1, math.ceil(len(finite) / N_CURVE_BUCKETS))
    for start in range(0, len(finite), size):
        bucket = finite[start : start + size]
        extremes = {min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
        yield from sorted(extremes)


# --- trends ----------------------------------------------------------------------------------

_TREND_WIDTH, _TREND_HEIGHT, _TREND_BOTTOM = 760, 218, 186


def _trend(chart: TrendChart, chart_id: str) -> Element:
    # 1. Lay out the axes: runs are equally far apart.
    svg = _svg(chart_id, _TREND_WIDTH, _TREND_HEIGHT, chart.title, _describe_trend(chart))
    x_axis = _Axis(-0.5, max(len(chart.points) - 0.5, 0.5), 56, _TREND_WIDTH - 28)
    y_axis = _Axis(*_trend_extent(chart), _TREND_BOTTOM, 22)
    for level in y_axis.ticks(4):
        _line(svg, "grid", x_axis.start, y_axis.at(level), x_axis.end, y_axis.at(level))
        _text(svg, "tick", 48, y_axis.at(level) + 4, y_axis.print(level), anchor="end")
    for mark in chart.boundaries:
        line = _line(
            svg, "margin", x_axis.start, y_axis.at(mark.value), x_axis.end, y_axis.at(mark.value)
        )
        SubElement(line, "title").text = mark.label
    # 2. Join the runs between two changes of measurement, and draw each with its interval.
    for segment in _segments(chart.points):
        path = " ".join(
            f"{x_axis.at(i):.1f},{y_axis.at(point.estimate):.1f}" for i, point in segment
        )
        _add(svg, "polyline", {"class": "curve", "points": path})
    for i, point in enumerate(chart.points):
        if point.change:
            x = x_axis.at(i - 0.5)
            _line(svg, "change", x, 16, x, _TREND_BOTTOM)
            _text(svg, "note", x, 12, str(point.change), anchor="middle")
        _trend_point(svg, point, x_axis.at(i), y_axis)
    # 3. Name the first run and the last, and as many between as there is room for.
    every = max(1, math.ceil(len(chart.points) / 7))
    for i in range(0, len(chart.points), every):
        _text(svg, "tick", x_axis.at(i), 208, chart.points[i].label, anchor="middle")
    return svg


def _trend_point(svg: Element, point: TrendPoint, x: float, axis: "_Axis") -> None:
    """Draw a run: a disc for a pass, a square for a fail, and a ring where nothing was decided."""
    low = point.estimate if point.low is None else point.low
    high = point.estimate if point.high is None else point.high
    _line(svg, "interval", x, axis.at(low), x, axis.at(high))
    y = axis.at(point.estimate)
    match point.verdict:
        case "pass":
            _add(svg, "circle", {"class": "solid", "r": "4.5"}, cx=x, cy=y)
        case "fail":
            _add(svg, "rect", {"class": "failed"}, x=x - 4.5, y=y - 4.5, width=9, height=9)
        case _:
            _add(svg, "circle", {"class": "hollow", "r": "4.5"}, cx=x, cy=y)


def _segments(points: Sequence[TrendPoint]) -> list[list[tuple[int, TrendPoint]]]:
    """Cut the runs, with their places, before each change of measurement."""
    segments: list[list[tuple[int, TrendPoint]]] = []
    for i, point in enumerate(points):
        if point.change or not segments:
            segments.append([])
        segments[-1].append((i, point))
    return segments


def _trend_extent(chart: TrendChart) -> tuple[float, float]:
    values = [mark.value for mark in chart.boundaries]
    for point in chart.points:
        values += [x for x in (point.estimate, point.low, point.high) if x is not None]
    finite = [value for value in values if math.isfinite(value)]
    padding = 0.08 * (max(finite) - min(finite)) or 1.0
    return min(finite) - padding, max(finite) + padding


def _describe_trend(chart: TrendChart) -> str:
    n_changes = sum(point.change > 0 for point in chart.points)
    first, last = chart.points[0], chart.points[-1]
    return (
        f"{count(len(chart.points), 'run')} from {first.label} to {last.label}, "
        f"{count(n_changes, 'change')} of measurement; the last estimate is {last.estimate:.4g} "
        f"({last.verdict}). The table below has every run."
    )


# --- values against costs --------------------------------------------------------------------


def _scatter(chart: ScatterChart, chart_id: str) -> Element:
    description = "; ".join(
        f"{p.label}: {p.estimate:.4g} ({p.low:.4g} to {p.high:.4g}) at {p.x:,.4g}"
        for p in chart.points
    )
    svg = _svg(chart_id, _WIDE_WIDTH, 236, f"{chart.title}: {chart.x_title}", description)
    costs = [point.x for point in chart.points]
    logarithmic = min(costs) > 0 and max(costs) >= 10 * min(costs)
    places = [math.log10(x) if logarithmic else x for x in costs]
    around = 0.12 * (max(places) - min(places)) or 0.5
    x_axis = _Axis(min(places) - around, max(places) + around, 50, _WIDE_WIDTH - 12)
    y_axis = _Axis(min(p.low for p in chart.points), max(p.high for p in chart.points), 184, 34)
    _frame(svg, chart.title, x_axis, y_axis, y_axis.ticks(4))
    beside = sorted(zip(places, chart.points, strict=True), key=lambda pair: pair[0])
    for i, (place, point) in enumerate(beside):
        x, y = x_axis.at(place), y_axis.at(point.estimate)
        _line(svg, "interval", x, y_axis.at(point.low), x, y_axis.at(point.high))
        name = "solid" if point.filled else "hollow"
        dot = _add(svg, "circle", {"class": name, "r": "4.5"}, cx=x, cy=y)
        SubElement(dot, "title").text = point.label
        right = x > _WIDE_WIDTH - 110
        side, anchor = (-8, "end") if right else (8, "start")
        above = -5 if i % 2 == 0 else 12  # so that the labels of neighbours do not cover each other
        _text(svg, "note", x + side, y + above, _truncate(point.label, 18), anchor=anchor)
    for cost, place in {min(costs): min(places), max(costs): max(places)}.items():
        _text(svg, "tick", x_axis.at(place), 202, f"{cost:,.4g}" if cost < 1e4 else f"{cost:,.0f}", anchor="middle")  # fmt: skip
    scale = ", logarithmic" if logarithmic else ""
    _text(svg, "note", _WIDE_WIDTH - 12, 226, f"{chart.x_title}{scale}", anchor="end")
    return svg


# --- drawing ---------------------------------------------------------------------------------


class _Axis:
    """A linear scale from values to positions on the page."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def step(self, n: int) -> float:
        """Return the round distance that gives about `n` ticks."""
        raw = (self.high - self.low) / n
        power = 10.0 ** math.floor(math.log10(raw))
        return next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)

    def ticks(self, n: int) -> list[float]:
        step = self.step(n)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def print(self, value: float) -> str:
        digits = max(0, -math.floor(math.log10(self.step(6)) + 1e-9))
        return f"{int(value):,}" if value == int(value) and digits == 0 else number(value, digits)


def _svg(chart_id: str, width: float, height: float, title: str, description: str) -> Element:
    svg = Element(
        "svg",
        {
            "class": "chart",
            "role": "img",
            "viewBox": f"0 0 {width} {height}",
            "aria-labelledby": f"{chart_id}-title {chart_id}-description",
        },
    )
    SubElement(svg, "title", {"id": f"{chart_id}-title"}).text = title
    SubElement(svg, "desc", {"id": f"{chart_id}-description"}).text = description
    return svg


def _frame(svg: Element, title: str, x: _Axis, y: _Axis, levels: list[float]) -> None:
    _text(svg, "label", 4, 16, _truncate(title, 40), anchor="start")
    for level in levels:
        _line(svg, "grid", x.start, y.at(level), x.end, y.at(level))
        _text(svg, "tick", x.start - 6, y.at(level) + 4, y.print(level), anchor="end")


def _truncate(label: str, n_chars: int) -> str:
    return label if len(label) <= n_chars else f"{label[: n_chars - 1]}…"


def _add(parent: Element, tag: str, attributes: dict[str, str], **coordinates: float) -> Element:
    formatted = {name: f"{value:.1f}" for name, value in coordinates.items()}
    return SubElement(parent, tag, {**attributes, **formatted})


def _line(svg: Element, name: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return _add(svg, "line", {"class": name}, x1=x1, y1=y1, x2=x2, y2=y2)


def _bar(svg: Element, name: str, x: float, top: float, width: float, bottom: float) -> None:
    _add(svg, "rect", {"class": name, "rx": "1.5"},
         x=x, y=top, width=max(width, 0.5), height=max(bottom - top, 0))  # fmt: skip


def _text(svg: Element, name: str, x: float, y: float, text: str, *, anchor: str) -> None:
    _add(svg, "text", {"class": name, "text-anchor": anchor}, x=x, y=y).text = text
