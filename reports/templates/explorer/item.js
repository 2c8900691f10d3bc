// The selected item: question, scores, answers side by side with the words that differ, judgements, and a note.

let marksDifferences = true; // whether differing words are marked
const openFolds = new Set(["Reference"]); // the folds that people opened stay open from item to item
let drawn = 0; // counts drawings, so that texts that come late do not replace later ones

/** Return a block of text as it is, with its heading. */
function textBlock(heading, text, words = []) {
  const block = make("pre", { className: "text", dir: "auto", tabIndex: -1 });
  return make("section", { className: "block" }, heading && make("h3", {}, heading), appendFound(block, text, words));
}

/** Return a fold that remembers whether it was open on the last item. */
function makeFold(name, words, ...content) {
  const fold = make("details", { open: openFolds.has(name) }, make("summary", {}, words), ...content);
  fold.addEventListener("toggle", () => (fold.open ? openFolds.add(name) : openFolds.delete(name)));
  return fold;
}

/** Return the speaker of a turn as people read it. */
const speaker = (role) => (role === "system" ? "System prompt" : role[0].toUpperCase() + role.slice(1));

/** Return the scores of an item on every column of its task. */
function scoreTable(i) {
  const columns = data.columns.filter((column) => column.task === data.task[i]);
  if (!columns.length) return null;
  const several = new Set(columns.map((column) => column.candidate)).size > 1;
  const alone = columns.every((column) => column.alone);
  const first = columns[0];
  const headings = alone ? ["Score", first.candidate] : ["Score", several ? "Baseline" : first.baseline, several ? "Candidate" : first.candidate, "Difference"];
  const rows = columns.map((column) => {
    const name = column.metric + (several ? ` · ${column.candidate} against ${column.baseline}` : "");
    const button = make("button", { type: "button", className: "link", id: `score-${data.columns.indexOf(column)}`, title: "Show this score in the list" }, name);
    button.addEventListener("click", () => changeColumn(column));
    const cell = (text, className = "") => make("td", { className: `r ${className}` }, text);
    const difference = column.differences[i];
    const scores = column.alone
      ? [cell(shown(column.candidateScores[i]))]
      : [cell(shown(column.baselineScores[i])), cell(shown(column.candidateScores[i])), cell(signed(difference), signClass(difference))];
    const words = [];
    if (column.reasons[i]) words.push(`unscored: ${column.reasons[i]}`);
    if (column.order_dependent[i]) words.push("depends on the order");
    if (column.judges_disagree[i]) words.push(`judges ${shown(column.judge_spreads[i] ?? 0)} apart`);
    if (i in column.people) words.push(`people: ${signed(column.people[i])}`);
    const row = make("tr", {}, make("th", { scope: "row" }, button), scores, make("td", { className: "soft" }, words.join(" · ")));
    row.classList.toggle("chosen", column === state.column);
    return row;
  });
  const head = make("tr", {}, headings.map((heading, k) => make("th", { scope: "col", className: k ? "r" : "" }, heading)), make("td"));
  return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Scores" }, make("table", {}, make("thead", {}, head), make("tbody", {}, rows)));
}

/** Return the choice of models that are side by side. */
function modelChoice() {
  const inputs = data.models.map((model, place) => make("input", { type: "checkbox", name: "model", id: `model-${place}`, checked: state.models.includes(model) }));
  const boxes = inputs.map((input, place) => make("label", { className: "choice" }, input, make("span", {}, data.models[place])));
  const marked = make("input", { type: "checkbox", id: "marks-differences", checked: marksDifferences });
  const switchLabel = make("label", { className: "choice" }, marked, make("span", {}, "Mark words that differ"));
  const box = make("fieldset", { id: "models" }, make("legend", {}, "Side by side"), data.models.length > 1 ? boxes : [], data.models.length > 1 ? switchLabel : null);
  box.addEventListener("change", ({ target }) => {
    if (target === marked) marksDifferences = marked.checked;
    else state.models = data.models.filter((_, place) => inputs[place].checked);
    writeAddress();
    drawItem();
  });
  return box;
}

/** Return the answers of the chosen models; words that differ from the first one's are marked. */
function answerGrid(i, texts, words) {
  const answers = state.models.map((model) => texts.answers.find((answer) => answer.model === model)).filter(Boolean);
  const first = answers[0];
  let tooLong = false;
  const blocks = answers.map((answer) => {
    const flags = data.flags.filter((flag) => flag.model === answer.model && flag.mask[i]).map((flag) => ["flagged", flagWords(flag.flag)]);
    const rules = data.critical.filter((rule) => rule.model === answer.model && rule.mask[i]).map((rule) => ["critical", `critical: ${rule.rule}`]);
    const labels = [...rules, ...flags].map(([kind, text]) => make("span", { className: `mark ${kind}` }, text));
    const heading = make("h3", {}, answer.model, ...labels);
    const text = make("pre", { className: "text", dir: "auto" });
    if (answer.text === null) append(text, [make("em", {}, answer.note)]);
    else {
      const other = answer === first ? answers[1] : first;
      const compares = marksDifferences && other && other !== answer && other.text !== null;
      const compared = compares ? compareWords(first.text, answer === first ? other.text : answer.text) : null;
      tooLong ||= compares && compared === null;
      if (compared) appendPieces(text, compared[answer === first ? 0 : 1], words, answer === first ? "del" : "ins");
      else appendFound(text, answer.text, words);
    }
    const thoughts = answer.thoughts ? makeFold("Thoughts", "Thoughts", appendFound(make("pre", { className: "text", dir: "auto" }), answer.thoughts, words)) : null;
    const note = answer.text !== null && answer.note ? make("p", { className: "small" }, answer.note) : null;
    return make("section", { className: "answer" }, heading, text, note, thoughts, passageFold(answer.passages, words));
  });
  const grid = make("div", { className: "answers" }, blocks);
  grid.style.setProperty("--models", String(Math.max(1, blocks.length)));
  const note = tooLong ? "These answers are too long to mark the words that differ." : answers.length ? "" : "No model is chosen.";
  return [grid, note ? make("p", { className: "small" }, note) : null];
}

/** Return the passages that stood in a model's prompt; null for a model that retrieves none. */
function passageFold(passages, words) {
  if (!passages) return null;
  const blocks = passages.map(({ id, text }, place) => textBlock(`${place + 1}. ${shortName(id)}`, text, words));
  return makeFold("Passages", `Passages in its prompt: ${passages.length || "none was found"}`, blocks);
}

/** Append the pieces of a comparison; those that differ are marked by element, colour and underline. */
function appendPieces(parent, pieces, words, tag) {
  for (const [piece, differs] of pieces) appendFound(differs ? parent.appendChild(make(tag)) : parent, piece, words);
}

/** Return the judgements of an item. */
function judgementList(texts, words) {
  const rows = texts.judgements.map(({ judge, metric, subject, verdict, explanation }) => make(
    "div", { className: "judgement" },
    make("p", {}, make("b", {}, verdict), " ", make("span", { className: "soft" }, `${metric} · ${subject} · ${judge}`)),
    explanation ? appendFound(make("p", { className: "reason", dir: "auto" }), explanation, words) : null,
  ));
  return rows.length ? make("section", { className: "block" }, make("h3", {}, "Judgements"), rows) : null;
}

/** Return the address of an item's own page beside this file, as `page_of` in reports/items.py. */
const pageOf = (anchor) => `items/${anchor.slice(-8, -6)}.html#${encodeURIComponent(anchor)}`;

/** Return the heading of an item with the way to its neighbours, its place and its link. */
function itemHead(i) {
  const place = shownItems.indexOf(i);
  const where = place < 0 ? "Not among the items shown" : `${count(place + 1)} of ${count(shownItems.length)}`;
  const button = (id, words, action, disabled = false) => {
    const made = make("button", { type: "button", id, disabled }, words);
    made.addEventListener("click", action);
    return made;
  };
  const slices = data.slices.filter(({ of }) => of[i] >= 0).map(({ column, values, of }) => make("span", { className: "chip" }, `${column}: ${shortName(values[of[i]])}`));
  const page = make("a", { href: pageOf(data.anchors[i]) }, "Its page, with what models and judges were sent");
  return make(
    "header", {},
    make(
      "div", { className: "tools" },
      button("back", "Back to the list", closeItem),
      button("previous", "Previous", () => step(-1), place <= 0),
      button("next", "Next", () => step(1), place < 0 ? shownItems.length === 0 : place === shownItems.length - 1),
      make("span", { className: "soft" }, where),
      button("copy-link", "Copy link", copyLink),
    ),
    make("h2", { id: "item-name", tabIndex: -1 }, shortName(data.ids[i])),
    make("p", { className: "chips" }, hasTasks ? make("span", { className: "chip" }, data.tasks[data.task[i]]) : null, slices, markLabels(marksOf(i, state.column))),
    make("p", { className: "small" }, page),
  );
}

/** Return the place for a note on an item. */
function noteField(i) {
  const anchor = data.anchors[i];
  const area = make("textarea", { id: "note", rows: 3, value: "", placeholder: "What you see in this item" });
  area.value = notes.get(anchor)?.note ?? "";
  area.addEventListener("input", () => writeNote(anchor, area.value));
  area.addEventListener("change", () => refresh(true));
  return make("section", { className: "block" }, make("h3", {}, make("label", { htmlFor: "note" }, "Note")), area, make("p", { className: "small", id: "notes-kept" }, notesKept()));
}

/** Draw the selected item, or what to do where none is. */
async function drawItem() {
  const number = (drawn += 1);
  const article = find("#item");
  const i = itemOf.get(state.item);
  if (i === undefined) {
    fill(article, make("p", { className: "empty" }, N ? "Choose an item in the list, or press J." : "This run has no items."));
    return;
  }
  const words = searchWords(state.query);
  let texts;
  try {
    texts = await readTexts(i);
  } catch (error) {
    if (number === drawn) fill(article, itemHead(i), make("p", { className: "wrong" }, `The texts of this item cannot be read: ${error.message}`));
    return;
  }
  if (number !== drawn) return;
  const turns = texts.history.map(([role, text]) => textBlock(speaker(role), text, words));
  const references = texts.references.map((text) => textBlock("", text, words));
  const hadFocus = article.contains(document.activeElement) && document.activeElement !== article ? document.activeElement.id : null;
  fill(
    article,
    itemHead(i),
    turns.length ? makeFold("Turns", counted(turns.length, "earlier turn"), turns) : null,
    textBlock("Question", texts.input, words),
    references.length ? makeFold("Reference", references.length > 1 ? "References" : "Reference", references) : null,
    modelChoice(),
    answerGrid(i, texts, words),
    texts.cut ? make("p", { className: "small" }, "Long texts are cut here; answers.parquet has all of them.") : null,
    scoreTable(i),
    judgementList(texts, words),
    noteField(i),
  );
  if (hadFocus !== null) keepFocus(hadFocus);
}

/** Draw the heading of the selected item anew, whose place in the list may be another; a note that is being written stays. */
function drawItemHead() {
  const head = find("#item header");
  if (!head) return;
  const focused = head.contains(document.activeElement) ? document.activeElement.id : null;
  head.replaceWith(itemHead(itemOf.get(state.item)));
  if (focused !== null) keepFocus(focused);
}

/** Put the focus where it was before the item was drawn anew, or on its name where that is gone. */
function keepFocus(id) {
  const element = id ? document.getElementById(id) : null;
  const target = element && !element.disabled ? element : find("#item-name");
  target.focus({ preventScroll: true });
}

/** Select an item, in the list and beside it. */
function select(i) {
  state.item = data.anchors[i];
  const place = shownItems.indexOf(i);
  if (place >= 0) scrollToRow(place);
  drawRows();
  writeAddress();
  find("#item").scrollTop = 0;
  return drawItem();
}

/** Select an item and go to it; where there is only room for one thing, it covers the list. */
async function openItem(i) {
  document.body.classList.add("reading");
  await select(i);
  find("#item-name")?.focus({ preventScroll: true });
}

/** Go back to the list. */
function closeItem() {
  document.body.classList.remove("reading");
  find("#list").focus({ preventScroll: true });
  const place = shownItems.indexOf(itemOf.get(state.item));
  if (place >= 0) scrollToRow(place);
}

/** Copy the address, which shows what is shown now. */
async function copyLink() {
  writeAddress();
  try {
    await navigator.clipboard.writeText(location.href);
    showStatus("The link is copied: it shows this item, the filters and the order.");
  } catch {
    showStatus("This browser does not let a page copy: take the link from the address bar, which always shows what you see.", true);
  }
}
