// The data of the page: `data` holds columns of numbers and names by item, read at once; the texts follow the script in
// compressed parts, and each is unpacked when somebody looks at it, or for the search while the browser is idle.

const data = JSON.parse(find("#data").textContent);
const N = data.ids.length;
const itemOf = new Map(data.anchors.map((anchor, i) => [anchor, i]));

const hasTasks = new Set(data.task).size > 1; // whether the items shown are of several

/** Return numbers as an array of doubles, in which a missing one is NaN. */
const numbers = (values) => Float64Array.from(values, (value) => value ?? NaN);

/** Return which of all items are listed, as one byte for each. */
function members(items) {
  const mask = new Uint8Array(N);
  for (const i of items) mask[i] = 1;
  return mask;
}

// One score column each, of one candidate against the baseline; of a model alone its own scores.
for (const column of data.columns) {
  column.name = `${column.metric}~${column.candidate}`;
  column.baselineScores = numbers(column.baseline_scores);
  column.candidateScores = numbers(column.candidate_scores);
  column.differences = numbers(column.differences);
  column.alone = column.baseline === column.candidate;
  for (const mark of ["order_dependent", "judges_disagree", "against_people"]) column[mark] = members(column[mark]);
}
for (const flag of data.flags) flag.mask = members(flag.items);
for (const rule of data.critical) rule.mask = members(rule.items);

/** Return the sign of an item's difference in a column: -1, 0 or 1, or NaN where it has none. */
const signOf = (column, i) => Math.sign(column.differences[i]);

/** Return whether the item was to be scored in the column and has no difference. */
const isUnscored = (column, i) => column.task === data.task[i] && Number.isNaN(column.differences[i]);

// --- texts -----------------------------------------------------------------------------------

const unpacked = new Map(); // the parts that were unpacked last, by number
const KEPT_PARTS = 12;

/** Return the number of the part that holds an item's texts. */
function partOf(i) {
  let [low, high] = [0, data.parts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (data.parts[middle] <= i) low = middle;
    else high = middle;
  }
  return low;
}

/** Resolve to the element of a part, which may still be on its way while a long file is read. */
async function partElement(number) {
  for (;;) {
    const element = document.getElementById(`texts-${number}`);
    // The parser has written the whole of an element once there is something behind it.
    if (element && (element.nextElementSibling || document.readyState !== "loading")) return element;
    if (document.readyState !== "loading") throw new Error("This file is cut off: save or send it again.");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Unpack one part: base64, gzip and JSON. */
async function unpack(number) {
  const packed = (await partElement(number)).textContent;
  const bytes = Uint8Array.fromBase64?.(packed) ?? Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Resolve to the texts of one part's items. */
function readPart(number) {
  let part = unpacked.get(number);
  if (!part) {
    part = unpack(number);
    unpacked.set(number, part);
    part.catch(() => unpacked.delete(number));
    if (unpacked.size > KEPT_PARTS) unpacked.delete(unpacked.keys().next().value);
  }
  return part;
}

/** Resolve to the texts of one item. */
async function readTexts(i) {
  const number = partOf(i);
  return (await readPart(number))[i - data.parts[number]];
}

/** Resolve to the texts of these items by item; each part is unpacked once, whatever their order. */
async function readAllTexts(items) {
  const byPart = new Map();
  for (const i of items) {
    const number = partOf(i);
    if (!byPart.has(number)) byPart.set(number, []);
    byPart.get(number).push(i);
  }
  const texts = new Map();
  for (const [number, own] of byPart) {
    const part = await readPart(number);
    for (const i of own) texts.set(i, part[i - data.parts[number]]);
  }
  return texts;
}

// --- search ----------------------------------------------------------------------------------
//
// An index from every term (letters and digits in a row) to the items that have it. Whatever is searched is found inside
// terms, of which there are far fewer than texts; only a phrase is looked for in the texts of the items that are left.

const TERM = /[\p{L}\p{N}\p{M}_]+/gu;
const termItems = new Map(); // the items with a term, in their order
const haystacks = new Array(N).fill(null); // all that is searched of an item in small letters, once it is read
let searchedParts = 0; // the parts before this one are indexed

/** Return all that is searched of one item. */
function haystack(i, texts) {
  const turns = texts.history.map(([, text]) => text);
  const answers = texts.answers.flatMap(({ text, note, thoughts }) => [text ?? "", note, thoughts]);
  const reasons = texts.judgements.map(({ explanation }) => explanation);
  return [data.ids[i], texts.input, ...turns, ...texts.references, ...answers, ...reasons].join("\n").toLowerCase();
}

/** Put an item's terms into the index. */
function indexItem(i) {
  for (const [term] of haystacks[i].matchAll(TERM)) {
    const items = termItems.get(term);
    if (!items) termItems.set(term, [i]);
    else if (items[items.length - 1] !== i) items.push(i);
  }
}

/** Read one part into the index; resolve to whether there are more. */
async function readForSearch() {
  if (searchedParts >= data.parts.length) return false;
  const start = data.parts[searchedParts];
  const part = await (unpacked.get(searchedParts) ?? unpack(searchedParts));
  part.forEach((texts, offset) => {
    haystacks[start + offset] = haystack(start + offset, texts);
    indexItem(start + offset);
  });
  searchedParts += 1;
  return searchedParts < data.parts.length;
}

/** Return the words and "phrases in quotes" of a search, in small letters. */
function searchWords(query) {
  return [...query.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map(([, phrase, word]) => phrase ?? word.replaceAll('"', "")).filter(Boolean);
}

/** Return which items have a term with these letters in it, as one byte for each. */
function itemsWithTerm(letters) {
  const mask = new Uint8Array(N);
  for (const [term, items] of termItems) if (term.includes(letters)) for (const i of items) mask[i] = 1;
  return mask;
}

/** Return which items have a word or phrase, as one byte for each. */
function itemsWithWord(word) {
  const terms = word.match(TERM) ?? [];
  const masks = terms.map(itemsWithTerm);
  const isTerm = terms.length === 1 && terms[0] === word;
  const mask = new Uint8Array(N);
  for (let i = 0; i < N; i += 1) {
    // Of an item that is not read yet there are its name and the beginning of its question.
    if (haystacks[i] === null) mask[i] = `${data.ids[i]}\n${data.questions[i]}`.toLowerCase().includes(word) ? 1 : 0;
    else if (masks.every((items) => items[i])) mask[i] = isTerm || haystacks[i].includes(word) ? 1 : 0;
  }
  return mask;
}
