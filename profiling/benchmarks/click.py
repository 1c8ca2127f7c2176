"""From click to changed result, in headless Chromium: `python -m profiling.benchmarks.click`.

The real app stands beside bare Gradio pages (ten numbers, one HTML output, a function that adds them up) in the
same browser and the same run, clicked in turn. Of the app a case has five scores, each of which is recorded, and then
the next case begins. Quote the ratio: absolute times drift with the machine. `--folder CHECKOUT` opens the desk of
another checkout too, such as an earlier version.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from inference.settings import ROOT
from profiling import results
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.serving import served

DESK = "Tenfold's desk"
OTHER_DESK = "the other checkout's desk"
BARE = "bare Gradio, async, without the queue"
PAGES = {BARE: "/"}
A_CASE = 5  # scores
OTHERS = {"bare Gradio, without the queue": "/plain/", "bare Gradio, queued": "/queued/"}

# Runs in the page: one click, and the milliseconds until the result's text is another.
CLICK = """async () => {
    const bare = document.querySelector("#result .html-container"); // without Gradio's progress display
    const result = bare ?? document.querySelector("#result");
    const before = result.textContent;
    const changed = new Promise((resolve) => {
        const observer = new MutationObserver(() => {
            if (result.textContent === before) return;
            observer.disconnect();
            resolve(performance.now());
        });
        observer.observe(result, { childList: true, subtree: true, characterData: true });
    });
    const started = performance.now();
    document.querySelector("#score").click();
    const took = (await changed) - started;
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return took;
}"""


def serve_bare(port: int) -> None:
    """Three bare pages on one server, mounted as the desk is."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    counter = iter(range(10**9))

    async def add_async(*values: float) -> str:
        return f"<p>{sum(values)} {next(counter)}</p>"

    def add(*values: float) -> str:
        return f"<p>{sum(values)} {next(counter)}</p>"

    app = FastAPI()
    for path, function, queue in (("/plain", add, False), ("/queued", add, True), ("/", add_async, False)):
        with gr.Blocks() as page:
            numbers = [gr.Number(number) for number in range(10)]
            button = gr.Button(elem_id="score")
            result = gr.HTML("<p>none</p>", elem_id="result")
            button.click(function, numbers, result, queue=queue)
        gr.mount_gradio_app(app, page, path, run_history=False, ssr_mode=False)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def measure(pages: dict[str, Page], clicks: int) -> dict[str, list[float]]:
    """Milliseconds of every click, the pages in turn; the first ones of each only warm up."""
    times: dict[str, list[float]] = {name: [] for name in pages}
    for click in range(-10, clicks):
        for name, page in pages.items():
            if name in (DESK, OTHER_DESK) and click % A_CASE == 0:
                page.click("#example")  # another case; what follows a score by itself is awaited
                page.wait_for_load_state("networkidle")
            took = page.evaluate(CLICK)
            if click >= 0:
                times[name].append(took)
    return times


@contextmanager
def served_desk(checkout: Path) -> Iterator[str]:
    """The address of a checkout's desk, with a log and a ledger of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"TENFOLD_LOG": f"{folder}/predictions.jsonl", "TENFOLD_LEDGER": f"{folder}/ledger.sqlite3"}
        with served([sys.executable, "app.py"], "/readyz", files, checkout) as url:
            yield f"{url}/"


def main() -> int:
    """Print a row per page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=50)
    parser.add_argument(
        "--all", action="store_true", help="also measure other kinds of bare Gradio pages (open pages slow each other)"
    )
    parser.add_argument("--folder", type=Path, help="another checkout to compare with; the figures are only printed")
    parser.add_argument("--serve-bare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare(options.serve_bare)
        return 0
    with ExitStack() as stack:
        bare = stack.enter_context(
            served([sys.executable, "-m", "profiling.benchmarks.click", "--serve-bare", "PORT"], "/queued/", {})
        )
        desks = {DESK: ROOT, **({OTHER_DESK: options.folder} if options.folder else {})}
        urls = {name: stack.enter_context(served_desk(checkout)) for name, checkout in desks.items()}
        playwright = stack.enter_context(sync_playwright())
        browser = launch(playwright)
        pages, bare_pages = {}, PAGES | (OTHERS if options.all else {})
        for name, url in {**urls, **{name: bare + path for name, path in bare_pages.items()}}.items():
            pages[name] = page = browser.new_page()
            page.goto(url)
            page.wait_for_selector("#score")
            page.wait_for_selector("#result p, #result .card")
        for name in desks:
            pages[name].wait_for_selector("html[data-desk=ready]")
        times = measure(pages, options.clicks)
        browser.close()
    figures = {
        name: {"p50_ms": float(np.percentile(took, 50)), "p95_ms": float(np.percentile(took, 95))}
        for name, took in times.items()
    }
    print("| page | p50 ms | p95 ms |\n| --- | ---: | ---: |")
    for name, row in figures.items():
        print(f"| {name} | {row['p50_ms']:.1f} | {row['p95_ms']:.1f} |")
    ratio = figures[DESK]["p50_ms"] / figures[BARE]["p50_ms"]
    print(f"\nThe desk takes {ratio:.2f} times as long as the quickest bare page, p50 of {options.clicks} clicks.")
    if options.folder:
        print(f"Here over there: {figures[DESK]['p50_ms'] / figures[OTHER_DESK]['p50_ms']:.2f}")
        return 0
    results.merge("click", {"clicks": options.clicks, **figures}, {"click_over_bare_gradio": ratio})
    return 0


if __name__ == "__main__":
    sys.exit(main())
