// Notes on items. A page on disk may not be remembered by the browser, so notes can be saved to a file and read again:
//
//   {"format": "item notes", "version": 1, "run": "…", "notes": [
//     {"task": "…", "sample_id": "…", "anchor": "…", "note": "…", "at": "2026-11-02T10:15:00.000Z"}]}

const notes = new Map(); // {note, at} by anchor
const notesKey = `notes on ${data.run}`;
const MOST_NOTES_BYTES = 64 * 1024 * 1024; // of a file
let elsewhere = []; // notes that this browser remembers on items that are not in this file
let remembers = true; // whether this browser keeps what is written
let unsaved = false; // whether there are notes that no file has

/** Return where the notes are kept, in words. */
function notesKept() {
  return remembers
    ? "This browser remembers your notes on this computer; to send or keep them, save them to a file (Notes)."
    : "This browser does not remember notes of a page on disk: save them to a file (Notes) before you close it.";
}

/** Return whether a value is a note of a file. */
const isNote = (value) => typeof value?.anchor === "string" && typeof value.note === "string" && typeof value.at === "string";

/** Read what this browser remembers; what cannot be read is kept beside it, and not overwritten. */
function recallNotes() {
  const kept = recall(notesKey);
  try {
    notes.clear();
    const rows = JSON.parse(kept ?? "[]").filter(isNote);
    elsewhere = rows.filter(({ anchor }) => !itemOf.has(anchor));
    for (const { anchor, note, at } of rows) if (itemOf.has(anchor)) notes.set(anchor, { note, at });
  } catch {
    remember(`${notesKey}, unread`, kept);
    showStatus("The notes that this browser remembers cannot be read; they are kept as they are.", true);
  }
  noteVersion += 1;
  fill(find("#n-notes"), notes.size ? ` (${count(notes.size)})` : "");
}

/** Return the notes as they are saved. */
function noteRows() {
  return [...notes].map(([anchor, { note, at }]) => {
    const i = itemOf.get(anchor);
    return { task: data.tasks[data.task[i]], sample_id: data.ids[i], anchor, note, at };
  });
}

/** Keep the notes, and show that there are some. */
function keepNotes() {
  noteVersion += 1;
  remembers = remember(notesKey, JSON.stringify([...noteRows(), ...elsewhere]));
  const said = find("#notes-kept");
  if (said) fill(said, notesKept());
  fill(find("#n-notes"), notes.size ? ` (${count(notes.size)})` : "");
}

/** Write a note on an item; an empty one is none. */
function writeNote(anchor, text) {
  if (text.trim()) notes.set(anchor, { note: text, at: new Date().toISOString() });
  else notes.delete(anchor);
  unsaved = true;
  keepNotes();
  drawRows();
}

/** Save all notes to a file. */
function saveNotes() {
  const file = { format: "item notes", version: 1, run: data.run, notes: noteRows() };
  saveFile(JSON.stringify(file, null, 1), "application/json", `notes-${fileName()}.json`);
  unsaved = false;
  find("#notes-dialog").close(); // behind which the status is not announced
  showStatus(`Saved ${counted(notes.size, "note")} to notes-${fileName()}.json, where your browser puts downloads.`);
}

/** Read notes from a file; of two on one item the later one stays. */
async function loadNotes(file) {
  find("#notes-dialog").close();
  try {
    if (file.size > MOST_NOTES_BYTES) throw new Error("it is too large");
    const saved = JSON.parse(await file.text());
    if (saved?.format !== "item notes" || saved.version !== 1 || !Array.isArray(saved.notes) || !saved.notes.every(isNote)) throw new Error("it is of another kind");
    const known = saved.notes.filter(({ anchor }) => itemOf.has(anchor));
    const later = known.filter(({ anchor, at }) => !(at < (notes.get(anchor)?.at ?? "")));
    for (const { anchor, note, at } of later) notes.set(anchor, { note, at });
    keepNotes();
    refresh(true);
    drawItem();
    const parts = [`${counted(later.length, "note")} read`];
    if (known.length > later.length) parts.push(`${count(known.length - later.length)} older than yours`);
    if (saved.notes.length > known.length) parts.push(`${count(saved.notes.length - known.length)} on items that are not in this file`);
    showStatus(`${parts.join(", ")}.`);
  } catch (error) {
    showStatus(`No notes were read: ${file.name} does not hold notes that this page saved (${error.message}).`, true);
  }
}

/** Let notes be saved and read. */
function startNotes() {
  find("#save-notes").addEventListener("click", saveNotes);
  find("#load-notes").addEventListener("change", ({ target }) => {
    if (target.files.length) loadNotes(target.files[0]);
    target.value = "";
  });
  addEventListener("storage", ({ key }) => { // another window of this page wrote a note
    if (key !== notesKey) return;
    recallNotes();
    refresh(true);
  });
  addEventListener("beforeunload", (event) => { if (unsaved && notes.size && !remembers) event.preventDefault(); });
}
