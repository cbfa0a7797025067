"""Csv and tsv files: their cells, separators and quotes."""

from pathlib import Path

import pytest

from sft.config.dataset import ReadOptions
from sft.data.files.delimited import read_csv
from sft.exceptions import DataError, UserError

READ = ReadOptions()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_cells_are_strings_and_only_the_empty_cell_is_missing(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", 'text,y\nNA,01\nnull,1.0\n"",\n nan ,true\n'), READ)
    assert table.columns == ("text", "y")
    assert [tuple(record.values()) for record in table.records] == [
        ("NA", "01"),
        ("null", "1.0"),
        (None, None),
        (" nan ", "true"),
    ]


def test_csv_quotes_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", 'text,y\r\n"a, ""b""\nc\u2028d",x\r\n\r\n'), READ)
    assert [dict(record) for record in table.records] == [{"text": 'a, "b"\nc\u2028d', "y": "x"}]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_separator_is_found_in_the_header(tmp_path: Path, separator: str) -> None:
    content = f'text{separator}"a,b;c"{separator}y\n1{separator}2{separator}3\n'
    assert read_csv(write(tmp_path, "a.csv", content), READ).columns == ("text", "a,b;c", "y")


def test_csv_written_separator_wins_and_tsv_has_tabs(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", "a,b;c\n1,2;3\n"), ReadOptions(sep=";")).columns == ("a,b", "c")
    assert read_csv(write(tmp_path, "a.tsv", "a,b\tc\n"), READ).columns == ("a,b", "c")


def test_csv_of_one_column(tmp_path: Path) -> None:
    assert len(read_csv(write(tmp_path, "a.csv", "text\nx\n\ny\n"), READ).records) == 2


def test_csv_with_very_long_cell(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", "text,y\n" + "x" * 200_000 + ",1\n"), READ)
    assert len(table.records[0]["text"]) == 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv: the file is empty"),
        ('text,y\n"a\nb",1\nx\n', "a.csv line 4: 1 cells where the header has 2 columns"),
        ("text,y\na,b,c\n", "a.csv line 2: 3 cells"),
        ('text,y\n"a,1\nb"\n', "a.csv lines 2 to 3, joined by a quoted cell: 1 cells"),
        ('text,y\n"a,1\nb"\n', "if quotes are text there, read them so with dataset.read: {quote: ''}"),
        ('text,y\nx,1\n"open,1\ny,2\n', 'a.csv line 3: a cell begins with " and no " closes it'),
        ('text,y\nx,1\n"a" b,1\ny,2\n', 'a.csv line 3: text stands after the " that closes a cell'),
        ("text,text\n", "the header has columns twice: 'text'"),
    ],
)
def test_csv_errors_name_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, "a.csv", content), READ)
    assert message in str(caught.value)


def test_tabs_have_no_quoting_unless_it_is_written(tmp_path: Path) -> None:
    content = 'text\ty\n"a\t1\nb"\t2\n"Good" is\t"3"\n'
    for path, read in (("a.tsv", READ), ("a.tab", READ), ("a.csv", ReadOptions(sep="\t"))):
        table = read_csv(write(tmp_path, path, content), read)
        assert [record["text"] for record in table.records] == ['"a', 'b"', '"Good" is']
        assert len(table.remarks) == 1
        assert "1 row has a cell between quotation marks (first: line 4)" in table.remarks[0]
    quoted = write(tmp_path, "b.tsv", 'text\ty\n"a\tb"\t"2"\n')
    assert list(read_csv(quoted, ReadOptions(quote='"')).records) == [{"text": "a\tb", "y": "2"}]
    with pytest.raises(DataError, match=r"b.tsv line 2: 3 cells .* write dataset.read: {quote: '\"'}"):
        read_csv(quoted, READ)


def test_csv_without_quoting_and_with_another_quote(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,y\n\"a,1\n'b,c',2\n")
    with pytest.raises(DataError, match=r"line 2: .*dataset.read: {quote: ''}"):
        read_csv(path, READ)
    assert read_csv(write(tmp_path, "b.csv", 'text,y\n"a,1\n'), ReadOptions(quote="")).records[0]["text"] == '"a'
    assert list(read_csv(path, ReadOptions(quote="'")).records) == [
        {"text": '"a', "y": "1"},
        {"text": "b,c", "y": "2"},
    ]


def test_a_cell_that_may_hide_rows_is_remarked(tmp_path: Path) -> None:
    hiding = 'text,y\na,1\n"b,2\nc,3\nd",4\ne,5\n'
    (remark,) = read_csv(write(tmp_path, "a.csv", hiding), READ).remarks
    assert "a.csv: 1 row has a cell that spans lines and holds the separator ',' (first: lines 3 to 5)" in remark
    assert read_csv(write(tmp_path, "a.csv", 'text,y\n"a\nb","c, d"\n'), READ).remarks == ()


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ({"sep": "\n"}, "read.sep: '\\n'"),
        ({"quote": "\r"}, "read.quote: '\\r'"),
        ({"sep": '"'}, "sep and quote are both"),
    ],
)
def test_separator_and_quote_must_go_together(tmp_path: Path, read: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_csv(write(tmp_path, "a.csv", "a,b\n"), ReadOptions.model_validate(read))
    assert message in str(caught.value)


def test_a_line_that_tells_the_separator_is_no_header_and_counts_as_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'sep=;\ntext;y\n"a\nb";1,5\n\nc;2\n')
    assert [dict(record) for record in read_csv(path, READ).records] == [
        {"text": "a\nb", "y": "1,5"},
        {"text": "c", "y": "2"},
    ]
    with pytest.raises(DataError, match=r"a.csv line 4: 3 cells where the header has 2"):
        read_csv(write(tmp_path, "a.csv", "sep=;\ntext;y\nb;1\nc;d;2\n"), READ)
    with pytest.raises(DataError, match=r"a.csv line 2: a cell begins with"):
        read_csv(write(tmp_path, "a.csv", 'sep=;\n"text;y\nb;1\n'), READ)
    assert read_csv(write(tmp_path, "b.csv", "sep=\nx\n"), READ).columns == ("sep=",)
    assert read_csv(write(tmp_path, "b.csv", "sep=;\na;b\n"), ReadOptions(sep=",")).columns == ("a;b",)


@pytest.mark.parametrize(
    "content",
    [
        "text;y;;\na;1;;\nb;;;\n",
        "text;y;;\na;1;;\nb;\n",
        "text;y;;\na;1;;\nb;;\n",
        ";;;\ntext;y;;\na;1;;\nb;;;\n",
        "text;y;\na;1;\nb;;\n",
    ],
)
def test_empty_columns_of_a_spreadsheet_are_left_out(tmp_path: Path, content: str) -> None:
    table = read_csv(write(tmp_path, "a.csv", content), READ)
    assert table.columns == ("text", "y")
    assert [dict(record) for record in table.records] == [{"text": "a", "y": "1"}, {"text": "b", "y": None}]


def test_a_column_without_name_that_holds_something_is_kept_or_told(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", "text;y;\na;1;\nb;2;x\n"), READ).columns == ("text", "y", "")
    with pytest.raises(DataError, match=r"a.csv: columns 3, 4 have no name in the header, text, y; name them"):
        read_csv(write(tmp_path, "a.csv", "text;y;;\na;1;;\nb;2;x;\n"), READ)


@pytest.mark.parametrize("row", ["a", "a;1;;;", "a;1;x;y;"])
def test_rows_are_no_shorter_than_the_names_and_no_longer_than_the_header(tmp_path: Path, row: str) -> None:
    with pytest.raises(DataError, match=r"a.csv line 3: \d cells where the header has 2|have no name"):
        read_csv(write(tmp_path, "a.csv", f"text;y;;\na;1;;\n{row}\n"), READ)
