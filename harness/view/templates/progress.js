
"use strict";
setInterval(async () => {
  if (document.hidden) return;
  const live = document.getElementById("live");
  try {
    const reply = await fetch("/progress");
    if (!reply.ok) throw new Error(reply.status);
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    live.replaceWith(page.getElementById("live"));
  } catch {
    live.classList.add("stale");
  }
}, 2000);
