import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.config.dataset import ReadOptions
from sft.data.text_files import merged, read_csv, read_json, read_jsonl
from sft.errors import DataError, MachineError, UserError

READ = ReadOptions()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def test_csv_cells_are_strings_and_only_the_empty_cell_is_missing(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", 'text,y\nNA,01\nnull,1.0\n"",\n nan ,true\n'), READ, None)
    assert table.columns == ("text", "y")
    assert [tuple(record.values()) for record in table.records] == [
        ("NA", "01"),
        ("null", "1.0"),
        (None, None),
        (" nan ", "true"),
    ]


def test_csv_quotes_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", 'text,y\r\n"a, ""b""\nc\u2028d",x\r\n\r\n'), READ, None)
    assert [dict(record) for record in table.records] == [{"text": 'a, "b"\nc\u2028d', "y": "x"}]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_separator_is_found_in_the_header(tmp_path: Path, separator: str) -> None:
    content = f'text{separator}"a,b;c"{separator}y\n1{separator}2{separator}3\n'
    assert read_csv(write(tmp_path, "a.csv", content), READ, None).columns == ("text", "a,b;c", "y")


def test_csv_written_separator_wins_and_tsv_has_tabs(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", "a,b;c\n1,2;3\n"), ReadOptions(sep=";"), None).columns == ("a,b", "c")
    assert read_csv(write(tmp_path, "a.tsv", "a,b\tc\n"), READ, "\t").columns == ("a,b", "c")


def test_csv_of_one_column(tmp_path: Path) -> None:
    assert len(read_csv(write(tmp_path, "a.csv", "text\nx\n\ny\n"), READ, None).records) == 2


def test_csv_with_very_long_cell(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "a.csv", "text,y\n" + "x" * 200_000 + ",1\n"), READ, None)
    assert len(table.records[0]["text"]) == 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv: the file is empty"),
        ('text,y\n"a\nb",1\nx\n', "a.csv line 4: 1 cells where the header has 2 columns"),
        ("text,y\na,b,c\n", "a.csv line 2: 3 cells"),
        ('text,y\nx,1\n"open,1\ny,2\n', "a.csv line 3: not valid csv"),
        ("text,text\n", "the header has columns twice: 'text'"),
    ],
)
def test_csv_errors_name_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, "a.csv", content), READ, None)
    assert message in str(caught.value)


def test_undecodable_byte_names_file_line_and_fitting_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,y\nok,1\ncafé,2\n".encode("cp1252"))
    with pytest.raises(DataError) as caught:
        read_csv(path, READ, None)
    assert "a.csv line 3: byte 0xe9 is not valid utf-8" in str(caught.value)
    assert "encodings that fit: cp1252" in str(caught.value)
    assert read_csv(path, ReadOptions(encoding="cp1252"), None).records[1]["text"] == "café"


def test_utf16_is_proposed_only_with_its_mark(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"a": "é"}\n'.encode("utf-16"))
    with pytest.raises(DataError, match="encodings that fit: utf-16"):
        read_jsonl(path, READ)
    assert read_jsonl(path, ReadOptions(encoding="utf-16")).records[0]["a"] == "é"


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", b"\xef\xbb\xbftext,y\n"), READ, None).columns == ("text", "y")


def test_unknown_encoding_and_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n")
    for name in ("utf-9", "base64"):
        with pytest.raises(UserError, match="unknown encoding"):
            read_csv(path, ReadOptions(encoding=name), None)
    with pytest.raises(MachineError, match="cannot be read"):
        read_csv(tmp_path / "none.csv", READ, None)


def test_jsonl_keeps_values_and_fills_absent_columns(tmp_path: Path) -> None:
    lines = '{"text": "a\u2028b", "y": true}\n\n{"text": "NA", "z": [1, 0.5]}\r\n'
    table = read_jsonl(write(tmp_path, "a.jsonl", lines), READ)
    assert table.columns == ("text", "y", "z")
    assert [dict(record) for record in table.records] == [
        {"text": "a\u2028b", "y": True, "z": None},
        {"text": "NA", "y": None, "z": [1, 0.5]},
    ]


def test_lone_surrogates_are_kept(tmp_path: Path) -> None:
    assert read_jsonl(write(tmp_path, "a.jsonl", '{"t": "\\ud83d"}\n'), READ).records[0]["t"] == "\ud83d"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": 2}\n{"a": \n', "train.jsonl line 3: not valid JSON"),
        ('{"a": 1}\n{"a": "trunc', "train.jsonl line 2: not valid JSON"),
        ('{"a": NaN}\n', "train.jsonl line 1: not valid JSON (NaN is not a JSON number)"),
        ('{"a": 1e999}\n', "train.jsonl line 1: not valid JSON (the number 1e999 is too large)"),
        ("\n[1]\n", "train.jsonl line 2: not a JSON object"),
        ("[" * 100_000, "train.jsonl line 1: not valid JSON"),
        ("\n\n", "train.jsonl: the file is empty"),
    ],
)
def test_jsonl_errors_name_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_jsonl(write(tmp_path, "train.jsonl", content), READ)
    assert message in str(caught.value)


def test_json_is_a_list_or_lines(tmp_path: Path) -> None:
    listed = read_json(write(tmp_path, "a.json", ' [{"a": 1},\n {"a": 2}]\n'), READ)
    lines = read_json(write(tmp_path, "b.json", '{"a": 1}\n{"a": 2}\n'), READ)
    assert listed == lines
    with pytest.raises(DataError, match=r"a.json line 2: not valid JSON"):
        read_json(write(tmp_path, "a.json", '[{"a": 1},\n {"a" 2}]\n'), READ)
    with pytest.raises(DataError, match="item 1 "):
        read_json(write(tmp_path, "a.json", '[{"a": 1}, 2]'), READ)


def test_merged_tables_share_their_columns(tmp_path: Path) -> None:
    first = read_jsonl(write(tmp_path, "a.jsonl", '{"a": 1}\n'), READ)
    second = read_jsonl(write(tmp_path, "b.jsonl", '{"b": 2}\n'), READ)
    table = merged([first, second])
    assert table.columns == ("a", "b")
    assert [dict(record) for record in table.records] == [{"a": 1, "b": None}, {"a": None, "b": 2}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=2), min_size=1))
def test_any_text_survives_jsonl(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="")
    assert [dict(record) for record in read_jsonl(path, READ).records] == rows
