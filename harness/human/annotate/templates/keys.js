"use strict";
// Single keys for the choices. The page also works without them, with Tab and Enter.

const KEYS = {
  arrowleft: "left", a: "left", arrowright: "right", b: "right",
  t: "tie", u: "both_unsafe", c: "cannot_judge",
};
const SETTLE_MS = 350; // a key pressed so soon after a pair appears was meant for the pair before
let shownAt = performance.now();

const find = (selector) => document.querySelector(selector);

function showStatus(text, isError) {
  const status = find("#status");
  status.classList.toggle("wrong", Boolean(isError));
  status.textContent = text;
}

function startPage() {
  scrollTo(0, 0);
  find("main :is([autofocus], [data-focus]):not([hidden] *)")?.focus({ preventScroll: true });
  shownAt = performance.now();
}

function keysAreOn() {
  try {
    return localStorage.getItem("keys") !== "off";
  } catch {
    return true;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keysAreOn()) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  const button = KEYS[key] ? find(`#vote-form:not([hidden] *) [value="${KEYS[key]}"]`) : null;
  if (button) {
    event.preventDefault();
    if (performance.now() - shownAt > SETTLE_MS) button.form.requestSubmit(button);
  } else if (key === "z" && find("#undo button:enabled")) {
    find("#undo").requestSubmit(find("#undo button"));
  } else if (key === "n" && find("#vote-form:not([hidden] *) textarea")) {
    event.preventDefault();
    find(".more").open = true;
    find("textarea").focus();
  }
});

const keysSwitch = find("#keys-switch");
if (keysSwitch) {
  const box = keysSwitch.querySelector("input");
  keysSwitch.hidden = false;
  box.checked = keysAreOn();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem("keys", box.checked ? "on" : "off");
    } catch {
      showStatus("This browser does not remember the setting.", true);
    }
  });
}
