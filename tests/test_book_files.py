"""Files as people have them: read as they are, or refused with what is wrong and where, and never misread."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import python_calamine
from book_files import applications, csv_text, form_of_release, parquet, rejected, score, scores, scores_from_parquet
from workbooks import sheet_of, write_xlsx

from inference.book import parquet_files
from inference.book.errors import BadBook
from inference.book.pieces import Piece, Ragged
from inference.book.records import chunks
from inference.book.sources import CsvSource, Told, open_source

pytestmark = pytest.mark.slow  # each reads and scores a file with the real release
ROWS = applications(300)
FORM = form_of_release()


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The scores of ROWS, read from Parquet."""
    return scores_from_parquet(tmp_path_factory.mktemp("expected"), ROWS)


def check_text(tmp_path: Path, expected: pa.Table, content: bytes, *words: str, name: str = "in.csv") -> pa.Table:
    """The file's scores are those of ROWS."""
    (tmp_path / name).write_bytes(content)
    assert score(tmp_path / name, tmp_path / "out", *words) == 0
    found = scores(tmp_path / "out")
    assert found.select(expected.column_names).equals(expected)
    return found


def refusal(tmp_path: Path, content: bytes, name: str = "in.csv") -> str:
    """What is said of a file that cannot be read."""
    (tmp_path / name).write_bytes(content)

    def read() -> None:
        for part in open_source(str(tmp_path / name), FORM, {}, Told()).parts(()):
            list(part.read())

    with pytest.raises(BadBook) as error:
        read()
    return str(error.value)


# --- what is read ---


def test_a_csv_file_has_the_scores_of_a_parquet_file(tmp_path: Path, expected: pa.Table) -> None:
    """Ids keep their zeros; no row is refused."""
    found = check_text(tmp_path, expected, csv_text(ROWS).encode())
    assert found["loan_id"][7].as_py() == "000000000007"
    assert rejected(tmp_path / "out") == []


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_found_out_and_said(
    tmp_path: Path, expected: pa.Table, separator: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the header, which must have the fields under it."""
    check_text(tmp_path, expected, csv_text(ROWS, separator).encode(), "--json")
    said = json.loads(capsys.readouterr().out.splitlines()[0])
    assert said == {"event": "reading", "format": "csv", "encoding": "utf-8", "separator": separator, "decimal": "."}


def test_semicolons_with_decimal_commas(tmp_path: Path, expected: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    """The decimal mark is found out and said; told wrongly, the rows are refused."""
    rows = [
        {name: f"{value:.2f}".replace(".", ",") if isinstance(value, float) else value for name, value in row.items()}
        for row in ROWS
    ]
    content = csv_text(rows, ";").encode()
    check_text(tmp_path, expected, content)
    assert "decimal mark ," in capsys.readouterr().err
    assert score(tmp_path / "in.csv", tmp_path / "wrong", "--decimal", ".") == 0
    wrong = rejected(tmp_path / "wrong")
    assert {line["problem"] for line in wrong} == {"decimal_mark"}
    assert len({line["row"] for line in wrong}) == len(ROWS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, expected: pa.Table, encoding: str) -> None:
    """UTF-8 with one as spreadsheets write it, and UTF-16."""
    rows = [row | {"name": "Zoë €"} for row in ROWS]
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    found = check_text(tmp_path, expected, (mark + csv_text(rows)).encode(encoding))
    assert set(found["name"].to_pylist()) == {"Zoë €"}


def test_latin_1_is_refused_unless_it_is_said(tmp_path: Path, expected: pa.Table) -> None:
    """The row is named; told, the letters are right."""
    rows = [row | {"name": "Zoë" if at == 40 else "Ann"} for at, row in enumerate(ROWS)]
    content = csv_text(rows).encode("latin-1")
    assert "row 42: this is not UTF-8" in refusal(tmp_path, content)
    found = check_text(tmp_path, expected, content, "--encoding", "latin-1")
    assert found["name"][40].as_py() == "Zoë"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("block", [64, 257, 1000, 4096])
def test_quoted_line_ends_at_every_edge_of_a_block(tmp_path: Path, ending: str, block: int) -> None:
    """Whatever the block's size, each record comes whole, with its number."""
    notes = ["plain", "two\nlines", "win\r\ndows", 'she said "no"', "a,b", "\n\n", '""', "", "é\u2028é"]
    rows = [row | {"note": notes[at % len(notes)]} for at, row in enumerate(ROWS)]
    (tmp_path / "in.csv").write_bytes(csv_text(rows, ending=ending).encode())
    source = CsvSource(str(tmp_path / "in.csv"), FORM, {}, Told(), block)
    pieces = [piece for part in source.parts(()) for piece in part.read()]
    assert [note for piece in pieces for note in piece.batch["note"].to_pylist()] == [
        row["note"] or None for row in rows
    ]
    assert np.concatenate([piece.rows for piece in pieces]).tolist() == list(range(2, len(rows) + 2))
    assert len(pieces) > 1


def test_a_record_longer_than_a_block(tmp_path: Path, expected: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read whole; only one longer than 64 MB is refused."""
    rows = [row | {"note": "x" * 9_000_000 if at == 7 else "y"} for at, row in enumerate(ROWS)]
    check_text(tmp_path, expected, csv_text(rows).encode())
    monkeypatch.setattr("inference.book.records.LONGEST", 1 << 20)
    assert "row 9 is longer than 1 MB" in refusal(tmp_path, csv_text(rows).encode())


def test_blank_lines_count(tmp_path: Path) -> None:
    """A refused row has the number that a spreadsheet shows, after blank lines too."""
    lines = csv_text(ROWS).splitlines()
    lines[50] = lines[50].replace(lines[50].split(",")[1], "abc", 1)
    lines[10:10] = ["", "", ""]
    lines[0:0] = [""]
    for ending in ("\n", "\r\n"):
        folder = tmp_path / repr(ending)
        folder.mkdir()
        (folder / "in.csv").write_bytes(ending.join(lines).encode())
        assert score(folder / "in.csv", folder / "out") == 0
        assert {line["row"] for line in rejected(folder / "out")} == {"55"}
        assert scores(folder / "out").num_rows == len(ROWS) - 1


def test_ragged_rows_are_refused_one_by_one(tmp_path: Path, expected: pa.Table) -> None:
    """With the number of columns they have; all others are scored."""
    lines = csv_text(ROWS).splitlines()
    columns = len(ROWS[0])
    lines[5:5] = [lines[1] + ",more"]
    lines[20:20] = ["1,2"]
    lines.append("  ")
    check_text(tmp_path, expected, "\n".join(lines).encode())
    assert [(line["row"], line["problem"], line["allowed"], line["got"]) for line in rejected(tmp_path / "out")] == [
        ("6", "columns", f"{columns} columns", f"{columns + 1} columns"),
        ("21", "columns", f"{columns} columns", "2 columns"),
        ("304", "columns", f"{columns} columns", "1 columns"),
    ]


@pytest.mark.parametrize("block", [300, 5_000, 1 << 20])
@pytest.mark.parametrize("rows_a_part", [1, 7, 100, 1000])
def test_parts_of_a_csv_have_that_many_rows(tmp_path: Path, block: int, rows_a_part: int) -> None:
    """Wherever blocks end, each row is in one part, in order: blank lines do not count, refused rows do."""
    noted = [row | {"note": "two\nlines" if at % 9 == 0 else "one"} for at, row in enumerate(ROWS)]
    lines = csv_text(noted).split("\n")
    lines[40:40] = ["", "1,2", "", ""]
    (tmp_path / "in.csv").write_text("\n".join([*lines, "3"]))

    def parts(options: Told, block: int) -> list[list[Piece]]:
        source = CsvSource(str(tmp_path / "in.csv"), FORM, {}, options, block=block)
        return [list(part.read()) for part in source.parts(())]

    def everything(parts: list[list[Piece]]) -> tuple[list[int], list[Ragged], list[dict[str, object]]]:
        pieces = [piece for part in parts for piece in part]
        batches = pa.Table.from_batches([piece.batch for piece in pieces])
        numbers = [int(number) for piece in pieces for number in piece.rows]
        return numbers, [record for piece in pieces for record in piece.ragged], batches.to_pylist()

    cut = parts(Told(rows_a_part=rows_a_part), block)
    sizes = [sum(len(piece.rows) + len(piece.ragged) for piece in part) for part in cut]
    assert sizes == [rows_a_part] * (302 // rows_a_part) + [302 % rows_a_part] * (302 % rows_a_part > 0)
    assert everything(cut) == everything(parts(Told(), 1 << 20))


def test_na_is_a_text_and_empty_is_not_stated(tmp_path: Path) -> None:
    """`NA`, `null` and `nan` are answers like any other; only an empty cell is not stated."""
    rows = [row | {"state": text} for row, text in zip(ROWS, ["NA", "null", "nan", "N/A", ""], strict=False)]
    (tmp_path / "in.csv").write_text(csv_text(rows))
    assert score(tmp_path / "in.csv", tmp_path / "out") == 0
    assert scores(tmp_path / "out")["state"].to_pylist() == ["NA", "null", "nan", "N/A", None]


def test_ids_beyond_64_bits_stay_texts(tmp_path: Path) -> None:
    """So does whatever else is carried through."""
    ids = ["00017", "9223372036854775809", "1e5", "1.50", " 7", "=1+1"]
    rows = [row | {"loan_id": one} for row, one in zip(ROWS, ids, strict=False)]
    (tmp_path / "in.csv").write_text(csv_text(rows))
    assert score(tmp_path / "in.csv", tmp_path / "out") == 0
    assert scores(tmp_path / "out")["loan_id"].to_pylist() == ids


def test_gz_of_one_member_and_of_several(tmp_path: Path, expected: pa.Table) -> None:
    """As `cat` makes them of two files."""
    content = csv_text(ROWS).encode()
    check_text(tmp_path, expected, gzip.compress(content[:5000]) + gzip.compress(content[5000:]), name="in.csv.gz")


def test_zst(tmp_path: Path, expected: pa.Table) -> None:
    """Arrow unpacks it."""
    content = pa.compress(csv_text(ROWS).encode(), codec="zstd", asbytes=True)
    check_text(tmp_path, expected, content, name="in.csv.zst")


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_that_is_cut_off_is_refused(tmp_path: Path, ending: str) -> None:
    """Wherever it is cut: never the rows until there as if they were all."""
    content = csv_text(ROWS).encode()
    packed = gzip.compress(content) if ending == "gz" else pa.compress(content, codec="zstd", asbytes=True)
    for cut in (len(packed) - 1, len(packed) - 9, len(packed) // 2):
        assert "cut off or damaged" in refusal(tmp_path, packed[:cut], name=f"in.csv.{ending}")


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "the file is empty"),
        (lambda text: text.replace("price", "amount", 1), "two columns are called 'amount'"),
        (lambda text: text.replace("price", "prize", 1), r"no column for 'price' \(nearest: 'prize'"),
        (lambda text: text.replace("000000000003,", '5" x 6",', 1), "row 5: a quote mark inside a value"),
        (lambda text: text.replace("000000000003,", '"x"y,', 1), "row 5: a quote mark inside a value"),
        (lambda text: text.replace("000000000003,", ' "x",', 1), "row 5: a quote mark inside a value"),
        (lambda text: text.replace("000000000003,", '"x,', 1), "row 5 does not end"),
        (lambda text: text.replace("000000000003,", "a\rb,", 1), "row 5: a carriage return without a line feed"),
        (lambda text: text.replace("\n", "\r"), "row 1"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    """With the row, or the nearest names."""
    assert message.replace("\\", "") in refusal(tmp_path, change(csv_text(ROWS)).encode())


def test_a_header_only(tmp_path: Path) -> None:
    """No rows in, no rows out: one part with all columns."""
    for name, content in (("in.csv", csv_text(ROWS).splitlines()[0].encode()), ("two.csv", b"\n")):
        (tmp_path / name).write_bytes(content)
    assert score(tmp_path / "in.csv", tmp_path / "out") == 0
    assert scores(tmp_path / "out").num_rows == 0
    assert scores(tmp_path / "out").column_names[:2] == ["loan_id", "pd"]
    with pytest.raises(BadBook, match="no column for"):
        open_source(str(tmp_path / "two.csv"), FORM, {}, Told())


def test_chunks_of_nothing_but_blank_lines() -> None:
    """They hold no records."""
    import io

    assert [len(one.numbers) for one in chunks(io.BytesIO(b"\n\r\n\n"), "utf-8", ",", "x")] == [0]


# --- Parquet ---


def test_row_groups_of_no_rows_and_dictionaries_with_unused_entries(tmp_path: Path, expected: pa.Table) -> None:
    """Nothing is lost, and no entry that nobody uses matters."""
    table = pa.Table.from_pylist(ROWS)
    for name in FORM.names:
        if pa.types.is_string(table.schema.field(name).type):
            column = table[name].combine_chunks().dictionary_encode()
            entries = pa.concat_arrays([column.dictionary, pa.array(["nobody", "uses"])])
            column = pa.DictionaryArray.from_arrays(column.indices, entries)
            table = table.set_column(table.schema.get_field_index(name), name, column)
    with pq.ParquetWriter(tmp_path / "in.parquet", table.schema) as writer:
        for part in (table[:0], table[:100], table[:0], table[100:], table[:0]):
            writer.write_table(part)
    assert score(tmp_path / "in.parquet", tmp_path / "out") == 0
    assert scores(tmp_path / "out").equals(expected)
    pq.write_table(table[:0], tmp_path / "none.parquet")
    assert score(tmp_path / "none.parquet", tmp_path / "none") == 0
    assert scores(tmp_path / "none").num_rows == 0


def test_large_row_groups_are_read_in_parts(
    tmp_path: Path, expected: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same rows, and the same numbers of those that are refused."""
    monkeypatch.setattr(parquet_files, "LARGEST_GROUP", 50)
    rows = [row | ({"amount": None} if at == 277 else {}) for at, row in enumerate(ROWS)]
    assert score(parquet(tmp_path / "in.parquet", rows, 170), tmp_path / "out", "--rows-a-part", 40) == 0
    assert [(line["row"], line["problem"]) for line in rejected(tmp_path / "out")] == [("278", "not_stated")]
    keep = pa.array([at != 277 for at in range(len(ROWS))])
    assert scores(tmp_path / "out").equals(expected.filter(keep))
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 5 + 4


def test_decimals_are_numbers(tmp_path: Path, expected: pa.Table) -> None:
    """decimal128, as banks' exports have amounts."""
    rows = [row | {"amount": Decimal(str(row["amount"])).quantize(Decimal("0.01"))} for row in ROWS]
    assert score(parquet(tmp_path / "in.parquet", rows), tmp_path / "out") == 0
    assert scores(tmp_path / "out").equals(expected)


def test_a_folder_whose_schemas_differ_is_refused(tmp_path: Path, expected: pa.Table) -> None:
    """By the first file and column that differ; a folder whose files agree is one book."""
    folder = tmp_path / "in"
    folder.mkdir()
    parquet(folder / "a.parquet", ROWS[:100])
    parquet(folder / "b.parquet", ROWS[100:])
    assert score(folder, tmp_path / "out") == 0
    assert scores(tmp_path / "out").equals(expected)
    parquet(folder / "b.parquet", [row | {"loan_id": at} for at, row in enumerate(ROWS)])
    with pytest.raises(BadBook, match=r"b.parquet: column 'loan_id' holds int64, in a.parquet string"):
        open_source(str(folder), FORM, {}, Told())
    parquet(folder / "b.parquet", [row | {"more": 1} for row in ROWS])
    with pytest.raises(BadBook, match=r"b.parquet: column 'more' is not in a.parquet"):
        open_source(str(folder), FORM, {}, Told())


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, True, b"1"])
def test_columns_of_a_type_that_cannot_hold_the_answers_are_refused_at_once(tmp_path: Path, value: object) -> None:
    """Nested ones, booleans, bytes: with the column's name and type."""
    file = parquet(tmp_path / "in.parquet", [row | {"amount": value} for row in ROWS])
    with pytest.raises(BadBook, match=r"column 'amount' holds .*, but amount is a number"):
        open_source(str(file), FORM, {}, Told())


# --- Arrow, workbooks, addresses ---


def arrow(file: Path, rows: list[dict[str, object]], *, stream: bool = False, batch: int = 70) -> Path:
    table = pa.Table.from_pylist(rows)
    with (ipc.new_stream if stream else ipc.new_file)(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch)
    return file


@pytest.mark.parametrize("stream", [False, True])
def test_arrow_files_and_streams(tmp_path: Path, expected: pa.Table, stream: bool) -> None:
    """In parts that batches lie across; refused rows have their numbers."""
    assert score(arrow(tmp_path / "in.arrow", ROWS, stream=stream), tmp_path / "out", "--rows-a-part", 100) == 0
    assert scores(tmp_path / "out").equals(expected)
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 3
    rows = [row | {"amount": -1.0} if at == 222 else row for at, row in enumerate(ROWS)]
    assert score(arrow(tmp_path / "in.arrow", rows, stream=stream), tmp_path / "bad", "--rows-a-part", 100) == 0
    assert [line["row"] for line in rejected(tmp_path / "bad")] == ["223"]


def test_a_stream_that_is_cut_off_or_followed_by_another_is_refused(tmp_path: Path) -> None:
    """Wherever it is cut, between two batches too: never the rows until there as if they were all."""
    content = arrow(tmp_path / "whole.arrows", ROWS, stream=True).read_bytes()
    for end in (len(content) - 8, len(content) - 1, len(content) - 3000, 300, 3):
        assert "in.arrows" in refusal(tmp_path, content[:end], "in.arrows")
    assert "no end mark" in refusal(tmp_path, content[:-8], "in.arrows")
    assert "something follows the stream's end" in refusal(tmp_path, content + content, "in.arrows")


def test_an_arrow_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Its footer is missing."""
    content = arrow(tmp_path / "whole.arrow", ROWS).read_bytes()
    for end in (len(content) - 1, len(content) // 2, 8):
        assert "in.arrow" in refusal(tmp_path, content[:end], "in.arrow")
    assert "the file is empty" in refusal(tmp_path, b"", "in.arrow")


def test_a_workbook_has_the_scores_of_a_parquet_file(tmp_path: Path, expected: pa.Table) -> None:
    """Numbers as numbers, ids as texts; blank rows count, as in the spreadsheet."""
    lines = [[], *sheet_of(ROWS[:100]), [], *sheet_of(ROWS)[101:]]
    lines[151] = [cell if at != 1 else "many" for at, cell in enumerate(lines[151])]
    write_xlsx(tmp_path / "in.xlsx", {"loans": lines})
    assert score(tmp_path / "in.xlsx", tmp_path / "out", "--rows-a-part", 77) == 0
    found = scores(tmp_path / "out")
    refused = lines[151][0]
    assert found.equals(expected.filter(pc.not_equal(expected["loan_id"], refused)))
    assert [(line["row"], line["field"], line["got"]) for line in rejected(tmp_path / "out")] == [
        ("152", "amount", "'many'")
    ]


def test_numbers_beside_texts_in_a_workbook_mean_the_same(tmp_path: Path, expected: pa.Table) -> None:
    """A column with numbers and texts: 18.125 is never taken for 18125, and texts are read by the decimal mark."""
    rows = [row | {"amount": str(row["amount"]).replace(".", ",")} if at % 2 else row for at, row in enumerate(ROWS)]
    rows[0] = rows[0] | {"amount": 1118.125}
    write_xlsx(tmp_path / "in.xlsx", {"loans": sheet_of(rows)})
    assert score(tmp_path / "in.xlsx", tmp_path / "out", "--decimal", ",") == 0
    assert not rejected(tmp_path / "out")
    assert scores(tmp_path / "out").slice(1).equals(expected.slice(1))
    plain = parquet(tmp_path / "one.parquet", rows[:1])
    assert score(plain, tmp_path / "one") == 0
    assert scores(tmp_path / "out").slice(0, 1).equals(scores(tmp_path / "one"))


def test_which_sheet_is_told(tmp_path: Path, expected: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several none is guessed; what is no workbook is refused."""
    write_xlsx(tmp_path / "in.xlsx", {"notes": [["read me"]], "loans": sheet_of(ROWS)})
    assert score(tmp_path / "in.xlsx", tmp_path / "out") == 1
    assert "--sheet takes one of 'notes', 'loans'" in capsys.readouterr().err
    assert score(tmp_path / "in.xlsx", tmp_path / "out", "--sheet", "loan") == 1
    assert "there is no sheet 'loan'" in capsys.readouterr().err
    assert score(tmp_path / "in.xlsx", tmp_path / "out", "--sheet", "loans") == 0
    assert scores(tmp_path / "out").equals(expected)
    assert "sheet loans" in capsys.readouterr().err
    assert score(tmp_path / "in.xlsx", tmp_path / "out2", "--sheet", "notes") == 1
    assert "no column for 'amount'" in capsys.readouterr().err
    assert "is not a workbook" in refusal(tmp_path, b"PK\x03\x04 but no more", "bad.xlsx")
    unnamed = sheet_of(ROWS)
    unnamed[5].append("a note")
    write_xlsx(tmp_path / "in.xlsx", {"loans": unnamed})
    assert score(tmp_path / "in.xlsx", tmp_path / "out3") == 1
    assert "row 6 has a value in a column without a name" in capsys.readouterr().err


def test_merged_cells_within_the_rows_are_refused(tmp_path: Path, expected: pa.Table) -> None:
    """Only the first of them has a value: the other rows would be scored as if nothing were stated. Above the rows they
    do no harm."""
    column = chr(ord("A") + list(ROWS[0]).index("home"))
    for name, merged in (("above.xlsx", "A1:C1"), ("within.xlsx", f"{column}5:{column}9")):
        write_xlsx(tmp_path / name, {"loans": sheet_of(ROWS)}, [merged])
    assert score(tmp_path / "above.xlsx", tmp_path / "out") == 0
    assert scores(tmp_path / "out").equals(expected)
    with pytest.raises(BadBook, match=f"the cells {column}5:{column}9 are merged"):
        open_source(str(tmp_path / "within.xlsx"), FORM, {}, Told())


def test_a_workbook_out_reads_as_what_was_written(tmp_path: Path) -> None:
    """Floats to the last bit; ids and long numbers as texts; what XML cannot hold, and what looks like a formula."""
    odd = ["00017", "=1+1", "a<b&c", "bell\x07", "_x0007_", " two\nlines ", None, "é€"]
    more = [{"note": odd[at % len(odd)], "long": 2**60 + at, "flag": at % 2 == 0} for at in range(len(ROWS))]
    book = parquet(tmp_path / "in.parquet", [row | extra for row, extra in zip(ROWS, more, strict=True)])
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    for name in ("a.xlsx", "b.xlsx"):
        assert score(book, tmp_path / name, "--rows-a-part", 100) == 0
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    header, *cells = python_calamine.CalamineWorkbook.from_path(tmp_path / "a.xlsx").get_sheet_by_index(0).to_python()
    table = scores(tmp_path / "out")
    assert header == table.column_names
    for name, column in zip(table.column_names, zip(*cells, strict=True), strict=True):
        written = [
            "" if value is None else str(value) if name == "long" else value for value in table[name].to_pylist()
        ]
        assert list(column) == written, name


def test_addresses_that_fsspec_knows(tmp_path: Path, expected: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    """A file inside an archive and in memory, a folder there; what cannot be opened says why."""
    memory = fsspec.filesystem("memory")
    content = csv_text(ROWS).encode()
    with memory.open("/book/in.csv", "wb") as stream:
        stream.write(content)
    for number, start in enumerate((0, 150)):
        with memory.open(f"/book/parts/{number}.parquet", "wb") as stream:
            pq.write_table(pa.Table.from_pylist(ROWS[start : start + 150]), stream)
    with ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("in.csv", content)
    try:
        for number, address in enumerate(
            ("memory://book/in.csv", "memory://book/parts", f"zip://in.csv::{tmp_path / 'in.zip'}")
        ):
            assert score(address, tmp_path / f"out{number}") == 0
            assert scores(tmp_path / f"out{number}").equals(expected)
    finally:
        memory.rm("/book", recursive=True)
    assert score("memory://book/in.csv", tmp_path / "gone") == 1
    assert "memory://book/in.csv" in capsys.readouterr().err
    assert score("nothing://book/in.csv", tmp_path / "gone") == 1
    assert "Protocol not known" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow", "xlsx"])
def test_a_wrong_schema_is_refused_before_anything_is_opened(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the engine is: with all that is missing and the nearest names."""
    rows = [{{"amount": "Amount", "price": "prices"}.get(name, name): row[name] for name in row} for row in ROWS[:9]]
    file = tmp_path / f"in.{ending}"
    if ending == "csv":
        file.write_text(csv_text(rows))
    elif ending == "parquet":
        parquet(file, rows)
    elif ending == "arrow":
        arrow(file, rows)
    else:
        write_xlsx(file, {"loans": sheet_of(rows)})
    monkeypatch.setattr("inference.book.command.open_engine", lambda *_: pytest.fail("the engine was opened"))
    assert score(file, tmp_path / "out") == 1
    assert "no column for 'amount' (nearest: 'Amount'), 'price' (nearest: 'prices'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
