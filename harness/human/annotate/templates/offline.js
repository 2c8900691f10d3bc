// A study in one file: this script does what the server does otherwise. Nothing is sent.

const data = JSON.parse(find("#data").textContent);
const storageKey = `blind-study ${data.study} ${data.sheet}`;
const screens = ["welcome", "judge", "pause", "done"];
const tokens = new Set(data.pairs.map((pair) => pair.item_token));
let votes = new Map(); // by item token, in order of casting
let current = null;
let canStore = true;
let unread = null; // what this browser remembers and nobody can read: never overwritten

function loadVotes() {
  let stored = null;
  try {
    stored = localStorage.getItem(storageKey);
  } catch {
    canStore = false;
  }
  if (stored === null) return;
  try {
    const entries = JSON.parse(stored);
    if (!Array.isArray(entries) || !entries.every(isVote)) throw new Error("no votes");
    votes = new Map(entries);
  } catch {
    unread = stored;
    keepUnread();
  }
}

function isVote(entry) {
  if (!Array.isArray(entry) || entry.length !== 2) return false;
  const [token, vote] = entry;
  return typeof token === "string" && typeof vote?.choice === "string" && typeof vote.scores?.left === "object" && typeof vote.scores?.right === "object";
}

function keepUnread() {
  try {
    let number = 1;
    while (localStorage.getItem(`${storageKey} unread ${number}`) !== null) number += 1;
    localStorage.setItem(`${storageKey} unread ${number}`, unread);
  } catch {
    canStore = false; // without a copy the original stays as it is
  }
  find("#unread").hidden = false;
}

function storeVotes() {
  try {
    if (canStore) localStorage.setItem(storageKey, JSON.stringify([...votes]));
  } catch {
    canStore = false;
  }
  if (!canStore) showStatus("This browser does not remember votes: save them to a file before you close it.", true);
}

function showScreen(screen) {
  for (const name of screens) find(`#${name}`).hidden = name !== screen;
  const n = votes.size;
  find("progress").value = n;
  find("progress").setAttribute("aria-label", `${n} of ${data.pairs.length} pairs judged`);
  find("#progress span").textContent = `${n} of ${data.pairs.length} judged`;
  find("#undo button").disabled = n === 0;
  find("#so-far").textContent = n;
  startPage();
}

function makeText(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (tag === "div") Object.assign(element, { className: "text", dir: "auto" });
  return element;
}

function showNextPair(undone) {
  current = data.pairs.find((pair) => !votes.has(pair.item_token)) ?? null;
  if (!current) return showScreen("done");
  const heading = `Pair ${votes.size + 1} of ${data.pairs.length}`;
  document.title = heading;
  find("#judge h1").textContent = heading;
  for (const part of document.querySelectorAll("[data-part]")) part.textContent = current[part.dataset.part] ?? "";
  const turns = current.history.flatMap(([speaker, text]) => [makeText("h2", speaker), makeText("div", text)]);
  find(".turns").replaceChildren(...turns);
  find(".turns").hidden = turns.length === 0;
  const reference = find(".reference");
  if (reference) {
    reference.open = false;
    reference.hidden = current.reference === null;
  }
  find("#vote-form").reset();
  if (undone) {
    find("textarea").value = undone.comment;
    for (const position of ["left", "right"]) {
      for (const [name, score] of Object.entries(undone.scores[position])) {
        const field = [...document.querySelectorAll("#vote-form input")].find((input) => input.name === `${position}.${name}`);
        if (field) field.value = score;
      }
    }
  }
  showScreen("judge");
}

function castVote(form, choice) {
  const scores = { left: {}, right: {} };
  for (const input of form.querySelectorAll("input[type=number]")) {
    const dot = input.name.indexOf(".");
    if (input.value !== "") scores[input.name.slice(0, dot)][input.name.slice(dot + 1)] = Number(input.value);
  }
  votes.set(current.item_token, {
    choice,
    scores,
    comment: form.elements.comment.value,
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - shownAt) / 100) / 10,
  });
  showStatus(`Saved: ${form.querySelector(`[value="${choice}"]`).firstChild.textContent.trim()}.`);
  storeVotes();
  const pauseIsDue = data.break_every > 0 && votes.size % data.break_every === 0 && votes.size < data.pairs.length;
  if (pauseIsDue) showScreen("pause");
  else showNextPair();
}

function undoVote() {
  const last = [...votes.keys()].at(-1);
  if (!last) return;
  const undone = votes.get(last);
  votes.delete(last);
  showStatus("Taken back. Judge this pair again.");
  storeVotes();
  showNextPair(undone);
}

function saveText(text, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function saveFile() {
  const rows = [...votes].map(([token, vote]) => ({ ticket: token, ...vote }));
  const file = { format: "blind study votes", version: 1, study: data.study, annotator: data.annotator, votes: rows };
  const name = `votes-${data.sheet.slice(0, 8)}.json`;
  saveText(JSON.stringify(file, null, 1), "application/json", name);
  showStatus(`Saved ${votes.size} votes to ${name}, where your browser puts downloads.`);
}

function saveUnread() {
  const name = `unread-votes-${data.sheet.slice(0, 8)}.txt`;
  saveText(unread, "text/plain", name);
  showStatus(`Saved what cannot be read to ${name}: send it to the person who gave you this page.`);
}

// A file saved earlier takes nothing back that was judged since.
function isLater(vote, known) {
  return !known || !(vote.at < known.at);
}

async function loadFile(file) {
  try {
    const saved = JSON.parse(await file.text());
    if (saved.study !== data.study || saved.annotator !== data.annotator) throw new Error("another study");
    const entries = saved.votes.map(({ ticket, ...vote }) => [ticket, vote]);
    if (!entries.every(isVote)) throw new Error("no votes");
    for (const [token, vote] of entries) if (tokens.has(token) && isLater(vote, votes.get(token))) votes.set(token, vote);
    storeVotes();
    showNextPair();
  } catch {
    showStatus("That file does not hold votes of yours on this study.", true);
  }
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.id === "undo") undoVote();
  else if (event.submitter?.name === "choice") castVote(event.target, event.submitter.value);
});
find("#begin").addEventListener("click", () => showNextPair());
find("#go-on").addEventListener("click", () => showNextPair());
find("#load").addEventListener("change", (event) => loadFile(event.target.files[0]));
find("#save-unread").addEventListener("click", saveUnread);
for (const button of document.querySelectorAll(".save")) button.addEventListener("click", saveFile);

loadVotes();
if (votes.size) find("#begin").textContent = "Go on";
showScreen("welcome");
storeVotes();
