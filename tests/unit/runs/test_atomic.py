import json
import os
import stat
from pathlib import Path

import pytest

from sft.runs.atomic import atomic_file, write_json, write_json_lines, write_text


def _write_and_fail(path: Path) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [None, "old"])
def test_an_exception_inside_the_block_leaves_what_was_there_and_no_temporary_file(
    tmp_path: Path, before: str | None
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt):
        _write_and_fail(path)
    assert {item.name: item.read_text() for item in tmp_path.iterdir()} == ({} if before is None else {"file": before})


def test_the_name_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with atomic_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert [item.name for item in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_mode_of_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    previous = os.umask(mask)
    try:
        write_text(tmp_path / "file", "text")
        assert os.umask(mask) == mask
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_with_a_number_that_is_not_finite_is_refused_and_leaves_the_old_file(
    tmp_path: Path, number: float
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"loss": 1.0})
    for write in (write_json, lambda place, value: write_json_lines(place, [{}, value])):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(path, {"loss": number})
    assert json.loads(path.read_text()) == {"loss": 1.0}


def test_text_that_breaks_lines_or_encodings_survives_json_lines(tmp_path: Path) -> None:
    values = ["\u2028\x85\n\0", "\ud83d alone", {"é": "😀"}]
    write_json_lines(tmp_path / "file", values)
    lines = (tmp_path / "file").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == values
    assert (tmp_path / "file").read_text("ascii").splitlines() == [line.decode() for line in lines]


def test_lone_surrogates_can_be_written_as_text(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "a\ud83db")
    assert (tmp_path / "file").read_bytes().decode("utf-8", "surrogatepass") == "a\ud83db"
