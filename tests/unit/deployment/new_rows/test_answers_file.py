"""Only whole groups of answers stay, and one process writes at a time."""

import json
from pathlib import Path

import pytest

from sft.deployment.new_rows.answers_file import opened, whole_lines
from sft.exceptions import FolderInUse, UserError


def lines(count: int, first: int = 0) -> str:
    return "".join(f"{json.dumps({'text': 'é', 'index': number})}\n" for number in range(first, first + count))


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("", 0),
        (lines(3), 0),
        (lines(4), 4),
        (lines(7), 4),
        (lines(7) + '{"text', 4),
        (lines(8)[:-1], 4),
        (lines(10), 10),
    ],
)
def test_what_was_begun_is_cut_off(tmp_path: Path, content: str, kept: int):
    path = tmp_path / "new.jsonl"
    path.write_text(content, "utf-8")
    assert whole_lines(path, 4, 10) == kept
    with opened(path) as answers:
        assert answers.keep_whole(4, 10) == kept
        answers.append([{"text": "ü\u2028", "index": kept}])
    assert path.read_text("utf-8") == lines(kept) + f'{{"text": "ü\\u2028", "index": {kept}}}\n'


def test_a_file_that_was_changed_is_refused(tmp_path: Path):
    path = tmp_path / "new.jsonl"
    path.write_text(lines(4, first=1), "utf-8")
    with opened(path) as answers, pytest.raises(UserError, match=r"line 4 is not the answer to row 3"):
        answers.keep_whole(4, 10)
    assert path.read_text("utf-8") == lines(4, first=1)


def test_two_do_not_write_to_one_file(tmp_path: Path):
    first, second = opened(tmp_path / "new.jsonl"), opened(tmp_path / "new.jsonl")
    with first, pytest.raises(FolderInUse, match="another process"), second:
        pass


def test_nothing_is_there_before_the_first_run(tmp_path: Path):
    assert whole_lines(tmp_path / "new.jsonl", 4, 10) == 0
    assert whole_lines(tmp_path / "new.jsonl", None, 10) == 0
