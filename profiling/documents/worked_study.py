"""The worked study of docs/profiling.md: a small Gradio app, slow by pandas, then mended; profiles, log, pictures.

`python -m profiling.documents.worked_study FOLDER` writes the app and runs the commands of the page in that folder;
`--pictures` takes the page's pictures anew too, of the app and of the programs that profilers are compared on.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from inference.settings import ROOT
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.programs import __path__ as programs

DOCS = ROOT / "docs"
FIELDS = ("amount", "price", "term", "income", "expenses", "assets", "seniority", "age_of_car", "cards", "dependants")
COMMON = '''"""A small credit app: ten answers, a probability. {what}"""

import json
import math
import time
from datetime import UTC, datetime

{imports}

FIELDS = {fields}
COLUMNS = [*FIELDS, *(f"unused_{{at}}" for at in range(190))]
WEIGHTS = np.array([((7 * at) % 11 - 5) / 40 for at in range(len(COLUMNS))])
SCALE = np.array([1000.0, 1400, 48, 125, 51, 1000, 5, 4, 2, 1] + [1.0] * 190)
{body}

def predict({arguments}):
    """The probability that the loan is not paid back; a line in the log."""
    started = time.perf_counter()
    risk = score([{arguments}])
    with open("app.jsonl", "a") as log:
        line = {{"timestamp": datetime.now(UTC).isoformat(), "duration": time.perf_counter() - started}}
        log.write(json.dumps({{**line, "release": "{release}"}}) + "\\n")
    return risk


def app():
    """The page: ten numbers, one button."""
    import gradio as gr

    return gr.Interface(predict, [gr.Number(label=name, value=1) for name in FIELDS], gr.Number(label="risk"))


if __name__ == "__main__":
    app().launch()
'''
SLOW = '''

def score(values):
    """Through a DataFrame of one row, as models are trained."""
    data = dict.fromkeys(COLUMNS, 0.0)
    data.update(zip(FIELDS, values, strict=True))
    frame = pd.DataFrame([data], columns=COLUMNS) / SCALE
    return float(1 / (1 + math.exp(-(frame.to_numpy()[0] @ WEIGHTS))))

'''
QUICK = '''ROW = np.zeros(len(COLUMNS))


def score(values):
    """Into an array of zeros, at places that are known."""
    row = ROW.copy()
    row[: len(values)] = values
    return float(1 / (1 + math.exp(-(row / SCALE @ WEIGHTS))))

'''
ROWS = ",".join(FIELDS) + "\n" + "".join(
    ",".join(str((row * 37 + 11 * field) % 900 + 1) for field in range(len(FIELDS))) + "\n" for row in range(40)
)  # fmt: skip
COMMANDS = (  # those of the page
    "run app_before:predict --rows rows.csv -o before.prof --html before.html",
    "run app_after:predict --rows rows.csv --against before.prof --fail-over 1.2 -o after.prof --html after.html",
    "log app.jsonl --split after --html log.html",
    "before-after app_before:predict app_after:predict --rows rows.csv --html both.html --markdown change.md",
    "report before.prof after.prof --function score",
)


def main() -> int:
    """The exit status of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", action="store_true", help="take the pictures of docs/profiling.md anew")
    options = parser.parse_args()
    write_app(options.folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in COMMANDS:
        print(f"\n$ tenfold profile {command}", flush=True)
        finished = subprocess.run(
            [sys.executable, "-m", "profiling", *command.split()], cwd=options.folder, env=environment
        )
        if finished.returncode:
            return finished.returncode
    if options.pictures:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            for name in ("before", "after", "log"):
                picture(browser, options.folder / f"{name}.html", DOCS / f"profile-app-{name}.png")
            for program in sorted(Path(next(iter(programs))).glob("[a-z]*.py")):
                page = options.folder / f"{program.stem}.html"
                words = ["profiling", "run", "--html", str(page), str(program)]
                subprocess.run(
                    [sys.executable, "-m", *words], check=True, env=environment, cwd=options.folder, capture_output=True
                )
                picture(browser, page, DOCS / f"profile-{program.stem.replace('_', '-')}.png")
            browser.close()
    return 0


def write_app(folder: Path) -> None:
    """app_before.py, app_after.py and rows.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ", ".join(FIELDS)
    for name, what, imports, body in (
        ("before", "Slow, by pandas.", "import numpy as np\nimport pandas as pd", SLOW),
        ("after", "Mended.", "import numpy as np", QUICK),
    ):
        text = COMMON.format(what=what, imports=imports, fields=FIELDS, body=body, arguments=arguments, release=name)
        (folder / f"app_{name}.py").write_text(text, encoding="utf-8")
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")


def picture(browser: Browser, page: Path, file: Path) -> None:
    """The icicle of a report, or its plots."""
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    opened.goto(page.as_uri())
    opened.locator("#picture, section:has(svg)").first.screenshot(path=file)
    opened.close()


if __name__ == "__main__":
    sys.exit(main())
