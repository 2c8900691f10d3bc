// What is shown, as a plain object, and its place in the address behind `#`: a link shows the same.

const SIGNS = ["worse", "equal", "better", "unscored"];
const MARKS = { // what can be asked for on top of all else, and its words
  order_dependent: "Depends on the order",
  judges_disagree: "Judges disagree",
  against_people: "Judge against people",
  critical: "Critical answer of any model",
  noted: "With a note",
};
const SORTS = ["planned", "name", "baseline", "candidate", "difference", "marks"];
const ENDS = ["baseline_from", "baseline_to", "candidate_from", "candidate_to"]; // of the brush

/** Return what is shown at first: the headline column's items, the candidate's worst first. */
function firstState() {
  const column = data.columns[data.headline] ?? null;
  return {
    column,
    models: column && !column.alone ? [column.baseline, column.candidate] : data.models.slice(0, 2),
    query: "",
    task: "",
    sign: "",
    least: 0,
    flag: "", // "any", or the place of one flag of one model in data.flags
    marks: new Set(),
    slices: new Map(), // the chosen values by the place of their slice column
    brush: null, // numbers by the names of ENDS
    sort: column ? "difference" : "planned",
    descending: false,
    item: "",
  };
}

let state = firstState();

/** Return the name by which a flag of a model stands in the address. */
const flagName = (flag) => `${flag.flag}~${flag.model}`;

/** Return the state as the part of an address behind `#`; what is as at first is left out. */
function toFragment(of = state) {
  const first = firstState();
  const parts = new URLSearchParams();
  if (of.column !== first.column) parts.set("column", of.column.name);
  if (of.models.join("\n") !== modelsOf(of.column).join("\n")) for (const model of of.models) parts.append("model", model);
  if (of.query) parts.set("q", of.query);
  if (of.task !== "") parts.set("task", data.tasks[of.task]);
  if (of.sign) parts.set("sign", of.sign);
  if (of.least) parts.set("least", of.least);
  if (of.flag !== "") parts.set("flag", of.flag === "any" ? "any" : flagName(data.flags[of.flag]));
  for (const mark of of.marks) parts.append("only", mark);
  for (const [place, values] of of.slices) {
    for (const value of values) parts.append("slice", `${data.slices[place].column}=${data.slices[place].values[value]}`);
  }
  if (of.brush) for (const end of ENDS) if (Number.isFinite(of.brush[end])) parts.set(end, of.brush[end]);
  if (of.sort !== first.sort || of.descending) parts.set("sort", `${of.descending ? "-" : ""}${of.sort}`);
  if (of.item) parts.set("item", of.item);
  return parts.toString();
}

/** Return the models that are side by side as long as nobody chooses others. */
function modelsOf(column) {
  return column && !column.alone ? [column.baseline, column.candidate] : data.models.slice(0, 2);
}

/** Read a state from the part of an address behind `#`; `unknown` lists what this file does not have. */
function fromFragment(fragment) {
  const parts = new URLSearchParams(fragment);
  const read = firstState();
  const unknown = [];
  /** Take a value by its place among known ones. */
  const take = (known, value, use) => {
    const place = known.indexOf(value);
    if (place >= 0) use(place);
    else unknown.push(value);
  };
  for (const [name, value] of parts) {
    if (name === "column") take(data.columns.map((column) => column.name), value, (place) => { read.column = data.columns[place]; });
    else if (name === "q") read.query = value;
    else if (name === "task") take(data.tasks, value, (place) => { read.task = place; });
    else if (name === "sign") take(SIGNS, value, () => { read.sign = value; });
    else if (name === "least") read.least = Math.max(0, Number(value) || 0);
    else if (name === "flag") take(["any", ...data.flags.map(flagName)], value, (place) => { read.flag = place ? place - 1 : "any"; });
    else if (name === "only") take(Object.keys(MARKS), value, () => read.marks.add(value));
    else if (name === "slice") takeSlice(value, read.slices, unknown);
    else if (ENDS.includes(name) && Number.isFinite(parseFloat(value))) read.brush = { ...read.brush, [name]: parseFloat(value) };
    else if (name === "sort") take(SORTS, value.replace("-", ""), (place) => { read.sort = SORTS[place]; read.descending = value.startsWith("-"); });
    else if (name === "item") take(data.anchors, value, () => { read.item = value; });
    else if (name !== "model") unknown.push(name);
  }
  read.models = modelsOf(read.column);
  const models = parts.getAll("model");
  if (models.length) {
    unknown.push(...models.filter((model) => !data.models.includes(model)));
    read.models = data.models.filter((model) => models.includes(model));
  }
  return { read, unknown };
}

function takeSlice(text, slices, unknown) {
  for (const [place, { column, values }] of data.slices.entries()) {
    const value = text.startsWith(`${column}=`) ? values.indexOf(text.slice(column.length + 1)) : -1;
    if (value >= 0) {
      slices.set(place, (slices.get(place) ?? new Set()).add(value));
      return;
    }
  }
  unknown.push(text);
}

/** Write the state into the address, so that it can be copied, without a new step of the browser's history. */
function writeAddress() {
  const fragment = toFragment();
  if (fragment === location.hash.slice(1)) return;
  history.replaceState(null, "", `#${fragment}`);
}
