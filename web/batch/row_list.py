"""The rows of a file that was scored, from the list that web/batch/worker.py has written; most of it stays on disk."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from inference.policy import DECISIONS
from web.batch.exchange import REFUSED, Row

PAGE = 50  # rows
KINDS = {**{decision: place for place, decision in enumerate(DECISIONS)}, "refused": REFUSED}
decoder = msgspec.json.Decoder(Row)


class RowList:
    """The list in a job's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kinds = (folder / "kinds").read_bytes()  # a byte a row

    def places(self, kind: str, page: int) -> tuple[list[int], int]:
        """Which rows a page shows, and how many there are of this kind: one of KINDS, or all."""
        if kind not in KINDS:
            start = PAGE * page
            return list(range(start, min(start + PAGE, len(self._kinds)))), len(self._kinds)
        wanted = KINDS[kind]
        places = [place for place, value in enumerate(self._kinds) if value == wanted]
        return places[PAGE * page : PAGE * (page + 1)], len(places)

    def rows(self, places: Sequence[int]) -> list[Row]:
        """The rows at these places."""
        rows = []
        with (self._folder / "rows.jsonl").open("rb") as lines, (self._folder / "offsets").open("rb") as offsets:
            for place in places:
                offsets.seek(8 * place)
                lines.seek(int.from_bytes(offsets.read(8), "little"))
                rows.append(decoder.decode(lines.readline()))
        return rows

    def row(self, place: int) -> Row | None:
        """One row by its place; None where the list ends before."""
        return self.rows([place])[0] if 0 <= place < len(self._kinds) else None
