"""A program that profilers are compared on: many coroutines that wait and work by turns."""

import asyncio


def parse_answer(number: int) -> int:
    return sum(int(digit) for digit in str(number * 7919) * 40)


async def fetch_page(number: int) -> int:
    await asyncio.sleep(0.001)
    return parse_answer(number)


async def crawl(pages: int) -> int:
    return sum(await asyncio.gather(*(fetch_page(number) for number in range(pages))))


def main() -> None:
    asyncio.run(crawl(12_000))


if __name__ == "__main__":
    main()
