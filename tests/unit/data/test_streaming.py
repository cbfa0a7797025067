"""Rows one after the other are those that the readers of whole files give, and so are the refusals."""

import json
import tracemalloc
from pathlib import Path

import pytest

from sft.config.dataset import ReadOptions
from sft.data.files.reading import read_file
from sft.data.sources import file_split
from sft.data.streaming import NewRowsFile, RowCounts, rows_of_file
from sft.exceptions import DataError, UserError

ROWS = [{"text": f"“row” {n}\nbroken, line", "n": n, "kind": None if n % 3 else "é"} for n in range(2000)]


def whole(path: Path, read: ReadOptions) -> list[dict[str, object]]:
    return [dict(row) for row in read_file(path, file_split(path).format, read).records]


def written(path: Path, read: ReadOptions) -> Path:
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=300)
        return path
    quoted = [f'"{row["text"]}";{row["n"]};{row["kind"] or ""}' for row in ROWS]
    texts = {
        ".csv": "\r\n".join(["text;n;kind", *quoted]),
        ".tsv": "\n".join(["text\tn", *(f'"a" {row["n"]}\t{row["n"]}' for row in ROWS)]),
        ".jsonl": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        ".json": json.dumps(ROWS),
    }
    path.write_text(texts[path.suffix], read.encoding, newline="")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_rows_are_those_of_the_whole_file(tmp_path: Path, ending: str, encoding: str):
    if ending == ".parquet" and encoding != "utf-8":
        pytest.skip("a parquet file has no encoding")
    read = ReadOptions(encoding=encoding)
    path = written(tmp_path / f"new{ending}", read)
    found = [dict(row) for row in rows_of_file(path, read)]
    assert found == whole(path, read)
    assert len(found) == len(ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"sep=;\ntext;n;;\none;1;;\ntwo;\n"),
        ("a.csv", b";;\ntext;n;\none;1;\ntwo;2;x\n"),
        ("a.csv", "text\tn\none\t1\n".encode("utf-16")),
        ("a.csv", b'{"text": "one"}\n{"text": "two"}\n'),
        ("a.jsonl", b'[\n{"text": "one"}\n]'),
        ("a.jsonl", b'{"data": [{"text": "one"}, {"text": "two"}]}\n'),
        ("a.jsonl", '{"text": "one"}\n'.encode("utf-16")),
        ("a.json", b'{"text": "one"}\n{"text": "two"}\n'),
        ("a.json", b"text,n\none,1\ntwo,2\n"),
    ],
)
def test_files_as_they_lie_there_give_the_rows_of_the_whole_file(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    found = [dict(row) for row in rows_of_file(path, ReadOptions())]
    assert found == whole(path, ReadOptions())
    assert found[0]["text"] == "one"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\n\ntext,n\n\none,1\ntwo\n"),
        ("a.csv", b'text,n\n"one,1\n'),
        ("a.csv", b"text,text\na,b\n"),
        ("a.csv", b"text,n\nf\xfcr,1\n"),
        ("a.csv", b"PK\x03\x04abc"),
        ("a.jsonl", b'{"a": 1}\n{"a": NaN}\n'),
        ("a.jsonl", b'{"a": 1}\n[1]\n'),
        ("a.jsonl", b'{"a": "\\ud800"}\n'),
        ("a.jsonl", b'{"a": "\xff"}\n'),
        ("a.parquet", b"PAR1nonsense"),
        ("a.txt", b"text"),
    ],
)
def test_what_is_wrong_is_told_as_of_a_whole_file(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as expected:
        whole(path, ReadOptions())
    with pytest.raises(UserError) as found:
        list(rows_of_file(path, ReadOptions()))
    assert str(found.value) == str(expected.value)


def test_the_rows_before_a_wrong_one_are_given(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,n\n" + "one,1\n" * 5000 + "two\n", "utf-8")
    rows = rows_of_file(path, ReadOptions())
    assert [dict(next(rows)) for _ in range(4000)][-1] == {"text": "one", "n": "1"}


def new_rows(path: Path, on_missing: str = "error") -> NewRowsFile:
    path.write_text('text,n,id\none,1,a\n"",2,b\nthree,"",\n"","",d\n', "utf-8")
    return NewRowsFile(path, ReadOptions(), ("text", "n"), on_missing)


def test_empty_cells_are_refused_with_their_rows(tmp_path: Path):
    with pytest.raises(DataError, match=r"new\.csv: used columns are empty in 3 rows: 1 \(text\), 2 \(n\), 3 \(n\)"):
        new_rows(tmp_path / "new.csv").checked()


def test_rows_with_empty_cells_are_left_out_where_the_experiment_does_so(tmp_path: Path):
    file = new_rows(tmp_path / "new.csv", "drop")
    assert file.checked() == RowCounts(1, 3)
    assert [(row.source_index, dict(row.values)) for row in file.rows()] == [(0, {"text": "one", "n": "1", "id": "a"})]


def test_empty_cells_are_empty_text_unless_all_inputs_are(tmp_path: Path):
    file = new_rows(tmp_path / "new.csv", "empty")
    with pytest.raises(DataError, match=r"in 1 row: 3 \(n\)"):
        file.checked()
    assert [row.input_text("text") for row in file.rows()] == ["one", "", "three", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [("id,n\na,1\n", 'column "text" not found; columns are: id, n'), ("text,n\n", "no rows")],
)
def test_a_file_without_a_column_or_rows_is_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "new.csv"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        NewRowsFile(path, ReadOptions(), ("text", "n"), "error").checked()


def test_a_long_file_is_not_held(tmp_path: Path):
    path = tmp_path / "new.csv"
    path.write_text("text\n" + f"{'a long text ' * 20}\n" * 40_000, "utf-8")
    file = NewRowsFile(path, ReadOptions(), ("text",), "error")
    tracemalloc.start()
    file.checked()
    assert sum(1 for _ in file.rows()) == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 10


def test_dotted_names_reach_fields(tmp_path: Path):
    path = tmp_path / "new.jsonl"
    path.write_text('{"a": {"text": ["x", "y"]}, "id": 1}\n{"a": null, "id": 2}\n', "utf-8")
    file = NewRowsFile(path, ReadOptions(), ("a.text.1", "id"), "empty")
    assert file.checked() == RowCounts(2, 0)
    assert [row.input_text("a.text.1") for row in file.rows()] == ["y", ""]
    with pytest.raises(DataError, match=r'column "a\.none" not found'):
        NewRowsFile(path, ReadOptions(), ("a.none",), "drop").checked()


def test_conversations_are_asked_up_to_their_last_turn(tmp_path: Path):
    path = tmp_path / "new.jsonl"
    turns = (("user", "a"), ("assistant", "b"), ("user", "c"))
    hi, hello, why = ({"role": role, "content": text} for role, text in turns)
    rows = [
        {"messages": [hi]},
        {"messages": [hi, hello, why]},
        {"messages": [hi, hello]},
        {"conversations": [{"from": "human", "value": "a"}]},
        {"instruction": "a", "input": ""},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    file = NewRowsFile(path, ReadOptions(), ("messages",), "empty", "messages")
    assert file.checked() == RowCounts(5, 0)
    prompts = [row.values["messages"].prompt for row in file.rows()]
    assert prompts == [[hi], [hi, hello, why], [hi], [hi], [hi]]
    path.write_text('{"messages": [{"role": "user", "content": "a"}]}\n{"messages": "hello"}\n', "utf-8")
    with pytest.raises(DataError, match=r"new\.jsonl row 1 \(from 0\): 'messages' holds"):
        file.checked()
