// Joins the parts: a change of the state filters, draws, and writes the address.

/** Filter and draw all but the item. */
function refresh(keepPlace = false) {
  filterItems();
  drawFacets();
  drawPlot();
  drawList(keepPlace);
  drawCount();
  writeAddress();
}

/** Say how many items are shown. */
function drawCount() {
  const reading = searchedParts < data.parts.length && state.query.trim() ? `; ${Math.round((100 * searchedParts) / data.parts.length)} % of the texts are searched so far` : "";
  const text = shownItems.length === N ? counted(N, "item") : `${count(shownItems.length)} of ${counted(N, "item")}`;
  if (find("#count").textContent !== text + reading) fill(find("#count"), text + reading);
}

/** Change the state and show it. */
function change(changes) {
  const before = state;
  state = { ...state, ...changes };
  refresh();
  const place = shownItems.indexOf(itemOf.get(state.item));
  if (place >= 0) scrollToRow(place);
  drawRows();
  const redraws = ["column", "models", "query"].some((key) => before[key] !== state[key]);
  if (redraws || find("#item h2")) drawItem();
}

/** Show what the address says. */
function readAddress() {
  const { read, unknown } = fromFragment(location.hash.slice(1));
  state = read;
  find("#search").value = state.query;
  refresh();
  const i = itemOf.get(state.item);
  if (i === undefined) drawItem();
  else {
    document.body.classList.add("reading");
    select(i);
  }
  if (unknown.length) showStatus(`The link asks for what this file does not have, and that is left out: ${unknown.slice(0, 5).join(", ")}.`, true);
}

/** Read all texts for the search, part by part, whenever the browser has nothing else to do. */
function searchWhenIdle() {
  const later = globalThis.requestIdleCallback ?? ((callback) => setTimeout(callback, 30));
  const next = async () => {
    try {
      const more = await readForSearch();
      if (state.query.trim() && (!more || searchedParts % 8 === 0)) {
        refresh(true);
        drawItemHead();
      }
      if (more) later(next);
      else document.body.dataset.searchable = "all";
    } catch (error) {
      showStatus(`Not all texts can be searched: ${error.message}`, true);
    }
  };
  later(next);
}

/** Let the search react, a moment after the last key. */
function startSearch() {
  const field = find("#search");
  let waiting = null;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ query: field.value }), 120);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    clearTimeout(waiting);
    change({ query: field.value });
    find("#list").focus({ preventScroll: true });
    if (shownItems.length && !shownItems.includes(itemOf.get(state.item))) select(shownItems[0]);
  });
}

/** Let dialogs be opened and closed. */
function startDialogs() {
  find("#export-button").addEventListener("click", openExport);
  find("#notes-button").addEventListener("click", () => find("#notes-dialog").showModal());
  find("#help-button").addEventListener("click", () => find("#help").showModal());
  find("#filters-button").addEventListener("click", () => toggleFilters());
  find("#filters-done").addEventListener("click", () => { toggleFilters(false); find("#filters-button").focus(); });
  for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());
}

recallNotes();
makeFacets();
startFacets();
startPlot();
startList();
startSearch();
startNotes();
startExport();
startKeys();
startDialogs();
readAddress();
addEventListener("hashchange", readAddress);
searchWhenIdle();
