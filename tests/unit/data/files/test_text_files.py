import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.config.dataset import ReadOptions
from sft.data.files import json_files
from sft.data.files.delimited import read_csv
from sft.data.joined_tables import merged
from sft.data.tables import Table
from sft.exceptions import DataError, MachineError, UserError

READ = ReadOptions()


def read_json(path: Path, read: ReadOptions) -> Table:
    return json_files.read_json(path, read).table


def read_jsonl(path: Path, read: ReadOptions) -> Table:
    return json_files.read_jsonl(path, read).table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def test_undecodable_byte_names_file_line_and_fitting_encodings(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,y\nok,1\ncafé,2\n".encode("cp1252"))
    with pytest.raises(DataError) as caught:
        read_csv(path, READ)
    assert "a.csv line 3: byte 0xe9 is not valid utf-8; encodings that fit: cp1252, " in str(caught.value)
    assert "; write dataset.read: {encoding: 'cp1252'}" in str(caught.value)
    assert read_csv(path, ReadOptions(encoding="cp1252")).records[1]["text"] == "café"


def test_the_mark_of_utf16_is_obeyed_unless_another_encoding_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"a": "é"}\n'.encode("utf-16"))
    for encoding in ("utf-8", "UTF8", "utf-16"):
        assert read_jsonl(path, ReadOptions(encoding=encoding)).records[0]["a"] == "é"
    with pytest.raises(DataError, match="is not valid ascii; encodings that fit: utf-16"):
        read_jsonl(path, ReadOptions(encoding="ascii"))


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", b"\xef\xbb\xbftext,y\n"), READ).columns == ("text", "y")


def test_unknown_encoding_and_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n")
    for name in ("utf-9", "base64"):
        with pytest.raises(UserError, match="unknown encoding"):
            read_csv(path, ReadOptions(encoding=name))
    with pytest.raises(MachineError, match="cannot be read"):
        read_csv(tmp_path / "none.csv", READ)


def test_jsonl_keeps_values_and_fills_absent_columns(tmp_path: Path) -> None:
    lines = '{"text": "a\u2028b", "y": true}\n\n{"text": "NA", "z": [1, 0.5]}\r\n'
    table = read_jsonl(write(tmp_path, "a.jsonl", lines), READ)
    assert table.columns == ("text", "y", "z")
    assert [dict(record) for record in table.records] == [
        {"text": "a\u2028b", "y": True, "z": None},
        {"text": "NA", "y": None, "z": [1, 0.5]},
    ]


@pytest.mark.parametrize("row", ['{"t": ["\\ud83d"]}', '{"a\\uDE00": ""}', '{"t": "\\uDE00\\ud83d"}'])
def test_lone_surrogates_are_refused_with_their_line(tmp_path: Path, row: str) -> None:
    whole = '{"t": "\\ud83d\\ude00 \\\\ud83d"}'
    assert read_jsonl(write(tmp_path, "a.jsonl", f"{whole}\n"), READ).records[0]["t"] == "\U0001f600 \\ud83d"
    with pytest.raises(DataError, match=r"a.jsonl line 2: \\u[d8e03]{4} is half of a character .* write \\ufffd"):
        read_jsonl(write(tmp_path, "a.jsonl", f"{whole}\n{row}\n"), READ)
    with pytest.raises(DataError, match=r"a.json row 1 \(from 0\): "):
        read_json(write(tmp_path, "a.json", f"[{whole}, {row}]"), READ)


def test_an_encoding_that_gives_lone_surrogates_is_no_way_round(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.csv line 2: "):
        read_csv(write(tmp_path, "a.csv", "text,y\n\\ud83d,1\n"), ReadOptions(encoding="unicode_escape"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": 2}\n{"a": \n', "train.jsonl line 3: not valid JSON"),
        ('{"a": 1}\n{"a": "trunc', "train.jsonl line 2: not valid JSON"),
        ('{"a": NaN}\n', "train.jsonl line 1: not valid JSON (NaN is not a JSON number)"),
        ('{"a": 1e999}\n', "train.jsonl line 1: not valid JSON (the number 1e999 is too large)"),
        ("\n[1]\n", "train.jsonl: item 0 (from 0) of the list is a number and not a JSON object"),
        ('{"a": 1}\n[1]\n', "train.jsonl line 2: not a JSON object"),
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
    assert (listed.columns, list(listed.records)) == (lines.columns, list(lines.records))
    with pytest.raises(DataError, match=r"a.json line 2: not valid JSON"):
        read_json(write(tmp_path, "a.json", '[{"a": 1},\n {"a" 2}]\n'), READ)
    with pytest.raises(DataError, match="item 1 "):
        read_json(write(tmp_path, "a.json", '[{"a": 1}, 2]'), READ)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[]", "a.json: the file is empty"),
        ("a.json", "[{}, {}]", "a.json: no row has a column"),
        ("a.json", '[["x", "a"]]', "item 0 (from 0) of the list is a list and not a JSON object"),
        ("a.json", '{"v": 1, "odd": [{"t": "x"}, {"t": "y"}]}', "2 objects under 'odd'; if these are the rows, write"),
        ("a.json", '{"data": [{"t": 1}, {}], "b": [{}, {}]}', "2 objects under 'data', 2 objects under 'b'; if these"),
        ("a.json", '{"columns": ["t"], "index": [0], "data": [["x"]]}', "as pandas writes it with orient='split'"),
        ("a.json", '{"t": ["x", "y"], "l ": ["a", "b"]}', "one JSON object with 2 values under each of t, 'l '"),
        ("a.json", '{"t": {"0": "x", "1": "y"}, "l": {"0": "a", "1": "b"}}', "columns, and not rows"),
        ("a.json", "3", "a.json line 1: not a JSON object but a number, '3'"),
        ("a.jsonl", '{"t": 1, "u": {"t": 2, "t": 3}}', "a.jsonl line 1: not valid JSON (the key 't' stands twice"),
        ("a.jsonl", '{"t": %s}' % ("9" * 5000), "a number has more than 4300 digits; write it as text"),
        ("a.jsonl", "PK\x03\x04", "a zip archive; unpack it"),
    ],
)
def test_files_of_another_shape_are_told_by_the_shape_found(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        read_json(path, READ) if path.suffix == ".json" else read_jsonl(path, READ)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ['[{"t": "x"}]', '[\n{"t": "x"}\n]', '{"data": [{"t": "x"}]}', '{\n"t": "x"\n}'])
def test_json_under_the_name_of_json_lines_is_read(tmp_path: Path, content: str) -> None:
    assert list(read_jsonl(write(tmp_path, "a.jsonl", content), READ).records) == [{"t": "x"}]


def test_rows_that_are_lists_are_not_told_to_change_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"each line is a row, {column: value}$"):
        read_jsonl(write(tmp_path, "a.jsonl", '["x", "a"]\n["y", "b"]\n'), READ)


def test_one_object_over_many_lines_is_one_row(tmp_path: Path) -> None:
    one = read_json(write(tmp_path, "a.json", '{\n "t": "x",\n "l": ["a"]\n}\n'), READ)
    assert list(one.records) == [{"t": "x", "l": ["a"]}]


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
