"""Spreadsheets: their cells, sheets and headers."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sft.config.dataset import ReadOptions
from sft.data.files.reading import of_use, read_file
from sft.data.files.text_files import OLE
from sft.exceptions import DataError, PackageMissing, UserError
from tests.support.workbooks import DURATION_STYLE, Raw, date_cell, write_workbook

READ = ReadOptions()
ROWS = [["text", "label"], ["a", "x"]]


def records(path: Path, read: ReadOptions = READ) -> list[dict[str, object]]:
    return [dict(record) for record in read_file(path, "xlsx", read).records]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("01", "01"),
        ("NA", "NA"),
        ("#N/A", "#N/A"),
        (" a\nb\u2028 ", " a\nb\u2028 "),
        ("<b>&amp;", "<b>&amp;"),
        (3.0, "3"),
        (-7, "-7"),
        (2.5, "2.5"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (10**15 + 1, "1000000000000001"),
        (1e20, "1e+20"),
        (True, "TRUE"),
        (date_cell(45296), "2024-01-05"),
        (date_cell(45296.5625), "2024-01-05T13:30:00"),
        (date_cell(1.25, DURATION_STYLE), "30:00:00"),
        (Raw('<c r="@" t="str"><f>A1&amp;"x"</f><v>01x</v></c>'), "01x"),
        (Raw('<c r="@" t="e"><v>#N/A</v></c>'), None),
        ("", None),
        (None, None),
    ],
)
def test_cells_are_text_as_a_person_reads_it(tmp_path: Path, cell: object, text: str | None) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"S": [["text", "n"], [cell, 1]]})
    assert records(path) == [{"text": text, "n": "1"}]


def test_what_is_empty_around_and_in_the_table_is_left_out(tmp_path: Path) -> None:
    rows = [[], [None, "text", None, "label", None, ""], [None, "a", "", "x"], [], [None, "b", None, None], [None, ""]]
    path = write_workbook(tmp_path / "a.xlsx", {"empty": [], "S": rows})
    assert records(path) == [{"text": "a", "label": "x"}, {"text": "b", "label": None}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["Tickets of May"], [], ["text", "label"], ["a", "x"]], "column B has a cell in row 3 and no name"),
        ([["text", "text"], ["a", "x"]], "the header has columns twice: 'text'"),
        ([], "no sheet has cells; sheets: S"),
    ],
)
def test_a_sheet_that_is_no_table_is_told(tmp_path: Path, rows: list[list[object]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        records(write_workbook(tmp_path / "a.xlsx", {"S": rows}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sheet_is_chosen_or_the_only_one_that_is_seen_and_filled(tmp_path: Path) -> None:
    sheets = {"about": [], "one": ROWS, "lists": [["q"], ["r"]]}
    path = write_workbook(tmp_path / "a.xlsx", sheets, hidden=["lists"])
    assert records(path) == [{"text": "a", "label": "x"}]
    assert records(path, ReadOptions(sheet="lists")) == [{"q": "r"}]
    with pytest.raises(DataError, match=r"has no sheet 'two'; sheets: about, one, lists"):
        records(path, ReadOptions(sheet="two"))
    with pytest.raises(DataError, match=r"several sheets have cells \(one, lists\); choose with .*{sheet: 'one'}"):
        records(write_workbook(tmp_path / "a.xlsx", sheets))


def test_options_of_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,x\n")
    with pytest.raises(UserError, match=r"dataset.read.sheet: a.csv is csv and not a spreadsheet; take sheet out"):
        read_file(tmp_path / "a.csv", "csv", ReadOptions(sheet="S"))
    with pytest.raises(UserError, match=r"dataset.read.field: a.xlsx is xlsx and not JSON"):
        records(write_workbook(tmp_path / "a.xlsx", {"S": ROWS}), ReadOptions(field="data"))


def test_options_for_another_file_are_taken_where_they_are_of_use(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,x\n")
    (tmp_path / "a.json").write_text('[{"a": 1}]')
    both = ReadOptions(sheet="S", field="f", sep=";")
    assert of_use(tmp_path / "a.csv", "csv", both) == ReadOptions(sep=";")
    assert of_use(tmp_path / "a.json", "json", both) == ReadOptions(sep=";", field="f")
    assert of_use(write_workbook(tmp_path / "a.csv", {"S": ROWS}), "csv", both) == ReadOptions(sep=";", sheet="S")


def test_broken_and_encrypted_files_are_told_in_one_line(tmp_path: Path) -> None:
    whole = write_workbook(tmp_path / "a.xlsx", {"S": ROWS}).read_bytes()
    no_table = b"not a spreadsheet, and no table"
    encrypted = OLE + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le")
    for content, message in (
        (whole[: len(whole) // 2], "a.xlsx: not a spreadsheet that can be read (invalid Zip archive"),
        (no_table, "a.xlsx: not a spreadsheet that can be read"),
        (encrypted, "a.xlsx: the spreadsheet is encrypted; save it without a password"),
        (OLE + b"\0" * 600, "old spreadsheet or document (.xls); save its sheet as .xlsx or csv"),
    ):
        (tmp_path / "a.xlsx").write_bytes(content)
        with pytest.raises(DataError) as caught:
            records(tmp_path / "a.xlsx")
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_damaged_byte_gives_rows_or_an_error_of_the_data(tmp_path: Path) -> None:
    whole = write_workbook(tmp_path / "a.xlsx", {"S": ROWS}).read_bytes()
    path = tmp_path / "b.xlsx"
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with suppress(DataError):
            records(path)


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"S": ROWS})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(PackageMissing, match=r"a.xlsx needs the package python-calamine, .* pip install"):
        records(path)
