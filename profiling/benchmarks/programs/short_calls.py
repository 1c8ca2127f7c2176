"""A program that profilers are compared on: millions of calls that do next to nothing."""


def add_one(number: int) -> int:
    return number + 1


def is_even(number: int) -> bool:
    return number % 2 == 0


def count_up(to: int) -> int:
    number = 0
    while number < to:
        number = add_one(number)
        is_even(number)
    return number


def main() -> None:
    for _ in range(6):
        count_up(200_000)


if __name__ == "__main__":
    main()
