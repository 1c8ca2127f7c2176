"""A program that profilers are compared on: few calls, long in C."""

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def standardise(matrix: Matrix) -> Matrix:
    return np.asarray((matrix - matrix.mean(axis=0)) / matrix.std(axis=0))


def correlate(matrix: Matrix) -> Matrix:
    return np.asarray(matrix.T @ matrix / len(matrix))


def rank(matrix: Matrix) -> Matrix:
    return np.asarray(np.argsort(matrix, axis=0).argsort(axis=0), np.float64)


def main() -> None:
    matrix = np.random.default_rng(0).random((20_000, 60))
    for _ in range(6):
        correlate(standardise(rank(matrix)))


if __name__ == "__main__":
    main()
