"""Where a book comes from, by its name's ending: CSV, Arrow or Parquet, a workbook, or a folder of Parquet files."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from inference.application import Form
from inference.book.arrow_files import ArrowSource
from inference.book.csv_files import SEPARATORS, CsvSource
from inference.book.errors import BadBook
from inference.book.parquet_files import ParquetSource
from inference.book.pieces import (
    PARQUET,
    ROWS_A_PART,
    Part,
    Piece,
    Source,
    Told,
    files_of,
    is_address,
    on_one_line,
)
from inference.book.workbooks import WorkbookSource

__all__ = ["FORMATS", "ROWS_A_PART", "SEPARATORS", "CsvSource", "Part", "Piece", "Source", "Told", "open_source"]
FORMATS = {"csv": "CSV", "parquet": "Parquet", "arrow": "Arrow", "xlsx": "a workbook"}
KINDS: dict[tuple[str, ...], Callable[[str, Form, Mapping[str, str], Told], Source]] = {
    PARQUET: ParquetSource,
    (".csv", ".tsv", ".txt"): CsvSource,
    (".arrow", ".arrows", ".feather", ".ipc"): ArrowSource,
    (".xlsx",): WorkbookSource,
}


def open_source(path: str, form: Form, mapping: Mapping[str, str], options: Told) -> Source:
    """The file or folder. Raises `BadBook`."""
    name = path.partition("::")[0].lower() if is_address(path) else path.lower()
    name = name.removesuffix(".gz").removesuffix(".zst")
    kind = next((kind for endings, kind in KINDS.items() if name.endswith(endings)), None)
    try:
        if files_of(path) is not None:
            kind = ParquetSource
        if kind is not None:
            return kind(path, form, mapping, options)
    except pa.ArrowException as error:
        raise BadBook(f"{path}: {on_one_line(error)}") from None
    raise BadBook(
        f"{path}: a folder, or a name ending in .parquet, .csv, .tsv, .txt (.csv also with .gz or .zst), .arrow or "
        ".xlsx is needed"
    )
