"""Figures of docs/benchmarks.md about explorer.html: `python -m tests.bench_explorer`.

    20,000 items, two models, three criteria and a win rate: bytes, seconds to the first paint, milliseconds a filter

A filter is timed in the page, from the change of the state until list, filters and plot are laid out. Each is done three
times from a page without filters, and the median is shown.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from reports.explorer import render_explorer
from reports.items import Item
from tests.builders.explored import explored_items, explored_run

N_ITEMS = 20_000
WORDS = {
    "question": 35,
    "answer": 120,
    "explanation": 30,
}  # on average, as in consumer health questions
CHROMIUM = "/usr/bin/chromium"
FILTERS = {
    "worse": "{sign: 'worse'}",
    "judges disagree": "{marks: new Set(['judges_disagree'])}",
    "about children": "{slices: new Map([[0, new Set([1])]])}",
    "all three, by at least 2": "{sign: 'worse', least: 2, marks: new Set(['judges_disagree']), slices: new Map([[0, new Set([1])]])}",
    "sorted by name": "{sort: 'name'}",
    "another score": "{column: data.columns[1]}",
    "part of the plot": "{brush: {baseline_from: 8, baseline_to: 10, candidate_from: 4, candidate_to: 6}}",
    "search of a frequent word": "{query: 'w40'}",
    "search of two rare words": "{query: 'w8001 w77'}",
    "search of a phrase": "{query: '\"w1 w2\"'}",
}
# The list is painted in the frame after its first rows are there.
PAINTED = """
new MutationObserver((_, watcher) => {
  if (!document.querySelector("#rows .row")) return;
  watcher.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.listPainted = performance.now(); }));
}).observe(document, {childList: true, subtree: true});
"""
TIMED = """async (changes) => {
  const settled = () => new Promise((resolve) => setTimeout(resolve, 60));
  const times = [];
  for (let round = 0; round < 3; round += 1) {
    state = {...firstState()};
    refresh();
    await settled();
    const start = performance.now();
    change(eval(`(${changes})`));
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
    await settled();
  }
  return [times, shownItems.length];
}"""


def varied_items(n: int) -> list[Item]:
    """Items whose texts have a vocabulary of 30,000 words, as frequent as those of a language."""
    rng = np.random.default_rng(0)

    def text(kind: str) -> str:
        ranks = rng.zipf(1.3, size=int(rng.integers(WORDS[kind] // 2, WORDS[kind] * 3 // 2)))
        return " ".join(f"w{rank % 30_000}" for rank in ranks.tolist())

    return [
        replace(
            item,
            input=text("question"),
            answers=tuple(replace(a, text=text("answer")) for a in item.answers),
            judgements=tuple(replace(j, explanation=text("explanation")) for j in item.judgements),
        )
        for item in explored_items(n)
    ]


def main() -> None:
    from playwright.sync_api import sync_playwright

    items = varied_items(N_ITEMS)
    start = time.process_time()
    html = render_explorer(items, explored_run(), n_items=N_ITEMS).encode()
    took = time.process_time() - start
    print(f"{N_ITEMS:,} items: {len(html) / 1e6:.1f} MB, made in {took:.1f} s of CPU")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "explorer.html"
        path.write_bytes(html)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        paints, ready = [], []
        for _ in range(3):
            page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
            page.add_init_script(PAINTED)
            page.goto(path.as_uri())
            page.wait_for_selector("[data-searchable]", state="attached", timeout=120_000)
            paints.append(page.evaluate("window.listPainted"))
            ready.append(page.evaluate("performance.now()"))
            page.close()
        print(f"the list is painted: {statistics.median(paints) / 1000:.2f} s")
        print(f"all texts are searched: {statistics.median(ready) / 1000:.1f} s")
        page = browser.new_context(bypass_csp=True).new_page()  # the script of this file uses eval
        page.goto(path.as_uri())
        page.wait_for_selector("[data-searchable]", state="attached", timeout=120_000)
        for name, changes in FILTERS.items():
            times, n_shown = page.evaluate(TIMED, changes)
            print(f"{name}: {statistics.median(times):.0f} ms ({n_shown:,} items)")
        memory = page.evaluate("performance.memory.usedJSHeapSize")
        print(f"memory of the page's script: {memory / 1e6:.0f} MB")
        browser.close()


if __name__ == "__main__":
    main()
