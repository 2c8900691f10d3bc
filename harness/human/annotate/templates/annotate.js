"use strict";
// A page that stays when the network does not: forms are sent without leaving it.

const PATIENCE_MS = 8000;
let sending = false;

function show(page, address) {
  for (const part of ["#progress", "#undo", "#main"]) {
    const now = find(part);
    const next = page.querySelector(part);
    if (!now || !next) return location.assign(address);
    now.replaceWith(next);
  }
  document.title = page.title;
  history.replaceState(null, "", address);
  say(page.querySelector("#status").textContent);
  settle();
}

async function send(form, button) {
  if (sending) return;
  sending = true;
  button?.classList.add("chosen");
  try {
    const body = new URLSearchParams(new FormData(form, button));
    const signal = AbortSignal.timeout(PATIENCE_MS); // a network that swallows packets never says no
    const reply = await fetch(form.getAttribute("action"), { method: "POST", body, signal });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (reply.ok) show(page, reply.url);
    else say(page.querySelector("#reason")?.textContent ?? "Not saved. Please try again.", true);
  } catch {
    say("Not saved: there is no connection. Your choice is still here; try again in a moment.", true);
  } finally {
    sending = false;
    button?.classList.remove("chosen");
  }
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "ballot" && event.target.id !== "undo") return;
  event.preventDefault();
  send(event.target, event.submitter);
});
