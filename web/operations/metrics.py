"""`GET /metrics` for Prometheus: latency by stage, decisions, refused applications, dropped log lines, events."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool

from inference.perflog_lines import STAGES
from inference.scorer import Score, Scorer
from ledger.errors import UNREADABLE
from ledger.ledger import Ledger
from ledger.outbox import EndpointState

TIMED = ("total", *STAGES)
BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # ms
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Counts scores, and exports the counts when Prometheus asks for them.

    Prometheus's own histogram takes a lock for each observation, and a score has five. No lock is needed here, since
    all counting happens on the event loop's thread.
    """

    def __init__(self, scorer: Scorer, ledger: Ledger | None) -> None:
        self._scorer, self._ledger = scorer, ledger
        self._decisions: Counter[str] = Counter()
        self._sums = dict.fromkeys(TIMED, 0.0)
        self._buckets = {stage: [0] * (len(BOUNDS) + 1) for stage in TIMED}
        self.refused = 0
        self.endpoints: list[EndpointState] = []  # of webhooks, as `look` found them
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def count(self, score: Score) -> None:
        """Count a score."""
        self._decisions[score.decision] += 1
        for stage, ms in score.milliseconds.items():
            self._sums[stage] += ms
            self._buckets[stage][bisect_left(BOUNDS, ms)] += 1

    def look(self) -> None:
        """Ask the ledger how many events wait."""
        if self._ledger is not None:
            with suppress(*UNREADABLE):  # then they are as they were; tenfold_ledger_up and /readyz say what is wrong
                self.endpoints = self._ledger.endpoint_states()

    def collect(self) -> Iterator[HistogramMetricFamily | CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]:
        """All metrics, in Prometheus's units: seconds and bytes."""
        latency = HistogramMetricFamily("tenfold_score_seconds", "Wall time of a score by stage.", labels=["stage"])
        for stage in TIMED:
            total, buckets = 0, []
            for bound, count in zip((*BOUNDS, None), self._buckets[stage], strict=True):
                total += count
                buckets.append(("+Inf" if bound is None else f"{bound / 1e3:g}", total))
            latency.add_metric([stage], buckets, self._sums[stage] / 1e3)
        yield latency
        decisions = CounterMetricFamily("tenfold_decisions", "Suggested decisions.", labels=["decision"])
        for name in ("approve", "refer", "decline"):
            decisions.add_metric([name], self._decisions[name])
        yield decisions
        yield CounterMetricFamily("tenfold_refused", "Applications that could not be scored.", value=self.refused)
        dropped = self._scorer.log.dropped if self._scorer.log else 0
        yield CounterMetricFamily("tenfold_log_dropped", "Performance log lines that were not written.", value=dropped)
        if self._ledger is not None:
            up = float(self._ledger.problem is None)
            yield GaugeMetricFamily("tenfold_ledger_up", "Whether the last write to the ledger succeeded.", value=up)
            gauge = GaugeMetricFamily("tenfold_outbox", "Events not delivered.", labels=["endpoint", "state"])
            for endpoint in self.endpoints:
                gauge.add_metric([endpoint.name, "waiting"], endpoint.waiting)
                gauge.add_metric([endpoint.name, "failed"], endpoint.failed)
            yield gauge
        release = InfoMetricFamily("tenfold_release", "What is served.")
        names = {"release": self._scorer.release.name, "engine": self._scorer.engine.name}
        release.add_metric([], names)
        yield release


def metrics_routes(metrics: Metrics) -> APIRouter:
    """`GET /metrics`."""
    router = APIRouter()

    @router.get("/metrics")
    async def show() -> Response:
        await run_in_threadpool(metrics.look)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE)

    return router
