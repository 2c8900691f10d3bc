// What is shown, as files: CSV for spreadsheets, JSON, and preference pairs that `method: given_pairs` reads.

// A spreadsheet reads a cell that starts so as a formula, and models wrote these texts (as harness/artifacts/csv_export.py).
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

/** Return the run's name as the part of a file's name. */
const fileName = () => data.run.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, 60) || "run";

/** Return a value as a cell of CSV: a text that looks like a formula gets an apostrophe, a number stays one. */
function csvCell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return the scores of an item on one column as an object. */
function scoreRow(column, i) {
  const or = (value) => (Number.isNaN(value) ? null : value);
  return {
    metric: column.metric,
    baseline: column.baseline,
    candidate: column.candidate,
    baseline_score: or(column.baselineScores[i]),
    candidate_score: or(column.candidateScores[i]),
    difference: or(column.differences[i]),
    reason: column.reasons[i] ?? null,
    order_dependent: Boolean(column.order_dependent[i]),
    judges_disagree: Boolean(column.judges_disagree[i]),
    people: column.people[i] ?? null,
  };
}

/** Return an item's values in the slices. */
const sliceValues = (i) => Object.fromEntries(data.slices.filter(({ of }) => of[i] >= 0).map(({ column, values, of }) => [column, values[of[i]]]));

/** Return a model's flags on an item. */
const flagsOf = (i, model) => data.flags.filter((flag) => flag.model === model && flag.mask[i]).map((flag) => flag.flag);

/** Return the rows of the CSV file: the heading, then the shown items in their order. */
async function csvRows() {
  const { column, models } = state;
  const slices = data.slices.map((slice) => slice.column);
  const scores = column ? ["metric", "baseline", "candidate", "baseline_score", "candidate_score", "difference", "reason", "order_dependent", "judges_disagree", "people"] : [];
  const rows = [["task", "sample_id", "input", ...scores, "critical", ...slices.map((name) => `item.${name}`), ...models.flatMap((model) => [`answer.${model}`, `flags.${model}`]), "note"]];
  const all = await readAllTexts(shownItems);
  for (const i of shownItems) {
    const texts = all.get(i);
    const values = sliceValues(i);
    const score = column ? scoreRow(column, i) : {};
    const critical = data.critical.filter((rule) => rule.mask[i]).map(({ rule, model }) => `${rule}: ${model}`);
    rows.push([
      data.tasks[data.task[i]], data.ids[i], texts.input, ...scores.map((name) => (typeof score[name] === "boolean" ? String(score[name]) : score[name])),
      critical.join("; "), ...slices.map((name) => values[name]),
      ...models.flatMap((model) => [texts.answers.find((answer) => answer.model === model)?.text, flagsOf(i, model).join("; ")]),
      notes.get(data.anchors[i])?.note,
    ]);
  }
  return rows;
}

/** Save the shown items as CSV, with the byte order mark without which spreadsheets take UTF-8 for another code. */
async function saveCsv() {
  const rows = await csvRows();
  saveFile(`\ufeff${rows.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`, "text/csv", `items-${fileName()}.csv`);
  return `Saved ${counted(rows.length - 1, "item")} to items-${fileName()}.csv. Texts that a spreadsheet would read as formulas begin with an apostrophe.`;
}

/** Save the shown items as JSON, with everything that this file has of them. */
async function saveJson() {
  const items = [];
  const all = await readAllTexts(shownItems);
  for (const i of shownItems) {
    const { cut, ...texts } = all.get(i);
    items.push({
      task: data.tasks[data.task[i]],
      sample_id: data.ids[i],
      anchor: data.anchors[i],
      ...texts,
      texts_are_cut: cut,
      scores: data.columns.filter((column) => column.task === data.task[i]).map((column) => scoreRow(column, i)),
      slices: sliceValues(i),
      flags: Object.fromEntries(data.models.map((model) => [model, flagsOf(i, model)])),
      critical: data.critical.filter((rule) => rule.mask[i]).map(({ rule, model }) => ({ rule, model })),
      note: notes.get(data.anchors[i])?.note ?? null,
    });
  }
  const file = { format: "items of a run", version: 1, run: data.run, title: data.title, shown: toFragment(), items };
  saveFile(JSON.stringify(file, null, 1), "application/json", `items-${fileName()}.json`);
  return `Saved ${counted(items.length, "item")} to items-${fileName()}.json.`;
}

/** Return the preference pair of an item, or the reason why it is none, as harness/data/preference_pairs.py would. */
function pairOf(i, texts, column) {
  const difference = column.differences[i];
  if (Number.isNaN(difference)) return "unscored";
  if (column.order_dependent[i]) return "dependent on the order";
  if (difference === 0) return "tied";
  const [better, worse] = difference > 0 ? [column.candidate, column.baseline] : [column.baseline, column.candidate];
  const [chosen, rejected] = [better, worse].map((model) => texts.answers.find((answer) => answer.model === model)?.text ?? "");
  if (!chosen.trim() || !rejected.trim()) return "without an answer";
  if (chosen.trim() === rejected.trim()) return "identical";
  const flag = flagsOf(i, better)[0];
  if (flag) return `chosen with ${flagWords(flag)}`;
  if (texts.cut) return "too long for this file";
  const turns = texts.history.map(([role, content]) => ({ role, content }));
  const system = data.systems[data.task[i]];
  const prompt = system && turns[0]?.role !== "system" ? [{ role: "system", content: system }, ...turns] : turns;
  return { sample_id: data.ids[i], prompt: [...prompt, { role: "user", content: texts.input }], chosen, rejected, source: "given" };
}

/** Save the shown items as preference pairs by the column's scores, one JSON object a line. */
async function savePairs() {
  const { column } = state;
  const pairs = [];
  const dropped = new Map();
  const all = await readAllTexts(shownItems);
  for (const i of shownItems) {
    const pair = pairOf(i, all.get(i), column);
    if (typeof pair === "string") dropped.set(pair, (dropped.get(pair) ?? 0) + 1);
    else pairs.push(pair);
  }
  const left = [...dropped].map(([reason, n]) => `${count(n)} ${reason}`).join(", ");
  const said = left ? ` Left out: ${left}.` : "";
  if (!pairs.length) return `No item shown makes a pair.${said}`;
  const name = `pairs-${fileName()}.jsonl`;
  saveFile(pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""), "application/jsonl", name);
  return `Saved ${counted(pairs.length, "pair")} to ${name}, the better answer by ${column.metric} as chosen.${said}`;
}

/** Let what is shown be saved. */
function startExport() {
  const kinds = { "save-csv": saveCsv, "save-json": saveJson, "save-pairs": savePairs };
  for (const [id, save] of Object.entries(kinds)) {
    find(`#${id}`).addEventListener("click", async () => {
      try {
        showStatus("Reading the texts …");
        showStatus(await save());
      } catch (error) {
        showStatus(`Nothing was saved: ${error.message}`, true);
      }
      find("#export").close();
    });
  }
}

/** Say in the dialog what would be saved. */
function openExport() {
  const { column } = state;
  fill(find("#export-what"), `The ${counted(shownItems.length, "item")} shown, in their order.`);
  find("#save-pairs").disabled = !column || column.alone;
  fill(find("#pairs-what"), !column || column.alone ? "Pairs need two models that are compared." : `Chosen and rejected by ${column.metric}, ${column.candidate} against ${column.baseline}. Items that are tied, unscored or dependent on the order make no pair, nor does a better answer with a flag.`);
  find("#export").showModal();
}
