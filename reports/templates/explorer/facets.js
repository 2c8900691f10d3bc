// The filters beside the list. Each choice shows how many items it would leave, and each value of a slice how its
// items are distributed: worse, equal, better.

const FEW_VALUES = 8; // of a slice, which are in sight at once
const MOST_VALUES = 300; // of a slice, which can be chosen

/** Return a choice with its number of items: an input inside its label. */
function makeChoice(type, name, value, words) {
  const input = make("input", { type, name, value });
  return make("label", { className: "choice" }, input, make("span", {}, words), make("small", { className: "n" }));
}

/** Return the select of score columns; those of several candidates are grouped by them. */
function makeColumnSelect() {
  const pairs = new Map();
  data.columns.forEach((column, place) => {
    const pair = `${column.candidate} against ${column.baseline}`;
    pairs.set(pair, [...(pairs.get(pair) ?? []), make("option", { value: String(place) }, column.metric)]);
  });
  const groups = pairs.size > 1 ? [...pairs].map(([label, options]) => make("optgroup", { label }, options)) : [...pairs.values()];
  return make("select", { id: "column" }, groups);
}

/** Return a heading with what belongs to it. */
function makeGroup(words, ...content) {
  return make("fieldset", {}, make("legend", {}, words), ...content);
}

/** Return the values of a slice as choices, the most frequent ones first, with the rest folded. */
function makeSlice(place) {
  const { column, values, of } = data.slices[place];
  const frequency = new Map();
  for (const value of of) if (value >= 0) frequency.set(value, (frequency.get(value) ?? 0) + 1);
  const sorted = [...frequency.keys()].sort((a, b) => frequency.get(b) - frequency.get(a)).slice(0, MOST_VALUES);
  const choices = sorted.map((value) => {
    const choice = makeChoice("checkbox", `slice-${place}`, String(value), shortName(values[value]));
    choice.append(make("span", { className: "bar", ariaHidden: "true" }, make("i", { className: "worse" }), make("i", { className: "equal" }), make("i", { className: "better" })));
    return choice;
  });
  const rest = choices.slice(FEW_VALUES);
  const more = rest.length ? make("details", {}, make("summary", {}, `${count(rest.length)} more`), rest) : null;
  const left = frequency.size - sorted.length;
  const note = left > 0 ? make("p", { className: "small" }, `${count(left)} rarer values are not listed; search finds items, and the tables have all.`) : null;
  const group = makeGroup(column, choices.slice(0, FEW_VALUES), more, note);
  group.dataset.slice = place;
  return group;
}

/** Return the select of flags. */
function makeFlagSelect() {
  const options = data.flags.map(({ flag, model, items }, place) => make("option", { value: String(place) }, `${flagWords(flag)} · ${model} (${count(items.length)})`));
  return make("select", { id: "flag", ariaLabel: "Flag" }, make("option", { value: "" }, "With and without flags"), make("option", { value: "any" }, "Any flag"), options);
}

/** Return whether anything in this file can have the mark. */
function canOccur(mark) {
  if (mark === "noted") return true;
  if (mark === "critical") return data.critical.length > 0;
  return data.columns.some((column) => column[mark].includes(1));
}

/** Make the filters that this file has any use for. */
function makeFacets() {
  const groups = [];
  if (data.columns.length) groups.push(makeGroup("Score", make("label", { className: "unseen", htmlFor: "column" }, "Score column"), makeColumnSelect()));
  if (hasTasks) {
    const options = data.tasks.map((task, place) => make("option", { value: String(place) }, task));
    groups.push(makeGroup("Task", make("select", { id: "task", ariaLabel: "Task" }, make("option", { value: "" }, "All tasks"), options)));
  }
  if (data.columns.length) {
    const signs = ["", ...SIGNS].map((sign) => makeChoice("radio", "sign", sign, sign ? sign[0].toUpperCase() + sign.slice(1) : "All"));
    const least = make("label", { className: "least" }, "By at least ", make("input", { id: "least", type: "number", min: "0", step: "any" }));
    groups.push(make("fieldset", { id: "signs" }, make("legend", {}, "Difference"), signs, least));
  }
  const marks = Object.entries(MARKS).filter(([mark]) => canOccur(mark)).map(([mark, words]) => makeChoice("checkbox", "only", mark, words));
  groups.push(makeGroup("Only", marks, data.flags.length ? makeFlagSelect() : null));
  groups.push(...data.slices.map((_, place) => makeSlice(place)));
  fill(find("#facets"), groups);
}

/** Show the state in the filters, and the number of items beside each choice. */
function drawFacets() {
  const { column } = state;
  const set = (selector, value) => { const field = find(selector); if (field) field.value = value; };
  set("#column", String(data.columns.indexOf(column)));
  set("#task", String(state.task));
  set("#flag", String(state.flag));
  set("#least", state.least ? String(state.least) : "");
  for (const input of document.querySelectorAll("#facets [name=sign]")) {
    input.checked = input.value === state.sign;
    const test = input.value ? signTest(input.value, column) : () => true;
    fill(input.parentElement.querySelector(".n"), count(countWith("sign", test)));
    input.parentElement.hidden = Boolean(column?.alone) && ["worse", "equal", "better"].includes(input.value);
  }
  find(".least")?.toggleAttribute("hidden", Boolean(column?.alone));
  for (const input of document.querySelectorAll("#facets [name=only]")) {
    input.checked = state.marks.has(input.value);
    fill(input.parentElement.querySelector(".n"), count(countWith(input.value, markTest(input.value, column))));
  }
  data.slices.forEach((_, place) => drawSlice(place));
  disableInPlace(find("#clear"), groups.length === 0);
}

/** Draw the distribution of one slice's values over worse, equal and better. */
function drawSlice(place) {
  const { values, of } = data.slices[place];
  const passes = passesWithout(`slice ${place}`);
  const counts = values.map(() => [0, 0, 0, 0]); // worse, equal, better, without a difference
  const { column } = state;
  for (let i = 0; i < N; i += 1) {
    if (of[i] < 0 || !passes(i)) continue;
    const sign = column && !column.alone ? signOf(column, i) : NaN;
    counts[of[i]][Number.isNaN(sign) ? 3 : sign + 1] += 1;
  }
  const most = Math.max(1, ...counts.map((parts) => parts.reduce((a, b) => a + b)));
  for (const input of document.querySelectorAll(`#facets [name="slice-${place}"]`)) {
    const parts = counts[Number(input.value)];
    const total = parts.reduce((a, b) => a + b);
    input.checked = Boolean(state.slices.get(place)?.has(Number(input.value)));
    fill(input.parentElement.querySelector(".n"), count(total));
    const [worse, equal, better] = parts;
    input.parentElement.title = column && !column.alone ? `${worse} worse, ${equal} equal, ${better} better` : "";
    [...input.parentElement.querySelector(".bar").children].forEach((part, k) => { part.style.width = `${(100 * parts[k]) / most}%`; });
  }
}

/** Return the chosen values of a slice after a change of one of its boxes. */
function sliceChoice(place) {
  const chosen = [...document.querySelectorAll(`#facets [name="slice-${place}"]:checked`)].map((input) => Number(input.value));
  const slices = new Map(state.slices);
  if (chosen.length) slices.set(place, new Set(chosen));
  else slices.delete(place);
  return slices;
}

/** Let the filters react. */
function startFacets() {
  find("#facets").addEventListener("change", ({ target }) => {
    if (target.id === "column") changeColumn(data.columns[target.value]);
    else if (target.id === "task") changeTask(target.value === "" ? "" : Number(target.value));
    else if (target.id === "flag") change({ flag: ["", "any"].includes(target.value) ? target.value : Number(target.value) });
    else if (target.id === "least") change({ least: Math.max(0, Number(target.value) || 0) });
    else if (target.name === "sign") change({ sign: target.value });
    else if (target.name === "only") {
      const marks = [...document.querySelectorAll("#facets [name=only]:checked")].map((input) => input.value);
      change({ marks: new Set(marks) });
    } else if (target.name.startsWith("slice-")) change({ slices: sliceChoice(Number(target.name.slice("slice-".length))) });
  });
  find("#clear").addEventListener("click", clearFilters);
}

/** Show another column, with its models side by side; a filter by another task would leave nothing of it. */
function changeColumn(column) {
  const task = state.task === column.task ? state.task : "";
  const sort = column.alone && ["baseline", "difference"].includes(state.sort) ? "candidate" : state.sort;
  change({ column, task, sort, brush: null, models: modelsOf(column) });
}

/** Show the items of one task, by a score of it. */
function changeTask(task) {
  const own = data.columns.find((column) => column.task === task);
  if (task !== "" && own && state.column?.task !== task) changeColumn(own);
  change({ task });
}

/** Show all items again; the column, the order and the selected item stay. */
function clearFilters() {
  const first = firstState();
  for (const key of ["column", "models", "sort", "descending", "item"]) first[key] = state[key];
  find("#search").value = first.query;
  change(first);
  showStatus("All filters are cleared.");
}
