"use strict";
// Send forms without leaving the page, so that a choice is not lost while the network is down.

const TIMEOUT_MS = 8000;
let sending = false;

function showPage(page, address) {
  for (const selector of ["#progress", "#undo", "#main"]) {
    const current = find(selector);
    const next = page.querySelector(selector);
    if (!current || !next) return location.assign(address);
    current.replaceWith(next);
  }
  document.title = page.title;
  history.replaceState(null, "", address);
  showStatus(page.querySelector("#status").textContent);
  startPage();
}

async function sendForm(form, button) {
  if (sending) return;
  sending = true;
  button?.classList.add("chosen");
  try {
    const body = new URLSearchParams(new FormData(form, button));
    const signal = AbortSignal.timeout(TIMEOUT_MS); // a network that drops packets reports no error
    const reply = await fetch(form.getAttribute("action"), { method: "POST", body, signal });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (reply.ok) showPage(page, reply.url);
    else showStatus(page.querySelector("#reason")?.textContent ?? "Not saved. Please try again.", true);
  } catch {
    showStatus("Not saved: there is no connection. Your choice is still here; try again in a moment.", true);
  } finally {
    sending = false;
    button?.classList.remove("chosen");
  }
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "vote-form" && event.target.id !== "undo") return;
  event.preventDefault();
  sendForm(event.target, event.submitter);
});
