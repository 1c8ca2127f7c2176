"""A program that profilers are compared on: work in threads while the main thread waits."""

import json
from concurrent.futures import ThreadPoolExecutor


def encode_rows(rows: int) -> int:
    return len(json.dumps([{"row": row, "value": row / 7} for row in range(rows)]))


def sum_squares(to: int) -> int:
    return sum(one * one for one in range(to))


def worker(_: int) -> int:
    return encode_rows(4_000) + sum_squares(60_000)


def main() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(40)))


if __name__ == "__main__":
    main()
