"""Scores over HTTP, side by side: `python -m profiling.benchmarks.http` (make bench-http).

One run, one machine, all servers up, taken in turn and several times over: bare echoes, our API with each engine and
with the ledger off and on, Gradio's API without and with its queue, and the same release by the same engine behind
BentoML, MLServer and LitServe, each in a virtual environment of its own under build/peers. All do the same work: ten
fields in, validated, a PD out; ours also writes its performance log. wrk makes the load where it is installed, else
a client in Python, which is slower than the servers; the table names the client.

`--folder CHECKOUT` measures our API alone, beside that of another checkout, such as an earlier version, with the same
release: requests a second and the server's CPU time for one, which is nearly the same however busy the machine is.
"""

import argparse
import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import psutil

from inference.engines import ENGINES
from inference.release import Release, open_release
from inference.settings import ROOT
from profiling import results
from profiling.benchmarks import peers_installed
from profiling.benchmarks.serving import free_port, running
from profiling.workload import embedded

CONNECTIONS = (1, 8, 64)
SCORE = "/api/v1/score"
PEER_MODULES = "profiling.benchmarks.peers"
PEERS = ("bentoml", "mlserver", "litserve")
PEER_ENGINE = "onnx"  # the quickest for one row
ECHO, BYTES = "bare FastAPI echo", "bare FastAPI, bytes back"
QUEUED, CLIENT, UNQUEUED = "Gradio, queued", "gradio_client", "Gradio, unqueued"
LUA = 'wrk.method="POST"; wrk.headers["Content-Type"]="application/json"; wrk.body=[==[%s]==]'


class Load(NamedTuple):
    """What one load found: milliseconds, requests a second, answers that were none; and the server's CPU time for one
    request, ms."""

    p50: float
    p99: float
    rate: float
    errors: int
    cpu: float = 0.0


class Target(NamedTuple):
    """A server and how requests are sent to it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready: str  # path
    path: str
    body: str
    load: "Callable[[str, Target, int, float], Load]"
    checkout: Path = ROOT


def ours(
    name: str, engine: str, release: Release, folder: Path, ledger: bool, path: str, body: str, checkout: Path = ROOT
) -> Target:
    """The app itself, or that of another checkout."""
    file = folder / f"{name.replace(' ', '-')}.sqlite3"
    environment = {
        "TENFOLD_RELEASE": str(release.folder), "TENFOLD_ENGINE": engine, "TENFOLD_LOG": str(folder / f"{name}.jsonl"),
        "TENFOLD_LEDGER": str(file) if ledger else "off",
    }  # fmt: skip
    return Target(name, [sys.executable, "app.py"], environment, "/readyz", path, body, loaded, checkout)


def targets(release: Release, folder: Path) -> tuple[list[Target], dict[str, str]]:
    """The targets that can be compared here, and why others cannot."""
    answers = release.form.example
    body = json.dumps({"answers": answers})
    listed = json.dumps({"data": list(answers.values())})
    peer = {"PEER_RELEASE": str(release.folder), "PEER_ENGINE": PEER_ENGINE, "PYTHONPATH": str(ROOT)}
    python = [sys.executable, "-m"]
    targets_found = [
        Target(name, [*python, f"{PEER_MODULES}.echo"], {}, "/livez", path, body, loaded)
        for name, path in ((ECHO, "/echo"), (BYTES, "/bytes"))
    ]
    for engine in ENGINES:
        for ledger in (False, True):
            name = f"API, {engine}{', ledger' if ledger else ''}"
            targets_found.append(ours(name, engine, release, folder, ledger, SCORE, body))
    path = "/gradio_api/run/predict_credit_score"
    targets_found.append(ours(UNQUEUED, PEER_ENGINE, release, folder, False, path, listed))
    for name, load in ((QUEUED, queued), (CLIENT, by_client)):
        command = [*python, f"{PEER_MODULES}.gradio_queued"]
        targets_found.append(Target(name, command, peer, "/config", "", json.dumps(answers), load))
    tensors = {"inputs": [{"name": "answers", "shape": [1], "datatype": "BYTES", "data": [json.dumps(answers)]}]}
    (folder / "mlserver").mkdir()
    model = {"name": "credit", "implementation": f"{PEER_MODULES}.mlserver_app.Credit"}
    (folder / "mlserver" / "model-settings.json").write_text(json.dumps(model))
    missing = {}
    for name in PEERS:
        try:
            interpreter = peers_installed.environment(name)
        except subprocess.CalledProcessError as error:
            missing[name] = f"cannot be installed: {(error.stderr or b'').decode()[-200:].strip()}"
            continue
        if name == "bentoml":
            command = [
                str(interpreter / "bentoml"),
                "serve",
                f"{PEER_MODULES}.bentoml_app:Credit",
                "--host",
                "127.0.0.1",
            ]
            targets_found.append(Target(name, [*command, "--port", "PORT"], peer, "/livez", "/score", body, loaded))
        elif name == "litserve":
            command = [str(interpreter / "python"), "-m", f"{PEER_MODULES}.litserve_app"]
            targets_found.append(Target(name, command, peer, "/health", "/predict", body, loaded))
        else:
            settings = {"MLSERVER_HOST": "127.0.0.1", "MLSERVER_HTTP_PORT": "PORT", "MLSERVER_PARALLEL_WORKERS": "0"}
            free = {f"MLSERVER_{kind}_PORT": str(free_port()) for kind in ("GRPC", "METRICS")}
            command = [str(interpreter / "mlserver"), "start", str(folder / "mlserver")]
            path = "/v2/models/credit/infer"
            targets_found.append(
                Target(
                    name, command, {**peer, **settings, **free}, "/v2/health/ready", path, json.dumps(tensors), loaded
                )
            )
    return targets_found, missing


def check(target: Target, url: str, pd: float) -> None:
    """End with an error unless the server returns the expected PD; an echo must return what it was sent."""
    if target.load is loaded:
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(url + target.path, target.body.encode(), head)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            reply = answer.read().decode()
    else:
        reply = asyncio.run(asked_queued(url, target))
    match = re.search(r'pd\\*": ?([0-9.e-]+)', reply)
    if target.name not in (ECHO, BYTES) and (not match or abs(float(match[1]) - pd) > 1e-6):
        raise SystemExit(f"{target.name}: a PD of {pd} was expected: {reply[:300]}")


def loaded(url: str, target: Target, connections: int, seconds: float) -> Load:
    """A load of one POST again and again, by wrk or by Python."""
    if shutil.which("wrk"):
        return by_wrk(url, target, connections, seconds)
    return asyncio.run(by_python(url, target, connections, seconds))


def by_wrk(url: str, target: Target, connections: int, seconds: float) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA % target.body)
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds:g}s",
            "--latency",
            "--timeout",
            "30s",
            "-s",
            script.name,
        ]
        printed = subprocess.run([*command, url + target.path], capture_output=True, text=True, check=True).stdout
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    quantile = {
        name: float(value) * units[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", printed)
    }
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", printed)))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", printed)))
    return Load(quantile["50"], quantile["99"], rate, errors)


async def by_python(url: str, target: Target, connections: int, seconds: float) -> Load:
    """As many clients as connections, each over one that is kept open."""
    import httpx

    head = {"Content-Type": "application/json"}
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:

        async def ask() -> bool:
            answer = await client.post(target.path, content=target.body, headers=head)
            return bool(answer.status_code == 200)

        return await repeated(ask, connections, seconds)


async def repeated(ask: Callable[[], Any], clients: int, seconds: float) -> Load:
    """So many clients that ask again and again."""
    times: list[float] = []
    errors = 0
    started = time.perf_counter()

    async def client() -> None:
        nonlocal errors
        while (began := time.perf_counter()) - started < seconds:
            errors += not await ask()
            times.append((time.perf_counter() - began) * 1e3)

    await asyncio.gather(*(client() for _ in range(clients)))
    spent = time.perf_counter() - started
    ranked = sorted(times)
    return Load(statistics.median(ranked), ranked[int(0.99 * (len(ranked) - 1))], len(times) / spent, errors)


def queued(url: str, target: Target, connections: int, seconds: float) -> Load:
    """Gradio's queue as its own documents have it for curl: a POST that gives an event, a GET of the event's stream."""

    async def run() -> Load:
        import httpx

        limits = httpx.Limits(max_connections=2 * connections)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
            return await repeated(lambda: one_queued(client, target), connections, seconds)

    return asyncio.run(run())


async def one_queued(client: Any, target: Target) -> bool:
    return "complete" in await queued_text(client, target)


async def queued_text(client: Any, target: Target) -> str:
    event = (await client.post("/gradio_api/call/score", json={"data": [json.loads(target.body)]})).json()["event_id"]
    async with client.stream("GET", f"/gradio_api/call/score/{event}") as stream:
        return "".join([line async for line in stream.aiter_lines()])


async def asked_queued(url: str, target: Target) -> str:
    import httpx

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        return await queued_text(client, target)


def by_client(url: str, target: Target, connections: int, seconds: float) -> Load:
    """gradio_client in as many threads as connections."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    answers = json.loads(target.body)

    def call() -> bool:
        try:
            return "pd" in client.predict(answers, api_name="/score")
        except CancelledError:  # it gives up calls of its own, now and then, where many wait: an error like any other
            return False

    return asyncio.run(repeated(lambda: asyncio.to_thread(call), connections, seconds))


def memory(process: psutil.Process) -> float:
    """MB of a process and all its children."""
    return float(sum(child.memory_info().rss for child in (process, *process.children(recursive=True)))) / 2**20


def cpu_time(process: psutil.Process) -> float:
    """Seconds of CPU that a process has used, with all its children."""
    times = [child.cpu_times() for child in (process, *process.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


Loads: TypeAlias = dict[tuple[str, int], list[Load]]  # by target's name and number of connections, a load a round


def take_turns(
    all_targets: list[Target], pd: float, rounds: int, seconds: float, counts: Sequence[int]
) -> tuple[Loads, dict[str, float]]:
    """Every target at every number of connections, in turn; and the memory of each, MB."""
    loads: Loads = {}
    with ExitStack() as stack:
        servers = {
            target.name: stack.enter_context(running(target.command, target.ready, target.environment, target.checkout))
            for target in all_targets
        }
        for target in all_targets:
            check(target, servers[target.name][0], pd)
            target.load(servers[target.name][0], target, 8, 1.0)  # warms up
        for round_number in range(rounds):
            for connections in counts:
                for target in all_targets:
                    url, process = servers[target.name]
                    began = cpu_time(process)
                    load = target.load(url, target, connections, seconds)
                    load = load._replace(cpu=(cpu_time(process) - began) * 1e3 / (load.rate * seconds))
                    loads.setdefault((target.name, connections), []).append(load)
                    print(
                        f"round {round_number + 1}, {connections} connections, {target.name}: {load.rate:,.0f}/s",
                        flush=True,
                    )
        return loads, {name: memory(process) for name, (_, process) in servers.items()}


def measure(all_targets: list[Target], pd: float, rounds: int, seconds: float) -> dict[str, Any]:
    """Of several rounds the median by rate."""
    loads, rss = take_turns(all_targets, pd, rounds, seconds, CONNECTIONS)
    figures: dict[str, Any] = {}
    for target in all_targets:
        by_connections = {str(count): middle(loads[target.name, count])._asdict() for count in CONNECTIONS}
        figures[target.name] = {"connections": by_connections, "rss_mb": rss[target.name]}
    return figures


def middle(loads: list[Load]) -> Load:
    """The median round by its rate, with the errors of all."""
    chosen = sorted(loads, key=lambda load: load.rate)[len(loads) // 2]
    return chosen._replace(errors=sum(load.errors for load in loads))


def ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    """Ratios of rates at 8 connections."""

    def rate(name: str) -> float:
        return float(figures[name]["connections"]["8"]["rate"])

    best = max((rate(name) for name in PEERS if name in figures), default=float("nan"))
    at_eight = figures["API, onnx"]["connections"]["8"]
    return {
        "http_onnx_over_echo": rate("API, onnx") / rate(ECHO),
        "http_bins_over_echo": rate("API, bins") / rate(ECHO),
        "http_onnx_over_bytes_back": rate("API, onnx") / rate(BYTES),
        "http_ledger_over_no_ledger": (
            figures["API, onnx, ledger"]["connections"]["64"]["rate"]
            / figures["API, onnx"]["connections"]["64"]["rate"]
        ),
        "gradio_queue_over_http": rate("API, onnx") / rate(QUEUED),
        "http_over_best_peer": rate("API, onnx") / best,
        "http_with_ledger_over_best_peer": rate("API, onnx, ledger") / best,
        "http_p99_over_p50": at_eight["p99"] / at_eight["p50"],
    }


def beside(checkout: Path, release: Release, pd: float, rounds: int, seconds: float) -> str:
    """A table of our API here and in another checkout, at 8 connections: each engine that both have, without and with
    a ledger. The servers of one engine are up together, and take turns; ratios are medians of the rounds' ratios, since
    both sides of a round have nearly the same machine."""
    rows = ["| at 8 connections | /s here | there | here / there | CPU ms here | there | here / there |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    body = json.dumps({"answers": release.form.example})
    known = engines_of(checkout)
    for engine in (engine for engine in ENGINES if engine in known):
        with tempfile.TemporaryDirectory() as folder:
            pairs = {
                name: [
                    ours(f"{name}, {side}", engine, release, Path(folder), ledger, SCORE, body, place)
                    for side, place in (("here", ROOT), ("there", checkout))
                ]
                for name, ledger in ((f"API, {engine}", False), (f"API, {engine}, ledger", True))
            }
            loads, _ = take_turns([target for pair in pairs.values() for target in pair], pd, rounds, seconds, (8,))
        for name, pair in pairs.items():
            here, there = (loads[target.name, 8] for target in pair)
            cells = []
            for figure, form in (("rate", ",.0f"), ("cpu", ".3f")):
                own, other = ([getattr(load, figure) for load in side] for side in (here, there))
                share = statistics.median(a / b for a, b in zip(own, other, strict=True))
                cells += [f"{statistics.median(own):{form}}", f"{statistics.median(other):{form}}", f"{share:.3f}"]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def engines_of(checkout: Path) -> list[str]:
    """The engines that a checkout has."""
    program = "from inference.engines import ENGINES; print(*ENGINES)"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.split()


def main() -> int:
    """Print and keep the table; of two checkouts it is only printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, help="another checkout to compare with; the figures are only printed")
    options = parser.parse_args()
    release = max((open_release(folder) for folder in embedded()), key=lambda release: len(release.rows.columns))
    pd = next(row.pd for row in release.manifest.golden if row.answers == release.form.example)
    if options.folder:
        print(beside(options.folder, release, pd, options.rounds, options.seconds))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        all_targets, missing = targets(release, Path(folder))
        figures = measure(all_targets, pd, options.rounds, options.seconds)
    compared = ratios(figures)
    section = {"client": "wrk" if shutil.which("wrk") else "Python", "missing": missing, "targets": figures}
    results.merge("http", section, compared)
    print(table(section))
    print(", ".join(f"{name} {value:.3g}" for name, value in compared.items()))
    return 0


def table(section: Mapping[str, Any]) -> str:
    """A row per target."""
    heads = ["| | " + " | ".join(f"{count} conn.: /s | p50 | p99" for count in CONNECTIONS) + " | errors | memory |"]
    heads.append("| --- |" + " ---: |" * (3 * len(CONNECTIONS) + 2))
    rows = []
    for name, row in section["targets"].items():
        loads = [row["connections"][str(count)] for count in CONNECTIONS]
        cells = [
            cell for load in loads for cell in (f"{load['rate']:,.0f}", f"{load['p50']:.2f}", f"{load['p99']:.2f}")
        ]
        errors = sum(load["errors"] for load in loads)
        rows.append(f"| {name} | " + " | ".join(cells) + f" | {errors} | {row['rss_mb']:.0f} MB |")
    rows += [f"| {name} | {why} |" for name, why in section["missing"].items()]
    return "\n".join([*heads, *rows])


if __name__ == "__main__":
    sys.exit(main())
