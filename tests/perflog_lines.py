"""Lines of performance logs, for the readers of the web page and of the study."""

import orjson


def line(**changes: object) -> bytes:
    """A line of ours, changed; a key of None's type Ellipsis is left out."""
    ms = {"total": 1.0, "validate": 0.1, "row": 0.2, "predict": 0.6, "policy": 0.1}
    entry = {
        "time": "2026-11-23T12:00:00.000000Z", "id": "a-1", "release": "small-1", "engine": "xgboost", "ms": ms,
        "thread_cpu_ms": 0.9, "cpu_percent": None, "rss_mb": 200.5, "pd": 0.1, "decision": "approve", **changes,
    }  # fmt: skip
    return b"\n" + orjson.dumps({name: value for name, value in entry.items() if value is not ...})
