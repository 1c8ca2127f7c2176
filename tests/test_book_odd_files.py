"""Odd files that other programs, or people, make: read as they mean, or refused with what is wrong, never misread."""

import base64
import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
import python_calamine
from book_files import applications, csv_text, form_of_release, rejected, score, scores, scores_from_parquet
from workbooks import LINKS, MAIN, PARTS, sheet_of, write_xlsx

from inference.book.errors import BadBook
from inference.book.sources import Told, open_source

pytestmark = pytest.mark.slow  # each reads and scores a file with the real release
ROWS = applications(60)
TEXT = csv_text(ROWS)
MIXED = "".join(line + ("\r\n" if at % 2 else "\n") for at, line in enumerate(TEXT.splitlines()))
TABLE = pa.Table.from_pylist(ROWS)
FORM = form_of_release()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The scores of ROWS, read from Parquet."""
    return scores_from_parquet(tmp_path_factory.mktemp("expected"), ROWS)


def check_equal(file: Path, expected: pa.Table, *words: str) -> None:
    """All rows are scored as ROWS are."""
    out = file.with_name(f"{file.name}-out")
    assert score(file, out, *words) == 0
    assert rejected(out) == []
    assert scores(out).select(expected.column_names).equals(expected)


def check_refused_rows(file: Path, expected: pa.Table, rows: dict[str, str]) -> None:
    """These rows (number -> field) are refused, and all others are scored as ROWS are."""
    out = file.with_name(f"{file.name}-out")
    assert score(file, out) == 0
    assert {line["row"]: line["field"] for line in rejected(out)} == rows
    scored = scores(out)
    assert scored.equals(expected.filter(pc.is_in(expected["loan_id"], scored["loan_id"])))
    assert scored.num_rows >= len(ROWS) - len(rows)


def refusal(file: Path, told: Told | None = None) -> str:
    """What is said of a file that cannot be read."""

    def read() -> None:
        for part in open_source(str(file), FORM, {}, told or Told()).parts(()):
            list(part.read())

    with pytest.raises(BadBook) as error:
        read()
    message = str(error.value)
    assert "\n" not in message
    return message


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def zst(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


# --- CSV ---


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # a frame of zstd that holds no content


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mixed-ends.csv", MIXED, ()),
        ("all-quoted.csv", re.sub(r"[^,\n]+", r'"\g<0>"', TEXT), ()),
        ("quoted-header.csv", TEXT.replace("amount", '"amount"', 1), ()),
        ("tabs-around.csv", TEXT.replace(",800.0,", ",\t800.0\t,"), ()),
        ("no-break.csv", TEXT.replace(",1000.0,", ",1\u00a0000.0,"), ()),
        ("narrow.csv", TEXT.replace(",1000.0,", ",1\u202f000.0,"), ()),
        ("exponents.csv", TEXT.replace(",800.0,", ",8e2,"), ()),
        ("utf-32.csv", TEXT.encode("utf-32"), ()),
        ("utf-16-be.csv", ("\ufeff" + TEXT).encode("utf-16-be"), ("--encoding", "utf-16")),
        ("ebcdic.csv", TEXT.encode("cp037"), ("--encoding", "cp037")),
        ("unit-separator.csv", TEXT.replace(",", "\x1f"), ("--separator", "\x1f")),
        ("frames.csv.zst", zst(TEXT.encode()[:999]) + SKIPPABLE + zst(b"") + zst(TEXT.encode()[999:]), ()),
        ("zeros.csv.gz", gzip.compress(TEXT.encode()[:999]) + bytes(512) + gzip.compress(TEXT.encode()[999:]), ()),
        ("empty-column.csv", TEXT.replace("\n", ",\n"), ()),
        ("other-case.csv", csv_text([row | {"Amount": "1", "AMOUNT": "2"} for row in ROWS]), ()),
    ],
)
def test_odd_csv_files_that_are_read(
    tmp_path: Path, expected: pa.Table, name: str, content: str | bytes, words: tuple[str, ...]
) -> None:
    """Two line ends, white space, compression in pieces, encodings marked or said, names alike but for case."""
    check_equal(written(tmp_path / name, content.encode() if isinstance(content, str) else content), expected, *words)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (",800.0,", ",80\x000.0,", "amount"),
        (",800.0,", ",0x320,", "amount"),
        (",800.0,", ",Jan-80,", "amount"),
        (",800.0,", ",8OO,", "amount"),
        (",freelance,", ",free\u200blance,", "job"),
        (",freelance,", ",Freelance,", "job"),
        (",freelance,", ",\\N,", "job"),
    ],
)
def test_cells_that_only_look_right_are_refused_with_their_row(
    tmp_path: Path, expected: pa.Table, old: str, new: str, field: str
) -> None:
    """NUL bytes, hexadecimal digits, what a spreadsheet made a date of, letters for digits, marks that nobody sees."""
    head, line, rest = TEXT.split("\n", 2)
    assert old in line
    file = written(tmp_path / "in.csv", "\n".join([head, line.replace(old, new), rest]).encode())
    check_refused_rows(file, expected, {"2": field})


def test_lines_that_are_no_applications_are_refused_one_by_one(tmp_path: Path, expected: pa.Table) -> None:
    """The end mark of DOS, zeros that a crash left, the header of a file that was appended with its byte order mark."""
    for number, end in enumerate(("\x1a", "\0" * 500)):
        file = written(tmp_path / f"{number}.csv", (TEXT + end).encode())
        check_refused_rows(file, expected, {"62": ""})
    twice = written(tmp_path / "twice.csv", TEXT.encode("utf-8-sig") * 2)
    assert score(twice, tmp_path / "twice") == 0
    assert {line["row"] for line in rejected(tmp_path / "twice")} == {"62"}
    assert scores(tmp_path / "twice").equals(pa.concat_tables([expected, expected]))


def tar(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", TEXT)
    return stream.getvalue()


def parquet_bytes() -> bytes:
    stream = io.BytesIO()
    pq.write_table(TABLE, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("mac.csv", lambda: TEXT.replace("\n", "\r").encode(), "row 1: a carriage return without a line feed"),
        ("twice.csv", lambda: TEXT.replace("\n", "\r\r\n").encode(), "row 1: a carriage return without a line feed"),
        ("tar.csv", lambda: tar("w"), "its first row is no text"),
        ("tar.csv.gz", lambda: tar("w:gz"), "its first row is no text"),
        ("zip.csv", zipped, "its first row is no text"),
        ("parquet.csv", parquet_bytes, "its first row is no text"),
        ("gz.csv", lambda: gzip.compress(TEXT.encode(), mtime=0), "its first row is no text"),
        ("unmarked.csv", lambda: TEXT.encode("utf-16-le"), "its first row is no text"),
        ("space.csv", lambda: TEXT.replace("amount", "amount ", 1).encode(), "'amount' (nearest: 'amount ')"),
        ("garbage.csv.gz", lambda: gzip.compress(TEXT.encode()) + b"more", "Not a gzipped file"),
        ("garbage.csv.zst", lambda: zst(TEXT.encode()) + b"and more", "cut off or damaged"),
        ("plain.csv.gz", lambda: TEXT.encode(), "Not a gzipped file"),
        ("backslash.csv", lambda: TEXT.replace("000000000003,", r'"a\"b",').encode(), "row 5"),
    ],
)
def test_what_is_no_such_csv_file_is_refused(
    tmp_path: Path, name: str, make: Callable[[], bytes], message: str
) -> None:
    """Archives of which the first row would hold the columns, other formats and encodings under this name."""
    assert message in refusal(written(tmp_path / name, make()))


def test_an_encoding_that_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that the byte order mark denies, names of none, and UTF-16 that says no order."""
    marked = written(tmp_path / "marked.csv", TEXT.encode("utf-8-sig"))
    assert "its byte order mark says utf-8, and --encoding latin-1" in refusal(marked, Told(encoding="latin-1"))
    plain = written(tmp_path / "plain.csv", TEXT.encode())
    for encoding in ("undefined", "base64", "a\0b", "no-such"):
        assert "no such encoding" in refusal(plain, Told(encoding=encoding))
    unmarked = written(tmp_path / "unmarked.csv", TEXT.encode("utf-16-le"))
    assert "is not utf-16" in refusal(unmarked, Told(encoding="utf-16"))
    for separator in ("\0", "\n", "\r", '"', "ab", "§"):
        assert score(plain, tmp_path / "out", "--separator", separator) == 1
        assert "one ASCII character is needed" in capsys.readouterr().err


# --- Parquet and Arrow ---


def with_column(name: str, column: pa.Array) -> pa.Table:
    return TABLE.set_column(TABLE.schema.get_field_index(name), name, column)


def arrow(file: Path, table: pa.Table) -> Path:
    with ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file


AMOUNTS = [row["amount"] for row in ROWS]
TERMS = [row["term"] for row in ROWS]
HOMES = pa.array([row["home"] for row in ROWS])
CENTS = [Decimal(str(amount)).quantize(Decimal("0.01")) for amount in AMOUNTS]
CODED = HOMES.dictionary_encode()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("amount", pa.array(map(str, AMOUNTS), pa.string_view())),
        ("amount", pa.array(map(str, AMOUNTS), pa.large_string())),
        ("amount", pa.array(map(str, AMOUNTS)).dictionary_encode()),
        ("amount", pa.array(AMOUNTS).dictionary_encode()),
        ("amount", pa.array(np.array(AMOUNTS, np.float32))),
        ("amount", pa.array(CENTS, pa.decimal32(9, 2))),
        ("amount", pa.array(CENTS, pa.decimal64(18, 2))),
        ("amount", pa.array(CENTS, pa.decimal256(60, 2))),
        ("term", pa.array(np.array(TERMS, np.float16))),
        ("term", pa.array(TERMS, pa.int8())),
        ("term", pa.array(TERMS, pa.uint64())),
        ("home", HOMES.cast(pa.string_view())),
        ("home", HOMES.cast(pa.large_string())),
        ("home", pa.DictionaryArray.from_arrays(pa.array(range(len(ROWS)), pa.int16()), HOMES)),  # entries come twice
        ("home", pa.DictionaryArray.from_arrays(CODED.indices, CODED.dictionary, ordered=True)),
        ("home", pa.concat_arrays([pa.array(["nobody"] * 7), HOMES]).dictionary_encode().slice(7)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.type),
)
def test_columns_of_every_type_mean_the_same(tmp_path: Path, expected: pa.Table, name: str, column: pa.Array) -> None:
    """Of Parquet and Arrow files, by their own types: views, dictionaries with entries twice or cut off, decimals."""
    table = with_column(name, column)
    pq.write_table(table, tmp_path / "in.parquet")
    for file in (tmp_path / "in.parquet", arrow(tmp_path / "in.arrow", table)):
        check_equal(file, expected)


def test_a_dictionary_of_views_is_read(tmp_path: Path, expected: pa.Table) -> None:
    """Parquet cannot be written of it."""
    coded = pa.DictionaryArray.from_arrays(CODED.indices, CODED.dictionary.cast(pa.string_view()))
    check_equal(arrow(tmp_path / "in.arrow", with_column("home", coded)), expected)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([date(2020, 1, 1)] * len(ROWS)),
        pa.array([date(2020, 1, 1)] * len(ROWS)).cast(pa.timestamp("us")),
        pa.array([time(1)] * len(ROWS)),
        pa.array([timedelta(1)] * len(ROWS)),
        pa.array([True] * len(ROWS)),
        pc.run_end_encode(pa.array(AMOUNTS)),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1] * len(ROWS), pa.int8())),
        pa.ExtensionArray.from_storage(pa.opaque(pa.float64(), "money", "bank"), pa.array(AMOUNTS)),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_are_no_numbers_are_refused(tmp_path: Path, column: pa.Array) -> None:
    """Moments, truth values and what only its maker can read are never taken for the numbers that are stored."""
    assert "but amount is a number" in refusal(arrow(tmp_path / "in.arrow", with_column("amount", column)))


@pytest.mark.parametrize("ending", ["parquet", "csv", "xlsx"])
def test_whole_numbers_beyond_what_a_float_holds_are_carried(tmp_path: Path, ending: str) -> None:
    """2^53 + 1 is not 2^53."""
    ids = [2**53 + at for at in range(len(ROWS))]
    pq.write_table(with_column("loan_id", pa.array(ids)), tmp_path / "in.parquet")
    out = tmp_path / f"out.{ending}"
    assert score(tmp_path / "in.parquet", out) == 0
    if ending == "parquet":
        assert pq.read_table(out)["loan_id"].to_pylist() == ids
    elif ending == "csv":
        assert [int(line.split(",")[0]) for line in out.read_text().splitlines()[1:]] == ids
    else:
        lines = python_calamine.CalamineWorkbook.from_path(out).get_sheet_by_index(0).to_python()[1:]
        assert [line[0] for line in lines] == list(map(str, ids))


def test_files_written_one_after_another_are_refused(tmp_path: Path) -> None:
    """As `cat` does: the footer is the last one's, and the rows would be those of the first, under its name."""
    for half in (TABLE.slice(0, 30), TABLE.slice(0, 7), TABLE):
        pq.write_table(half, tmp_path / "a.parquet")
        pq.write_table(TABLE.slice(30), tmp_path / "b.parquet")
        for first, second in (("a", "b"), ("a", "a"), ("b", "a")):
            several = b"".join((tmp_path / f"{name}.parquet").read_bytes() for name in (first, second))
            assert "in.parquet" in refusal(written(tmp_path / "in.parquet", several))
    twice = (tmp_path / "a.parquet").read_bytes() * 3
    assert "several files, one written after another" in refusal(written(tmp_path / "in.parquet", twice))
    content = arrow(tmp_path / "a.arrow", TABLE).read_bytes()
    said = refusal(written(tmp_path / "in.arrow", content * 2))
    assert "several files, one written after another" in said
    write_xlsx(tmp_path / "a.xlsx", {"loans": sheet_of(ROWS)})
    assert "something stands before" in refusal(written(tmp_path / "in.xlsx", (tmp_path / "a.xlsx").read_bytes() * 2))


def test_indexes_and_empty_row_groups_are_no_other_files(tmp_path: Path, expected: pa.Table) -> None:
    """What lies between the rows and the footer is not always another file."""
    with pq.ParquetWriter(tmp_path / "in.parquet", TABLE.schema, write_page_index=True) as writer:
        for part in (TABLE[:0], TABLE[:20], TABLE[20:], TABLE[:0]):
            writer.write_table(part)
    check_equal(tmp_path / "in.parquet", expected)


def test_a_damaged_page_is_refused_by_its_checksum(tmp_path: Path) -> None:
    """One bit of one number: 96 for 100. Without checksums nothing tells."""
    file = tmp_path / "in.parquet"
    table = with_column("amount", pa.array([100.0, *AMOUNTS[1:]]))
    pq.write_table(table, file, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(file.read_bytes())
    place = content.index(np.array([100.0, AMOUNTS[1]], np.float64).tobytes())
    content[place + 6] ^= 1
    assert "CRC checksum verification failed" in refusal(written(file, bytes(content)))


class Keys(pe.KmsClient):  # type: ignore[misc]
    """Keys that are wrapped by writing them down."""

    def wrap_key(self, key: bytes, name: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, wrapped: bytes, name: str) -> bytes:
        return base64.b64decode(wrapped)


@pytest.mark.parametrize("plain_footer", [False, True])
def test_an_encrypted_file_is_refused(tmp_path: Path, plain_footer: bool) -> None:
    """Whole, or one column of it, where Arrow ends the process of who asks for more than it can decrypt."""
    factory = pe.CryptoFactory(lambda _: Keys())
    settings = pe.EncryptionConfiguration("all", column_keys={"some": ["amount"]}, plaintext_footer=plain_footer)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    with pq.ParquetWriter(tmp_path / "in.parquet", TABLE.schema, encryption_properties=properties) as writer:
        writer.write_table(TABLE)
    assert "decrypt" in refusal(tmp_path / "in.parquet")


@pytest.mark.parametrize("name", ["b", "b.csv", "b.parquet.gz", "README.md", "year=2025/b.parquet"])
def test_a_folder_with_what_would_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """Rows would be missing, and nobody would see it."""
    (tmp_path / "in").mkdir()
    pq.write_table(TABLE.slice(0, 30), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
    pq.write_table(TABLE.slice(30), tmp_path / "in" / name)
    assert f"{name.split('/')[0]!r} in it" in refusal(tmp_path / "in")


@pytest.mark.parametrize("name", ["b.pq", "b.PARQUET"])
def test_a_folder_as_other_programs_write_it(tmp_path: Path, expected: pa.Table, name: str) -> None:
    """Other endings of the same, links, other orders of the columns, and the hidden files of Spark."""
    folder = tmp_path / "in"
    folder.mkdir()
    for hidden in ("_SUCCESS", "_metadata", ".a.parquet.crc", ".DS_Store"):
        (folder / hidden).write_text("no rows")
    pq.write_table(TABLE.slice(0, 30), folder / "a.parquet")
    pq.write_table(TABLE.slice(30).select(TABLE.column_names[::-1]), tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    check_equal(folder, expected)
    (folder / "c.parquet").symlink_to(tmp_path / "nowhere")
    assert "c.parquet: No such file" in refusal(folder)


# --- workbooks ---


STYLES = f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'


def workbook(file: Path, place: str = "", xml: str = "", *, above: int = 0, calculation: str = "") -> Path:
    """ROWS as a sheet below and right of empty cells, with a cell of its own XML; its second style is that of dates."""
    left = [""] * (1 if above else 0)
    write_xlsx(file, {"loans": [*([[]] * above), *([*left, *line] for line in sheet_of(ROWS))]})
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    if place:
        parts["xl/sheet0.xml"], count = re.subn(rf'<c r="{place}".*?</c>', xml, parts["xl/sheet0.xml"])
        assert count == 1
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace("</workbook>", f"{calculation}</workbook>")
    parts["xl/styles.xml"] = STYLES
    link = f'<Relationship Id="styles" Type="{LINKS}/styles" Target="styles.xml"/></Relationships>'
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace("</Relationships>", link)
    kind = f'<Override PartName="/xl/styles.xml" ContentType="{PARTS}.styles+xml"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace("</Types>", kind)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def test_formulas_with_their_values_are_read(tmp_path: Path, expected: pa.Table) -> None:
    """The value that a spreadsheet stored beside the formula."""
    assert ROWS[1]["income"] == 131
    check_equal(workbook(tmp_path / "in.xlsx", "E3", '<c r="E3"><f>100+31</f><v>131</v></c>'), expected)


@pytest.mark.parametrize(
    ("place", "xml", "calculation"),
    [
        ("E3", '<c r="E3"><f>100+31</f></c>', ""),
        ("E3", '<c r="E3"><f>100+31</f><v></v></c>', ""),
        ("E3", '<c r="E3"><f>100+31</f><v/></c>', ""),
        ("J3", '<c r="J3" t="str"><f>J4</f></c>', ""),
        ("E3", '<c r="E3"><f t="shared" ref="E3:E9" si="0">1+1</f></c>', ""),
        ("E3", '<c r="E3"><f>100+31</f><v>0</v></c>', '<calcPr fullCalcOnLoad="1"/>'),
    ],
)
def test_formulas_that_nobody_computed_are_refused(tmp_path: Path, place: str, xml: str, calculation: str) -> None:
    """As programs write them that are no spreadsheets: without a value, or with a zero until the workbook is opened.
    The answer would be taken for one that is not stated."""
    said = refusal(workbook(tmp_path / "in.xlsx", place, xml, calculation=calculation))
    assert f"cell {place} holds a formula of which the file does not hold the value" in said


@pytest.mark.parametrize("above", [0, 4])
@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ("income", 't="e"><v>#N/A</v></c>'),
        ("assets", 't="e"><f>1/0</f><v>#DIV/0!</v></c>'),
        ("home", 't="e"><v>#REF!</v></c>'),
        ("amount", 't="b"><v>1</v></c>'),
        ("amount", 's="1"><v>800</v></c>'),
        ("income", 's="1"><v>131</v></c>'),
        ("amount", 't="d"><v>2020-01-01</v></c>'),
        ("prior_record", 't="b"><v>0</v></c>'),
        ("home", 't="inlineStr"><is><t xml:space="preserve">rent </t></is></c>'),
    ],
)
def test_cells_that_are_no_answers_are_refused_with_their_row(
    tmp_path: Path, expected: pa.Table, field: str, cell: str, above: int
) -> None:
    """Errors of a formula, which the reader of workbooks takes for empty cells; dates, truth values, spaces."""
    column = "ABCDEFGHIJKL"[list(ROWS[0]).index(field) + (1 if above else 0)]
    place = f"{column}{3 + above}"
    file = workbook(tmp_path / "in.xlsx", place, f'<c r="{place}" {cell}', above=above)
    check_refused_rows(file, expected, {str(3 + above): field})


def test_an_error_is_carried_as_the_spreadsheet_shows_it(tmp_path: Path) -> None:
    """In a column that is no field."""
    file = workbook(tmp_path / "in.xlsx", "A3", '<c r="A3" t="e"><v>#NAME?</v></c>')
    assert score(file, tmp_path / "out") == 0
    assert scores(tmp_path / "out")["loan_id"][1].as_py() == "#NAME?"


def test_an_error_without_a_value_is_an_empty_cell(tmp_path: Path, expected: pa.Table) -> None:
    """As the reader of workbooks has it, for which the sheet begins right of this one: no other cell is overwritten."""
    id = f'<c r="B7" t="inlineStr"><is><t>{ROWS[1]["loan_id"]}</t></is></c>'
    check_equal(workbook(tmp_path / "in.xlsx", "B7", f'<c r="A7" t="e"/>{id}', above=4), expected)
