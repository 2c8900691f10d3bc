// Single keys. The page also works without them, with Tab and Enter, and they can be turned off.

const KEYS = {
  j: ["Next item", () => step(1)],
  k: ["Previous item", () => step(-1)],
  o: ["Go to the item's texts", () => state.item && openItem(itemOf.get(state.item))],
  "/": ["Search", () => find("#search").focus()],
  n: ["Write a note on the item", () => { find("#note")?.focus(); }],
  w: ["Only items that got worse, or all", () => toggleSign("worse")],
  b: ["Only items that got better, or all", () => toggleSign("better")],
  m: ["Next score", () => stepColumn(1)],
  r: ["Turn the order round", () => change({ descending: !state.descending })],
  d: ["Mark words that differ, or not", () => { marksDifferences = !marksDifferences; drawItem(); }],
  f: ["Filters", () => showFilters()],
  x: ["Clear all filters", () => clearFilters()],
  l: ["Copy the link", () => copyLink()],
  e: ["Export what is shown", () => openExport()],
  "?": ["These keys", () => find("#help").showModal()],
};
const keysAreOn = () => recall("explorer keys") !== "off" && find("#keys-switch").checked;

/** Filter by a sign, or take the filter back. */
function toggleSign(sign) {
  if (state.column && !state.column.alone) change({ sign: state.sign === sign ? "" : sign });
}

/** Show the column so many places further. */
function stepColumn(by) {
  const n = data.columns.length;
  if (n) changeColumn(data.columns[(data.columns.indexOf(state.column) + by + n) % n]);
}

/** Go to the filters, which a narrow page has folded. */
function showFilters() {
  toggleFilters(true);
  find("#facets select, #facets input")?.focus();
}

/** Leave a field, or go back to the list. */
function escape(event) {
  if (find("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) find("#list").focus({ preventScroll: true });
  else if (document.body.classList.contains("filtering")) toggleFilters(false);
  else closeItem();
}

/** Fold or unfold the filters of a narrow page. */
function toggleFilters(open) {
  document.body.classList.toggle("filtering", open);
  find("#filters-button").setAttribute("aria-expanded", String(document.body.classList.contains("filtering")));
}

/** Let keys act. */
function startKeys() {
  const rows = Object.entries(KEYS).map(([key, [words]]) => make("div", {}, make("dt", {}, make("kbd", {}, key.toUpperCase())), make("dd", {}, words)));
  const others = [["↑ ↓", "In the list: previous and next item"], ["Enter", "In the list: go to the item's texts"], ["Esc", "Back to the list"]];
  fill(find("#keys"), rows, others.map(([key, words]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, words))));
  const box = find("#keys-switch");
  box.checked = recall("explorer keys") !== "off";
  box.addEventListener("change", () => { remember("explorer keys", box.checked ? "on" : "off"); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      escape(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !keysAreOn() || find("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    const key = KEYS[event.key.toLowerCase()];
    if (!key) return;
    event.preventDefault();
    key[1]();
  });
}
