// The list of the shown items, of which only the rows in sight are elements.

const ROW = 50; // pixels, as in explorer.css
const SPARE_ROWS = 8; // above and below those in sight

/** Return the marks of an item in words: [word, longer words]. */
function marksOf(i, column) {
  const marks = [];
  const models = [...new Set(data.critical.filter((rule) => rule.mask[i]).map((rule) => rule.model))];
  if (models.length) marks.push(["critical", `Critical answer of ${models.join(", ")}`]);
  const flags = data.flags.filter((flag) => flag.mask[i]);
  if (flags.length) marks.push(["flagged", flags.map(({ flag, model }) => `${flagWords(flag)}: ${model}`).join(", ")]);
  if (column?.order_dependent[i]) marks.push(["order", MARKS.order_dependent]);
  if (column?.judges_disagree[i]) marks.push(["judges", MARKS.judges_disagree]);
  if (column?.against_people[i]) marks.push(["people", MARKS.against_people]);
  if (notes.has(data.anchors[i])) marks.push(["note", MARKS.noted]);
  return marks;
}

/** Return a flag as words. */
const flagWords = (flag) => flag.replaceAll("_", " ");

/** Return marks as small labels. */
const markLabels = (marks) => marks.map(([word, longer]) => make("span", { className: `mark ${word}`, title: longer }, word));

/** Return the class by which a difference is coloured. */
function signClass(difference) {
  return difference < 0 ? "worse" : difference > 0 ? "better" : "";
}

/** Return the list's columns: [what it sorts by, its heading]. */
function listColumns({ column }) {
  if (!column) return [["name", "Item"]];
  if (column.alone) return [["name", "Item"], ["candidate", "Score"]];
  return [["name", "Item"], ["baseline", column.baseline], ["candidate", column.candidate], ["difference", "Difference"]];
}

/** Return one row of the list. */
function makeRow(place) {
  const i = shownItems[place];
  const { column } = state;
  const cell = (role, ...content) => make("div", { role }, ...content);
  const cells = listColumns(state).slice(1).map(([key]) => {
    if (key !== "difference") return cell("gridcell", shown(column[`${key}Scores`][i]));
    const difference = make("b", { className: signClass(column.differences[i]) }, signed(column.differences[i]));
    return cell("gridcell", difference);
  });
  const name = cell(
    "rowheader",
    make("span", { className: "name" }, data.ids[i]),
    make("span", { className: "marks" }, markLabels(marksOf(i, column))),
    make("span", { className: "question" }, data.questions[i]),
  );
  const row = make("div", { role: "row", id: `row-${i}`, className: "row", ariaRowIndex: String(place + 2) }, name, ...cells);
  row.setAttribute("aria-selected", String(data.anchors[i] === state.item));
  row.style.transform = `translateY(${place * ROW}px)`;
  row.dataset.item = i;
  return row;
}

/** Draw the rows in sight. */
function drawRows() {
  const list = find("#list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE_ROWS);
  const last = Math.min(shownItems.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE_ROWS);
  const rows = [];
  for (let place = first; place < last; place += 1) rows.push(makeRow(place));
  find("#rows").replaceChildren(...rows);
  const selected = itemOf.get(state.item);
  if (selected !== undefined && document.getElementById(`row-${selected}`)) list.setAttribute("aria-activedescendant", `row-${selected}`);
  else list.removeAttribute("aria-activedescendant");
}

/** Draw the headings, by which the list is sorted; the focus stays on the one that has it. */
function drawHeadings() {
  const focused = find("#headings button:focus")?.dataset.sort;
  const headings = listColumns(state).map(([key, heading]) => {
    const button = make("button", { type: "button", title: `Sort by ${heading}` }, heading);
    button.dataset.sort = key;
    const cell = make("div", { role: "columnheader" }, button);
    if (state.sort === key) cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    return cell;
  });
  fill(find("#headings"), headings);
  if (focused) (find(`#headings [data-sort="${focused}"]`) ?? find("#list")).focus({ preventScroll: true });
  find("#list").dataset.columns = headings.length;
}

/** Show by what the list is sorted, also by what it has no heading for. */
function drawSort() {
  const names = new Map([...listColumns(state), ["marks", "Marks"], ["planned", "The run's order"]]);
  const options = [...names].map(([key, words]) => make("option", { value: key, selected: key === state.sort }, words));
  fill(find("#sort"), options);
}

/** Draw the whole list from its top, or from where it was. */
function drawList(keepPlace) {
  const list = find("#list");
  drawHeadings();
  drawSort();
  find("#rows").style.height = `${shownItems.length * ROW}px`;
  list.setAttribute("aria-rowcount", String(shownItems.length + 1));
  find("#nothing").hidden = shownItems.length > 0;
  if (!keepPlace) list.scrollTop = 0;
  drawRows();
}

/** Scroll as far as is needed to see the row at this place. */
function scrollToRow(place) {
  const list = find("#list");
  const head = find("#headings").offsetHeight;
  const [top, height] = [place * ROW, list.clientHeight - head];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + height) list.scrollTop = top + ROW - height;
}

/** Sort by a heading; by the same one again in the other direction. */
function sortBy(key) {
  const again = state.sort === key;
  change({ sort: key, descending: again ? !state.descending : false });
}

/** Select the item so many places further in the list. */
function step(by) {
  if (!shownItems.length) return;
  const place = shownItems.indexOf(itemOf.get(state.item)); // -1 where it is not among them
  select(shownItems[Math.min(shownItems.length - 1, Math.max(0, place + by))]);
}

/** Let the list react to mouse, touch and keys. */
function startList() {
  const list = find("#list");
  let waiting = false;
  list.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawRows(); });
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (button) {
      sortBy(button.dataset.sort);
      return;
    }
    const row = event.target.closest(".row");
    if (row) openItem(Number(row.dataset.item));
  });
  list.addEventListener("keydown", (event) => {
    if (event.target !== list || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -N, End: N };
    if (event.key in steps) step(steps[event.key]);
    else if (event.key === "Enter" && state.item) openItem(itemOf.get(state.item));
    else return;
    event.preventDefault();
  });
  find("#sort").addEventListener("change", ({ target }) => change({ sort: target.value, descending: false }));
  new ResizeObserver(drawRows).observe(list);
}
