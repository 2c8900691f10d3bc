// Baseline against candidate, item by item, in cells of equal scores; of a preference, or of a model alone, a histogram.
// A part of the plot can be dragged over, or its limits written as numbers: both set the brush.

const MOST_CELLS_A_SIDE = 24;
const PLOT = { width: 420, height: 230, left: 42, right: 12, top: 10, bottom: 34 };
const axes = new Map(); // by column and side

/** Make an element of a drawing. */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return append(element, children);
}

/** Return the cells of one axis: of each its least and greatest score, and of every item its cell or -1. */
function axisOf(column, side) {
  const key = `${column.name}\n${side}`;
  if (axes.has(key)) return axes.get(key);
  const scores = column[`${side}Scores`];
  const values = [...new Set(scores)].filter((score) => !Number.isNaN(score)).sort((a, b) => a - b);
  const byValue = values.length <= MOST_CELLS_A_SIDE;
  const low = Math.min(column.low ?? Infinity, values[0] ?? 0); // a checklist may have no least score
  const high = Math.max(column.high ?? -Infinity, values.at(-1) ?? 0);
  const n = byValue ? values.length : MOST_CELLS_A_SIDE;
  const places = new Map(values.map((value, place) => [value, place]));
  const cellOf = Int8Array.from(scores, (score) => {
    if (Number.isNaN(score)) return -1;
    return byValue ? places.get(score) : Math.min(n - 1, Math.floor((n * (score - low)) / (high - low)));
  });
  const cells = Array.from({ length: n }, () => ({ from: Infinity, to: -Infinity }));
  cellOf.forEach((cell, i) => {
    if (cell < 0) return;
    cells[cell].from = Math.min(cells[cell].from, scores[i]);
    cells[cell].to = Math.max(cells[cell].to, scores[i]);
  });
  cells.forEach((cell, place) => {
    cell.middle = byValue ? values[place] : low + ((place + 0.5) * (high - low)) / n;
  });
  const axis = { low, high, cells, cellOf };
  axes.set(key, axis);
  return axis;
}

/** Return whether the column is drawn as a histogram of the candidate's scores. */
const isHistogram = (column) => column.alone || column.kind === "preference";

/** Return functions from scores to places in the drawing. */
function scales(x, y) {
  const { width, height, left, right, top, bottom } = PLOT;
  const span = (axis) => axis.high - axis.low || 1;
  const pad = 14; // so that circles at the ends of a scale are whole
  return {
    toX: (score) => left + pad + ((score - x.low) / span(x)) * (width - left - right - 2 * pad),
    toY: (score) => height - bottom - pad - ((score - y.low) / span(y)) * (height - top - bottom - 2 * pad),
  };
}

/** Return some round scores of an axis, at which it is labelled. */
function ticks({ low, high }) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw || 1));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw) ?? 1;
  const values = [];
  for (let value = Math.ceil(low / size) * size; value <= high + size / 1000; value += size) values.push(Math.round(value / size) * size);
  return values;
}

/** Draw the plot of the state's column, or hide it. */
function drawPlot() {
  const { column } = state;
  const panel = find("#plot");
  panel.hidden = !column || axisOf(column, "candidate").cells.length === 0;
  if (panel.hidden || !panel.open) return;
  find("#limits-baseline").hidden = isHistogram(column);
  for (const end of ENDS) {
    const value = state.brush?.[end];
    find(`#${end}`).value = Number.isFinite(value) ? String(value) : "";
  }
  disableInPlace(find("#no-brush"), !state.brush);
  find("#plot svg").replaceWith(isHistogram(column) ? drawHistogram(column) : drawScatter(column));
}

/** Return the axes of a drawing with their labels. */
function drawAxes(x, y, { toX, toY }, [xLabel, yLabel]) {
  const { width, height, left, right, top, bottom } = PLOT;
  const floor = height - bottom;
  const labels = ticks(x).map((value) => draw("text", { x: toX(value), y: floor + 14, class: "tick", "text-anchor": "middle" }, shown(value)));
  const lines = y ? ticks(y).flatMap((value) => [
    draw("line", { x1: left, x2: width - right, y1: toY(value), y2: toY(value), class: "grid" }),
    draw("text", { x: left - 5, y: toY(value) + 3.5, class: "tick", "text-anchor": "end" }, shown(value)),
  ]) : [];
  return [
    ...lines,
    draw("line", { x1: left, x2: width - right, y1: floor, y2: floor, class: "axis" }),
    ...labels,
    draw("text", { x: (left + width - right) / 2, y: height - 4, class: "label", "text-anchor": "middle" }, xLabel),
    draw("text", { x: 10, y: (top + floor) / 2, class: "label", "text-anchor": "middle", transform: `rotate(-90 10 ${(top + floor) / 2})` }, yLabel),
  ];
}

/** Draw one circle for each cell: its area is the number of items. */
function drawScatter(column) {
  const [x, y] = [axisOf(column, "baseline"), axisOf(column, "candidate")];
  const size = x.cells.length * y.cells.length;
  const [inside, outside] = [new Int32Array(size), new Int32Array(size)];
  const passes = passesWithout("brush");
  let [worse, equal, better] = [0, 0, 0];
  for (let i = 0; i < N; i += 1) {
    if (x.cellOf[i] < 0 || y.cellOf[i] < 0 || !passes(i)) continue;
    const place = x.cellOf[i] * y.cells.length + y.cellOf[i];
    if (fails[i]) outside[place] += 1;
    else {
      inside[place] += 1;
      const sign = signOf(column, i);
      if (sign < 0) worse += 1;
      else if (sign > 0) better += 1;
      else equal += 1;
    }
  }
  const both = scales(x, y);
  const most = Math.max(1, ...inside, ...outside);
  const largest = Math.max(4, Math.min(11, 0.8 * smallestStep(x.cells, both.toX), 0.8 * smallestStep(y.cells, both.toY)));
  const circles = [];
  for (let place = 0; place < size; place += 1) {
    const [cellX, cellY] = [x.cells[Math.floor(place / y.cells.length)], y.cells[place % y.cells.length]];
    for (const [counts, kind] of [[outside, "outside"], [inside, signClass(cellY.middle - cellX.middle) || "equal"]]) {
      if (!counts[place]) continue;
      const title = draw("title", {}, `${column.baseline} ${shown(cellX.middle)}, ${column.candidate} ${shown(cellY.middle)}: ${counted(counts[place], "item")}`);
      circles.push(draw("circle", { cx: both.toX(cellX.middle), cy: both.toY(cellY.middle), r: Math.max(2, largest * Math.sqrt(counts[place] / most)), class: kind }, title));
    }
  }
  const [low, high] = [Math.max(x.low, y.low), Math.min(x.high, y.high)];
  const diagonal = draw("line", { x1: both.toX(low), y1: both.toY(low), x2: both.toX(high), y2: both.toY(high), class: "diagonal" });
  const words = `${column.candidate} against ${column.baseline} on ${column.metric}: ${count(worse)} worse, ${count(equal)} equal, ${count(better)} better`;
  return frame(words, drawAxes(x, y, both, [`${column.baseline} (baseline)`, `${column.candidate} (candidate)`]), diagonal, circles, drawBrush(column, both));
}

/** Return the smallest distance of neighbouring cells in the drawing. */
function smallestStep(cells, to) {
  return Math.min(...cells.slice(1).map((cell, place) => Math.abs(to(cell.middle) - to(cells[place].middle))));
}

/** Draw one bar for each cell of the candidate's scores. */
function drawHistogram(column) {
  const x = axisOf(column, "candidate");
  const [inside, outside] = [new Int32Array(x.cells.length), new Int32Array(x.cells.length)];
  const passes = passesWithout("brush");
  for (let i = 0; i < N; i += 1) if (x.cellOf[i] >= 0 && passes(i)) (fails[i] ? outside : inside)[x.cellOf[i]] += 1;
  const most = Math.max(1, ...inside.map((n, cell) => n + outside[cell]));
  const y = { low: 0, high: most };
  const both = scales(x, y);
  const width = Math.max(3, Math.min(24, (0.8 * (PLOT.width - 80)) / x.cells.length));
  const bars = x.cells.flatMap((cell, place) => {
    const kind = column.alone ? "equal" : signClass(cell.middle - 0.5) || "equal";
    const parts = [[inside[place], kind, 0], [outside[place], "outside", inside[place]]];
    return parts.filter(([n]) => n).map(([n, name, below]) => draw(
      "rect", { x: both.toX(cell.middle) - width / 2, width, y: both.toY(below + n), height: both.toY(below) - both.toY(below + n), class: name },
      draw("title", {}, `${shown(cell.middle)}: ${counted(n, "item")}`),
    ));
  });
  const wins = column.kind === "preference";
  const what = wins ? `${column.candidate}'s wins against ${column.baseline} (1 won, 0 lost)` : column.metric;
  const words = `${what}: ${x.cells.map((cell, place) => `${shown(cell.middle)} ${counted(inside[place], "item")}`).join(", ")}`;
  return frame(words, drawAxes(x, most > 1 ? y : null, both, [what, "Items"]), bars, drawBrush(column, both));
}

/** Return a drawing with a description of what it shows. */
function frame(words, ...parts) {
  return draw("svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, role: "img", "aria-label": visible(words) }, ...parts);
}

/** Return the brushed part as a rectangle, or nothing. */
function drawBrush(column, { toX, toY }) {
  if (!state.brush) return [];
  const { width, height, left, right, top, bottom } = PLOT;
  const end = (name, to, open, by) => (Number.isFinite(state.brush[name]) ? to(state.brush[name]) + by : open);
  const histogram = isHistogram(column);
  const [x1, x2] = histogram ? ["candidate_from", "candidate_to"] : ["baseline_from", "baseline_to"];
  const [fromX, toRight] = [end(x1, toX, left, -9), end(x2, toX, width - right, 9)];
  const low = histogram ? height - bottom : end("candidate_from", toY, height - bottom, 9);
  const high = histogram ? top : end("candidate_to", toY, top, -9);
  return [draw("rect", { x: fromX, y: high, width: Math.max(0, toRight - fromX), height: Math.max(0, low - high), class: "brush" })];
}

/** Return the scores between the two places of a drag along one axis; null where no cell is between them. */
function scoresBetween(axis, to, first, second) {
  const [from, until] = [Math.min(first, second) - 6, Math.max(first, second) + 6];
  const cells = axis.cells.filter(({ middle, to: greatest }) => Number.isFinite(greatest) && to(middle) >= from && to(middle) <= until);
  return cells.length ? [Math.min(...cells.map((cell) => cell.from)), Math.max(...cells.map((cell) => cell.to))] : null;
}

/** Return the brush of a drag between two points of the drawing; null clears it. */
function brushBetween(column, start, end) {
  const y = axisOf(column, "candidate");
  if (isHistogram(column)) {
    const range = scoresBetween(y, scales(y, y).toX, start.x, end.x);
    return range && { candidate_from: range[0], candidate_to: range[1] };
  }
  const x = axisOf(column, "baseline");
  const { toX, toY } = scales(x, y);
  const [across, upward] = [scoresBetween(x, toX, start.x, end.x), scoresBetween(y, toY, start.y, end.y)];
  return across && upward && { baseline_from: across[0], baseline_to: across[1], candidate_from: upward[0], candidate_to: upward[1] };
}

/** Let the plot be dragged over, and its limits be written. */
function startPlot() {
  const panel = find("#plot");
  let start = null;
  const point = (event) => {
    const box = find("#plot svg").getBoundingClientRect();
    return { x: ((event.clientX - box.left) * PLOT.width) / box.width, y: ((event.clientY - box.top) * PLOT.height) / box.height };
  };
  panel.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("svg") || event.button) return;
    start = point(event);
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = point(event);
    find("#plot .drag")?.remove();
    const [x, y] = [Math.min(start.x, end.x), Math.min(start.y, end.y)];
    find("#plot svg").append(draw("rect", { x, y, width: Math.abs(start.x - end.x), height: Math.abs(start.y - end.y), class: "brush drag" }));
  });
  document.addEventListener("pointerup", (event) => {
    if (!start) return;
    const brush = brushBetween(state.column, start, point(event));
    start = null;
    find("#plot .drag")?.remove();
    change({ brush });
  });
  document.addEventListener("pointercancel", () => { start = null; });
  panel.addEventListener("toggle", drawPlot);
  panel.addEventListener("change", () => {
    const limits = Object.fromEntries(ENDS.map((end) => [end, find(`#${end}`).value === "" ? NaN : Number(find(`#${end}`).value)]));
    change({ brush: Object.values(limits).some(Number.isFinite) ? limits : null });
  });
  find("#no-brush").addEventListener("click", () => change({ brush: null }));
}
