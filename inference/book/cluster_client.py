"""Opens the way to a Dask cluster, or says in one line why it is closed: the address, TLS, no scheduler, no worker."""

import asyncio
import importlib
import multiprocessing
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.process import BaseProcess
from types import ModuleType

from inference.book.cluster_messages import first_line, news_of_dask
from inference.book.errors import BadBook, BookStopped
from inference.extras import extra

WAIT = 60  # seconds for a scheduler to answer, and for the first worker
ADDRESS = re.compile(r"local(:[1-9][0-9]{0,3})?|(tcp|tls|ws|wss)://[^\s]+")
TLS = {"ca-file": "CA_FILE", "client.cert": "CLIENT__CERT", "client.key": "CLIENT__KEY"}  # as Dask and its variables
VARIABLE = "DASK_DISTRIBUTED__COMM__TLS__"
# Dask's processes look at themselves 50 times a second, and at what a worker executes 100 times: beside parts that take
# seconds that is much of what scheduler and client cost.
SELDOM: dict[str, str | bool] = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.profile.enabled": False,
}


@contextmanager
def cluster_client(address: str) -> Iterator[object]:
    """A `distributed.Client`: of processes of its own for `local` or `local:N`, else of the scheduler at an address.

    TLS and all else is as Dask is configured (`DASK_DISTRIBUTED__COMM__TLS__CA_FILE` and so on, or its YAML files).
    Raises `BookStopped` where no scheduler or no worker answers.
    """
    if not ADDRESS.fullmatch(address):
        raise BadBook(f"--cluster {address}: local, local:N, tcp://HOST:PORT or tls://HOST:PORT is needed")
    with extra("cluster"):
        distributed = importlib.import_module("distributed")
        look_seldom(importlib.import_module("dask.config"))
    with ExitStack() as stack:
        news = stack.enter_context(news_of_dask())
        try:
            server, workers = address, 1
            if address.startswith("local"):
                workers = int(address.partition(":")[2] or os.cpu_count() or 1)
                stack.callback(end_others, multiprocessing.active_children())
                server = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        dashboard_address=None,
                        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else 8787, which may be in use
                    )
                )
            else:
                asyncio.run(answers(distributed, address))
            client = stack.enter_context(distributed.Client(server, timeout=WAIT))
            client.wait_for_workers(workers, timeout=WAIT)
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # TLS that is missing among them
            raise BookStopped(no_answer(address, error)) from None
        with news.shown():
            yield client


def look_seldom(settings: ModuleType) -> None:
    """Make SELDOM the defaults, before which counts what a user configures."""
    nested: dict[str, object] = {}
    settings.set(SELDOM, config=nested)
    settings.update_defaults(nested)


def end_others(before: Sequence[BaseProcess]) -> None:
    """End the workers that Dask left: one that it began to start again as the run ended would wait for ever. Processes
    that were there before are not Dask's."""
    for child in multiprocessing.active_children():
        if child not in before:
            child.kill()


async def answers(distributed: ModuleType, address: str) -> None:
    """Wait for a scheduler's first words. Dask's client would wait for ever for those of what is no scheduler."""
    security = distributed.Security().get_connection_args("client")
    async with asyncio.timeout(WAIT):
        connection = await distributed.comm.connect(address, timeout=WAIT, **security)
    await connection.close()


def no_answer(address: str, error: BaseException) -> str:
    """Why nothing answers at an address, and what to do."""
    causes = chain(error)
    reasons = {type(cause).__name__: first_line(cause) for cause in causes if first_line(cause)}
    name, reason = list(reasons.items())[-1] if reasons else (type(error).__name__, "nothing there speaks as Dask does")
    problem = f"--cluster {address}: no workers answer there ({name}: {reason})."
    if address.startswith(("tls:", "wss:")) or any(
        isinstance(cause, ssl.SSLError) or "TLS" in str(cause) or "encryption" in str(cause) for cause in causes
    ):
        return f"{problem} {tls_advice()}"
    if address.startswith("local"):
        return f"{problem} Try fewer, such as local:1, or leave --cluster out: this machine scores the file alone."
    return f"{problem} Start a scheduler and workers there, or name their address; is it tls:// instead?"


def chain(error: BaseException) -> list[BaseException]:
    """An exception and what caused it, the first cause last."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def tls_advice() -> str:
    """What to do about certificates: the setting that names no file, else where they are told."""
    dask = importlib.import_module("dask")
    for setting, variable in TLS.items():
        value = dask.config.get(f"distributed.comm.tls.{setting}", None)
        if value is None and setting != "client.key":  # a key may be in the certificate's file
            return f"{VARIABLE}{variable} is not set: docs/scale.md says what TLS needs"
        if value is not None and "\n" not in value and not os.path.isfile(value):
            return f"{VARIABLE}{variable} names {value}, where no file is"
    return f"Check {VARIABLE}… of this machine: the cluster takes certificates of its own authority (docs/scale.md)"
