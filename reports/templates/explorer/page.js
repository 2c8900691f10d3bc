"use strict";
// The items of a run, explored from one file. Nothing is sent, and nothing is decided here: the page filters,
// sorts, counts and draws what the run has decided.
//
// The scripts of this folder are joined in the order of reports/explorer.py. This one holds what all others use:
// finding and making elements. Texts come from models and files, so they become text nodes only.

const find = (selector) => document.querySelector(selector);

// As harness/core/sanitize.py: controls, format characters, surrogates, private use, and letters without a shape.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u034F\u115F\u1160\u2800\u3164\uFFA0\uFFFE\uFFFF]/gu;

/** Return the text with each invisible character written as ⟨U+XXXX⟩; line feeds and tabs stay. */
function visible(text) {
  const code = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  return String(text).replaceAll("\r\n", "\n").replace(INVISIBLE, (c) => (c === "\n" || c === "\t" ? c : code(c)));
}

/** Make an element of its properties and children; a child that is a string becomes a text node. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria")) element.setAttribute(`aria-${name.slice("aria".length).toLowerCase()}`, visible(value));
    else if (name === "role") element.setAttribute("role", value);
    else element[name] = typeof value === "string" ? visible(value) : value;
  }
  append(element, children);
  return element;
}

/** Append children, of which a string becomes a text node and null is left out. */
function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null) element.append(typeof child === "string" ? visible(child) : child);
  }
  return element;
}

/** Put these children in place of an element's own. */
function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

/** Show that a button has nothing to do; it keeps the focus, which a disabled one would lose. */
const disableInPlace = (button, disabled) => button.setAttribute("aria-disabled", String(disabled));

/** Say something to everybody, screen readers included. */
function showStatus(text, isError = false) {
  const status = find("#status");
  status.classList.toggle("wrong", isError);
  fill(status, text);
}

const MOST_CHARS = 100;

/** Return the beginning of a name that a file may have made very long. */
const shortName = (text) => (text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}…` : text);

/** Return a whole number with its thousands marked. */
const count = (n) => n.toLocaleString("en");

/** Return a number of things in words. */
const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Return a score as people read it, or a dash where there is none. */
function shown(score) {
  if (score === null || Number.isNaN(score)) return "–";
  return String(Math.round(score * 1000) / 1000);
}

/** Return a difference with its sign, or a dash where there is none. */
function signed(difference) {
  if (difference === null || Number.isNaN(difference)) return "–";
  const rounded = Math.round(difference * 1000) / 1000;
  return rounded > 0 ? `+${rounded}` : String(rounded).replace("-", "−");
}

/** Save a text as a file, where the browser puts downloads. */
function saveFile(text, type, name) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Read what this browser remembers under a key; null where it remembers nothing, as it may under file://. */
function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Let this browser remember a value, and return whether it does. */
function remember(key, value) {
  try {
    localStorage.setItem(key, value);
    return true;
  } catch {
    return false;
  }
}
