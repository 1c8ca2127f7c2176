"""Write the figures of the documents (DOCUMENTS) from the releases and bench.json; --check compares.

`python -m profiling.documents.figures`. A block is the text between `<!-- figures:NAME -->` and `<!-- /figures -->`,
which is never edited by hand.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from inference.engines import ENGINES
from inference.settings import ROOT, current_releases
from models.evaluation import tenth
from models.recipes import RECIPES
from profiling import results
from profiling.benchmarks import engines as bench_engines
from profiling.benchmarks import first as bench_first
from profiling.benchmarks import history as bench_history
from profiling.benchmarks import http as bench_http
from profiling.benchmarks import profilers as bench_profilers
from profiling.benchmarks import score as bench_score
from profiling.benchmarks import twelve as bench_twelve
from profiling.documents import book_figures

README = ROOT / "README.md"
DOCUMENTS = [
    README,
    ROOT / "profiling" / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "book", "faults", "profiling", "scale")),
]
BLOCK = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)


def manifests() -> dict[str, dict[str, Any]]:
    """The manifests of the embedded releases that serve by name, the default first."""
    return {folder.name: json.loads((folder / "manifest.json").read_bytes()) for folder in current_releases().values()}


def releases() -> str:
    """What is in the embedded releases."""
    lines = ["| release | loans | bad | window | features | trees |", "| --- | ---: | ---: | --- | ---: | ---: |"]
    for name, manifest in manifests().items():
        training = manifest["training"]
        window = f"{training['from']} to {training['to']}" if training["from"] else "undated"
        lines.append(
            f"| `{name}` | {training['loans']:,} | {training['bad'] / training['loans']:.1%} | {window} "
            f"| {len(manifest['columns'])} | {training['parameters']['n_estimators']} |"
        )
    return "\n".join(lines)


def models() -> str:
    """How good they are, beside their rivals."""
    lines = [
        "| release | model | loans not seen | AUC | KS | Brier | mean PD | observed | lowest tenth: PD | observed "
        "| highest tenth: PD | observed |",
        "| --- | --- | --- |" + " ---: |" * 9,
    ]
    for name, manifest in manifests().items():
        for row in manifest["training"]["metrics"]["table"]:
            auc = f"{row['auc']:.3f}"
            if "intervals" in row:
                low, high = row["intervals"]["auc"]
                auc = f"**{auc}** ({low:.3f}–{high:.3f})"
            lines.append(
                f"| {name.rpartition('-')[0]} | {row['model']} | {row['sample']} ({row['loans']:,}) | {auc} "
                f"| {row['ks']:.3f} | {row['brier']:.3f} | {row['mean_pd']:.3f} | {row['bad_rate']:.3f} "
                f"| {tenths(row)} |"
            )
    return "\n".join(lines)


def tenths(row: dict[str, Any]) -> str:
    """Four cells: PD and observed rate of the lowest and the highest tenth; dashes if training gave none."""
    ends = [row["tenths"][name] for name in ("lowest", "highest")] if "tenths" in row else []
    return " | ".join(tenth(decile) for decile in ends) or "– | – | – | –"


def score() -> str:
    """What a score costs, with each engine, beside a bare predict_proba and the old path."""
    figures = results.read()["score"]
    lines = [
        "| release | way | p50 | p99 | p50 over predict_proba |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for release, rows in figures.items():
        if isinstance(rows, dict):
            bare = rows[bench_score.BARE]["p50"]
            for name in (bench_score.BARE, *ENGINES, bench_score.BEFORE):
                p50, p99 = rows[name]["p50"], rows[name]["p99"]
                lines.append(
                    f"| {release} | {bench_score.label(name)} | {p50:.0f} µs | {p99:.0f} µs | {p50 / bare:.2f} |"
                )
    return "\n".join([*lines, "", f"Measured on {figures['machine']}."])


def headlines() -> str:
    """Three figures for the README: a score, a click, and what a killed server lost."""
    figures = results.read()
    scores = [figures["score"][name] for name in RECIPES]
    default, bins, frame = (
        " and ".join(f"{rows[way]['p50'] / rows[bench_score.BARE]['p50']:.2f}" for rows in scores)
        for way in ("xgboost", "bins", bench_score.BEFORE)
    )
    ours, bare = (row["p50_ms"] for row in figures["click"].values() if isinstance(row, dict))
    kills = figures["faults_server_kills"]
    return "\n".join([
        f"- A whole score, log line included, takes {default} times a bare `predict_proba` ({' and '.join(RECIPES)}), "
        f"{bins} times with the engine on bits, {frame} times by way of a DataFrame (`make bench`).",
        f"- From click to changed result in a browser: {ours:.1f} ms; a bare Gradio page {bare:.1f} ms "
        "(`make bench-click`).",
        f"- A server killed (-9) {kills['kills']} times under load: {kills['answered']:,} scores answered, "
        f"{kills['lost']} lost, {kills['duplicated']} recorded twice (`make faults`).",
    ])  # fmt: skip


def click() -> str:
    """Click to changed result in a browser (python -m profiling.benchmarks.click)."""
    figures = results.read()["click"]
    lines = ["| page | p50 | p95 |", "| --- | ---: | ---: |"]
    for name, row in figures.items():
        if isinstance(row, dict):
            lines.append(f"| {name} | {row['p50_ms']:.1f} ms | {row['p95_ms']:.1f} ms |")
    return "\n".join([*lines, "", f"Measured on {figures['machine']}."])


def largest(section: str) -> dict[str, Any]:
    """A section's figures of the release with the longest row: the one that the study is about."""
    figures = results.read()[section]
    return dict(figures[max(features(), key=lambda name: features()[name])])


def features() -> dict[str, int]:
    """How many features the embedded releases have, by their names."""
    return {manifest["name"]: len(manifest["columns"]) for manifest in manifests().values()}


def before_after() -> str:
    """The two paths without a profiler, and the profile of each (python -m profiling profile)."""
    figures = results.read()["profile"]
    loans = figures["loans"]
    lines = ["| release | features | before, p50 | after, p50 | ratio |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, columns in features().items():
        before, after = (figures[name][path]["p50_us"] for path in ("before", "after"))
        lines.append(f"| {name} | {columns} | {before / 1e3:.1f} ms | {after / 1e3:.2f} ms | {before / after:.1f} |")
    paths = [largest("profile")[path] for path in ("before", "after")]
    before, after = (path["groups_s"] for path in paths)
    groups = sorted({*before, *after}, key=lambda name: (-before.get(name, 0), -after.get(name, 0)))
    lines += ["", "Under the profiler, the longer row, own time of a score by group:", ""]
    lines += ["| group | before | share | after | share |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in groups:
        cells = [path["groups_s"].get(name, 0.0) for path in paths]
        if any(cell / path["profiled_s"] >= 0.001 for cell, path in zip(cells, paths, strict=True)):
            lines.append(
                f"| {name} | "
                + " | ".join(
                    f"{1e6 * cell / loans:,.0f} µs | {cell / path['profiled_s']:.1%}"
                    for cell, path in zip(cells, paths, strict=True)
                )
                + " |"
            )
    calls = " | ".join(f"{path['calls'] / loans:,.0f} | " for path in paths)
    return "\n".join([*lines, f"| calls a score | {calls}|", "", f"Measured on {figures['machine']}."])


def stages() -> str:
    """Where each microsecond of a score goes, of the release with the longest row (make bench)."""
    figures = largest("score")
    names = bench_score.STAGES
    lines = ["| | whole | " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) + 1)]
    for engine in ENGINES:
        row = figures[engine]
        cells = [row["p50"], *(row["stages"][name] for name in names)]
        lines.append(f"| {engine} | " + " | ".join(f"{cell:.0f} µs" for cell in cells) + " |")
    alone = [figures["alone"].get(name) for name in names]
    lines.append("| repeated alone | | " + " | ".join("–" if µs is None else f"{µs:.1f} µs" for µs in alone) + " |")
    return "\n".join([*lines, "", f"One sample by psutil takes {figures['alone']['psutil']:.0f} µs."])


def engines() -> str:
    """Warm and cold, one row to 48,744, of the release with the longest row (make bench)."""
    figures = largest("engines")
    built = bench_engines.duration(figures["build_s"])
    return (
        f"{bench_engines.table(figures).strip()}\n\nBuilding {bench_engines.LARGEST:,} rows from ten columns: {built}."
    )


def logs() -> str:
    """Reading a log, and the price of looking at it (make bench-log)."""
    figures = results.read()
    log, page = figures["log"], figures["page"]
    viewers = {"closed": "nobody looks", "open": "one person looks", "ten_open": "ten people look"}
    lines = [
        f"{log['lines']:,} lines ({log['bytes'] / 1e6:.0f} MB): {log['seconds']:.1f} s and {log['rss_mb']:.0f} MB of "
        f"memory; parsing the JSON alone takes {log['parse_only_seconds']:.1f} s.",
        "",
        "| page Operations | a score, p50 | p99 | client waits, p50 | p99 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, label in viewers.items():
        row = [page[name][key] for key in ("score_p50_ms", "score_p99_ms", "wait_p50_ms", "wait_p99_ms")]
        lines.append(f"| {label} | " + " | ".join(f"{ms:.2f} ms" for ms in row) + " |")
    return "\n".join(lines)


def http() -> str:
    """The API, Gradio's and other serving systems over HTTP (make bench-http)."""
    figures = results.read()["http"]
    return f"{bench_http.table(figures)}\n\nTimes in ms; load by {figures['client']}. Measured on {figures['machine']}."


def first() -> str:
    """The first experience in a fresh clone (make bench-first)."""
    figures = results.read()["first"]
    lines = ["| first experience | |", "| --- | ---: |"]
    lines += [f"| {figure.label} | {figure.form.format(figures[figure.key])} |" for figure in bench_first.FIGURES]
    sentences = [f"Worse than before: {figures['reason']}."] if "reason" in figures else []
    return "\n".join([*lines, "", *sentences, f"Measured on {figures['machine']}."])


def twelve() -> str:
    """Twelve applications worked in a browser (python -m profiling.benchmarks.twelve)."""
    stored = results.read().get(bench_twelve.SECTION)
    if stored is None:
        return "Not measured yet."
    runs = {name: run for name, run in stored.items() if isinstance(run, dict)}
    return f"{bench_twelve.comparison(runs)}\n\nMeasured on {stored['machine']}."


def ledger() -> str:
    """What a record costs, and a verification (python -m profiling.benchmarks.ledger)."""
    figures = results.read()["ledger"]
    rates = ", ".join(f"{rate:,.0f} with {writers}" for writers, rate in figures["rates"].items())
    return (
        f"A record alone is on disk after {figures['alone_ms']:.2f} ms (an append of the same bytes with fdatasync: "
        f"{figures['append_fdatasync_ms']:.2f} ms). Records a second by writers at once: {rates}. "
        f"`verify` of {figures['records']:,} records: {figures['verify_s']:.1f} s, {figures['verify_rss_mb']:.0f} MB."
    )


def history() -> str:
    """The history's page over many records (python -m profiling.benchmarks.history)."""
    return bench_history.report(results.read()["history"])


def reasons() -> str:
    """Reasons that are exact for the model beside pred_contribs (python -m profiling.benchmarks.reasons)."""
    figures = results.read()["reasons"]
    names = [*ENGINES, "pred_contribs", "rows alone", "one row predicted"]
    lines = [f"| ms, median of {figures['loans']} loans | " + " | ".join(names) + " | fields moved |"]
    lines.append("| --- |" + " ---: |" * (len(names) + 1))
    for release in (name for name, row in figures.items() if isinstance(row, dict)):
        row = figures[release]
        cells = [f"{row[name] / 1e3:.2f}" for name in names]
        lines.append(f"| {release} | " + " | ".join(cells) + f" | {row['fields_moved']:g} |")
    return "\n".join(lines)


def profilers() -> str:
    """Profilers side by side on the same five programs, large files, and how long a command takes to start."""
    figures = results.read().get("profilers")
    if figures is None:
        return "`make bench-profile` has not run here yet."
    lines = [
        "| program | profiler | time added | its functions shown | report | to the picture |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for program, by_profiler in figures["programs"].items():
        title = f"{program.replace('_', ' ')}, {by_profiler['alone']['seconds']:.1f} s"
        for name in bench_profilers.PROFILERS:
            row = by_profiler[name]
            cells = (
                [f"{row['added']:+.0%}", f"{row['functions']} of {row['of']}", f"{row['bytes'] / 1e3:,.0f} KB",
                 f"{row['opening_s']:.1f} s"]
                if "added" in row else [f"failed: {row['failed']}", "–", "–", "–"]
            )  # fmt: skip
            lines.append(f"| {title} | {name} | " + " | ".join(cells) + " |")
            title = ""
    for section in ("large", "starts"):
        lines.append("")
        for what, row in figures[section].items():
            lines.append(f"- {what}: " + ", ".join(f"{key} {value:,.2f}" for key, value in row.items()) + ".")
    return "\n".join([*lines, "", f"Least of {figures['rounds']} rounds, on {figures['machine']}."])


FAULTS = {
    "ledger_kills": "a writing process killed (-9) at random moments",
    "erasure_kill_pwrite64": "a purge killed (-9) at its n-th write, for every n, and finished by the next command",
    "erasure_kill_fdatasync": "the same at its n-th fdatasync",
    "erasure_kill_ftruncate": "the same as it cuts the log",
    "erasure_kill_unlink": "the same as it removes a file",
    "erasure_reader": "a purge held up by a reader, while a server records",
    "races_decide_and_correct_logged_in": "a decision and a correction of one case at once, by two who logged in",
    "races_decide_and_correct_open": "the same, without login",
    "races_decide_and_decide_logged_in": "two decisions at once, by two who logged in",
    "races_decide_and_decide_open": "the same, without login",
    "races_agree_and_not_logged_in": "a second person's agreement and refusal at once, by two who logged in",
    "races_agree_and_not_open": "the same, without login",
    "server_kills": "the whole server killed (-9) under load, every open request sent again",
    "book_parquet": "a run of tenfold book on Parquet killed (-9) at random moments and resumed, until its end",
    "book_csv": "the same on CSV",
    "book_fsync_eio": "the n-th fsync of a thread of it fails, for every n of four parts",
    "stops": "stopped (SIGTERM) under load, with clients that hold half a request open",
    "restart": "replaced under load by a server of another release",
    "restart_killed": "replaced by one that is killed or stopped before it answers, at random moments",
    "load_xgboost": "64 clients × 10,000 requests, xgboost, each answer compared with the serial one",
    "load_onnx": "the same, onnx",
    "load_onedal": "the same, onedal",
    "soak": "16 clients for half an hour, with a ledger",
    "ledger_full_disk": "a file system that is full, then has room",
    "ledger_limits": "a file that may not grow, at ever other sizes",
    "ledger_pwrite64_eio": "the n-th write fails (EIO), for every n",
    "ledger_pwrite64_enospc": "the n-th write fails (ENOSPC), for every n",
    "ledger_fdatasync_eio": "the n-th fdatasync fails, for every n",
    "ledger_fsync_eio": "the n-th fsync fails, for every n",
    "ledger_cut": "the ledger's file cut at every byte",
    "ledger_wal_cut": "its write-ahead log cut, every seven bytes",
    "release_stale_consumer": "files of a release altered, consumer",
    "release_stale_sba": "files of a release altered, sba",
    "release_sealed_consumer": "the same, with digests made to fit, opened in a child process, consumer",
    "release_sealed_sba": "the same, with digests made to fit, opened in a child process, sba",
    "release_deadly": "pages of a record whose release kills XGBoost",
    "versions_taken_over": "a server's ledger raised to a later version under load",
    "versions_old_ledger": "a ledger of an earlier version, read, verified and replayed",
    "versions_two_servers": "two servers on one ledger, each request sent to both",
    "door_consumer": "hypothesis at the door, consumer",
    "door_sba": "hypothesis at the door, sba",
    "door_form_consumer": "hypothesis at what the page's form sends, consumer",
    "door_form_sba": "hypothesis at what the page's form sends, sba",
    "door_numbers": "hypothesis at numbers as people type them",
    "fuzz_files": "ten minutes of mutated files and requests: files",
    "fuzz_pickles": "the same: pickles to be adopted",
    "fuzz_ledger": "the same: the ledger's own file",
    "fuzz_requests": "the same: requests",
    "api_consumer": "schemathesis on the API, all checks, consumer",
    "api_sba": "schemathesis on the API, all checks, sba",
    "hostile_nobody": "nobody hostile, to compare with: 8 clients ask for scores, with the ledger, as in all below",
    "hostile_slow_heads": "200 clients that send a byte a second of a head",
    "hostile_slow_bodies": "200 clients that send a byte a second of a body",
    "hostile_vanishing": "50 clients at once that vanish in the middle of a body, again and again",
    "hostile_slow_uploads": "50 clients that send 4 MB at 1 MB a second",
    "hostile_slow_permitted": "50 clients that send 252 KB at once, and the rest of 256 KB slowly",
    "hostile_slow_logins": "50 clients that send two bytes a second of a login",
    "hostile_idle": "1,000 idle connections",
    "hostile_unread": "100 clients that ask and do not read",
    "hostile_gigabyte": "bodies of 1 GB, the length said before",
    "hostile_gigabyte_in_chunks": "bodies of 1 GB in chunks",
    "hostile_zip_bomb": "zip bombs, as uploads and as compressed bodies",
    "hostile_huge_batch": "batches of 1,000 items of 4 KB, of which none can be scored",
    "hostile_nested": "JSON nested 30,000 deep",
    "hostile_many_headers": "heads of 10,000 lines",
    "strangers_slow_uploads_login": "50 clients without a login that send 4 MB at 1 MB a second, beside who is known",
    "strangers_slow_permitted_login": "the same, 256 KB as slowly as it is allowed",
    "strangers_slow_logins_login": "the same, two bytes a second of a login",
    "strangers_slow_uploads_demo": "50 clients that send 4 MB at 1 MB a second in a demonstration, beside others",
    "strangers_slow_permitted_demo": "the same, 256 KB, the most they may, as slowly as it is allowed",
    "strangers_slow_logins_demo": "the same, two bytes a second of a login",
    "memory_gradio": "Gradio's API and pages asked with invented sessions, events and parameters: the server's memory",
    "logs_login": "bad requests of 33 kinds, login required: bytes of all logs",
    "logs_demo": "the same, in a demonstration",
}
FIRST = (
    "executions", "cases", "mutated", "tries", "kills", "stops", "clients", "seconds", "limits", "places", "pages",
    "examples", "requests", "written", "acknowledged", "answered",
)  # fmt: skip


def faults() -> str:
    """What was broken on purpose, and what became of it (make faults)."""
    lines = ["| fault | what was found |", "| --- | --- |"]
    results_now = results.read()
    if unnamed := [name for name in results_now if name.startswith("faults_") and name[7:] not in FAULTS]:
        raise ValueError(f"figures of faults that no row of docs/faults.md is for: {', '.join(unnamed)}")
    for section, label in FAULTS.items():
        figures = results_now.get(f"faults_{section}")
        if figures is None:
            continue
        names = [name for name in FIRST if name in figures]
        names += [name for name in figures if name not in (*FIRST, "at", "machine")]
        counts = ", ".join(f"{name.replace('_', ' ')} {figures[name]:,}" for name in names)
        lines.append(f"| {label} | {counts} |")
    return "\n".join(lines)


def ratios() -> str:
    """All ratios, as every benchmark left them."""
    figures = results.read()["ratios"]
    return "\n".join(
        ["| ratio | |", "| --- | ---: |", *(f"| `{name}` | {figures[name]:.3g} |" for name in sorted(figures))]
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "releases": releases,
    "models": models,
    "score": score,
    "click": click,
    "before_after": before_after,
    "stages": stages,
    "engines": engines,
    "logs": logs,
    "headlines": headlines,
    "http": http,
    "first": first,
    "ledger": ledger,
    "history": history,
    "twelve": twelve,
    "reasons": reasons,
    "faults": faults,
    "profilers": profilers,
    "book": lambda: book_figures.book(results.read()),
    "scale": lambda: book_figures.scale(results.read()),
    "ratios": ratios,
}


def with_figures(text: str) -> str:
    """A document with every block as its source says today."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}", text)


def main() -> int:
    """Exit status 1 with --check where a document differs."""
    differ = False
    for file in DOCUMENTS:
        before = file.read_text(encoding="utf-8")
        after = with_figures(before)
        differ |= before != after
        if "--check" not in sys.argv:
            file.write_text(after, encoding="utf-8")
    return int(differ and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
