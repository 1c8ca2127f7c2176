"""A program that profilers are compared on: recursion, deep and mutual."""

import sys


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def descend(depth: int) -> int:
    return sum(range(200)) if depth == 0 else descend(depth - 1)


def ping(depth: int) -> int:
    return 0 if depth == 0 else pong(depth - 1)


def pong(depth: int) -> int:
    return 0 if depth == 0 else ping(depth - 1)


def main() -> None:
    sys.setrecursionlimit(5000)
    fibonacci(25)
    for _ in range(400):
        descend(900)
        ping(800)


if __name__ == "__main__":
    main()
