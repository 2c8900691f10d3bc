// The whole study in one file: what the server does elsewhere, done here, with nothing sent.

const data = JSON.parse(find("#data").textContent);
const place = `blind-study ${data.study} ${data.sheet}`;
const screens = ["welcome", "judge", "pause", "done"];
const tickets = new Set(data.pairs.map((pair) => pair.ticket));
let votes = new Map();
let current = null;
let seenAt = 0;
let remembered = true;

function recall() {
  try {
    votes = new Map(JSON.parse(localStorage.getItem(place) ?? "[]"));
  } catch {
    remembered = false;
  }
}

function remember() {
  try {
    localStorage.setItem(place, JSON.stringify([...votes]));
  } catch {
    remembered = false;
  }
  if (!remembered) say("This browser does not remember votes: save them to a file before you close it.", true);
}

function open(screen) {
  for (const name of screens) find(`#${name}`).hidden = name !== screen;
  const n = votes.size;
  find("progress").value = n;
  find("progress").setAttribute("aria-label", `${n} of ${data.pairs.length} pairs judged`);
  find("#progress span").textContent = `${n} of ${data.pairs.length} judged`;
  find("#undo button").disabled = n === 0;
  find("#so-far").textContent = n;
  settle();
}

function next(draft) {
  current = data.pairs.find((pair) => !votes.has(pair.ticket)) ?? null;
  if (!current) return open("done");
  const heading = `Pair ${votes.size + 1} of ${data.pairs.length}`;
  document.title = heading;
  find("#judge h1").textContent = heading;
  for (const part of document.querySelectorAll("[data-part]")) part.textContent = current[part.dataset.part] ?? "";
  const reference = find(".reference");
  if (reference) {
    reference.open = false;
    reference.hidden = current.reference === null;
  }
  find("#ballot").reset();
  if (draft) {
    find("textarea").value = draft.comment;
    for (const hand of ["left", "right"]) {
      for (const [name, score] of Object.entries(draft.scores[hand])) {
        const field = [...document.querySelectorAll("#ballot input")].find((input) => input.name === `${hand}.${name}`);
        if (field) field.value = score;
      }
    }
  }
  seenAt = performance.now();
  open("judge");
}

function vote(form, choice) {
  const scores = { left: {}, right: {} };
  for (const input of form.querySelectorAll("input[type=number]")) {
    const dot = input.name.indexOf(".");
    if (input.value !== "") scores[input.name.slice(0, dot)][input.name.slice(dot + 1)] = Number(input.value);
  }
  votes.set(current.ticket, {
    choice,
    scores,
    comment: form.elements.comment.value,
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - seenAt) / 100) / 10,
  });
  say(`Saved: ${form.querySelector(`[value="${choice}"]`).firstChild.textContent.trim()}.`);
  remember();
  const due = data.break_every > 0 && votes.size % data.break_every === 0 && votes.size < data.pairs.length;
  if (due) open("pause");
  else next();
}

function undo() {
  const last = [...votes.keys()].at(-1);
  if (!last) return;
  const draft = votes.get(last);
  votes.delete(last);
  say("Taken back. Judge this pair again.");
  remember();
  next(draft);
}

function save() {
  const rows = [...votes].map(([ticket, said]) => ({ ticket, ...said }));
  const file = { format: "blind study votes", version: 1, study: data.study, annotator: data.annotator, votes: rows };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  link.download = `votes-${data.sheet.slice(0, 8)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`Saved ${votes.size} votes to ${link.download}, where your browser puts downloads.`);
}

async function load(file) {
  try {
    const saved = JSON.parse(await file.text());
    if (saved.study !== data.study || saved.annotator !== data.annotator) throw new Error("another study");
    for (const { ticket, ...said } of saved.votes) if (tickets.has(ticket)) votes.set(ticket, said);
    remember();
    next();
  } catch {
    say("That file does not hold votes of yours on this study.", true);
  }
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.id === "undo") undo();
  else if (event.submitter?.name === "choice") vote(event.target, event.submitter.value);
});
find("#begin").addEventListener("click", () => next());
find("#go-on").addEventListener("click", () => next());
find("#load").addEventListener("change", (event) => load(event.target.files[0]));
for (const button of document.querySelectorAll(".save")) button.addEventListener("click", save);

recall();
if (votes.size) find("#begin").textContent = "Go on";
open("welcome");
remember();
