"""`hub identity dedupe`: a file in, the same file out, with a column that says who is who."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from hub.entrypoints.cli import app
from hub.entrypoints.commands import tables
from hub.errors import Malformed

HEADING = ["fname", "lname", "dob", "tel", "mail", "note"]
ROWS = [
    ["Anna", "Kowalczyk", "1984-07-19", "+48 601 234 876", "anna.k@example.com", "a, b"],
    ["Piotr", "Nowak", "1951-02-03", "", "p.nowak@example.com", 'say "hi"'],
    ["ANNA", "Kowalczyk", "19.07.1984", "0601234876", "", "第二"],
]
PEOPLE = [0, 1, 0]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    _write(file, ROWS)
    return file


def _write(file: Path, rows: list[list[str]], delimiter: str = ",") -> None:
    with file.open("w", encoding="utf-8-sig", newline="") as text:
        csv.writer(text, delimiter=delimiter).writerows([HEADING, *rows])


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["identity", "dedupe", *map(str, arguments)])


def _refused(*arguments: object) -> Malformed:
    error = _run(*arguments).exception
    assert isinstance(error, Malformed), error
    return error


def test_rows_come_back_in_order_with_a_label(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = _run(people, "--out", out)
    assert result.exit_code == 0, result.output
    with out.open(encoding="utf-8", newline="") as text:
        heading, *rows = csv.reader(text)
    assert heading == [*HEADING, "person"]
    assert rows == [[*row, str(label)] for row, label in zip(ROWS, PEOPLE, strict=True)]
    assert "3 rows, 2 people" in result.output
    assert "note" in result.output
    assert "not read" in result.output


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_seen(tmp_path: Path, delimiter: str) -> None:
    file, out = tmp_path / "people.txt", tmp_path / "out.jsonl"
    _write(file, ROWS, delimiter)
    assert _run(file, "--out", out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["person"] for row in rows] == PEOPLE
    assert [row["note"] for row in rows] == [row[-1] for row in ROWS]


def test_json_lines_and_parquet_say_the_same(people: Path, tmp_path: Path) -> None:
    lines, parquet = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    assert _run(people, "--out", lines, "--label", "first").exit_code == 0
    assert _run(lines, "--out", parquet, "--label", "second").exit_code == 0
    last = tmp_path / "c.parquet"
    assert _run(parquet, "--out", last).exit_code == 0
    table = pq.read_table(last)
    assert table.column_names == [*HEADING, "first", "second", "person"]
    for name in ("first", "second", "person"):
        assert table.column(name).to_pylist() == PEOPLE


def test_what_a_column_says_can_be_told(people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    without = [f"--column={name}=" for name in ("lname", "dob", "tel", "mail")]
    assert _run(people, "--out", out, "--column=fname=", *without).exception.field == "file"
    assert _run(people, "--out", out, "--column=fname=", "--column=note=city").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        (["--column=tel=fon"], "tel", "phone"),
        (["--column=phon=phone"], "phon", "'tel'"),
        (["--column=tel"], "column", "NAME=FIELD"),
        (["--label=note"], "label", "--label"),
    ],
)
def test_a_wrong_wish_names_the_way_out(
    people: Path, tmp_path: Path, arguments: list[str], field: str, says: str
) -> None:
    out = tmp_path / "out.csv"
    error = _refused(people, "--out", out, *arguments)
    assert error.field == field
    assert says in error.message
    assert list(tmp_path.iterdir()) == [people]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"fname,lname\n\xff\xfe\n"),
        ("a.jsonl", b'{"fname": "Anna"}\n{"fname"\n'),
        ("a.jsonl", b"[1]\n"),
        ("a.xlsx", b"no spreadsheet"),
        ("a.parquet", b"no parquet"),
        ("a.doc", b""),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    error = _refused(file, "--out", tmp_path / "out.csv")
    assert error.field == "file"
    assert str(file) in error.message
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_there_is_not_overwritten(people: Path) -> None:
    before = people.read_bytes()
    assert _refused(people, "--out", people).field == "out"
    assert people.read_bytes() == before
    assert _refused(people.with_name("no.csv"), "--out", people.with_name("o.csv")).field == "file"


def test_a_copy_that_fails_leaves_nothing(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        tables.write(tmp_path / "out.csv", HEADING, people, "person", [0, 1])
    assert list(tmp_path.iterdir()) == [people]
