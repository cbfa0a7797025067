import re
from pathlib import Path

import pytest

from sft.runs.files import JobFolder, ResultsFolder, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lora-r8", "lora-r8"),
        ("Qwen/Lora R8", "Qwen-Lora-R8"),
        ("x" * 300, "x" * 60),
        ("../../x", "x"),
        ("/etc/passwd", "etc-passwd"),
        ("..", "experiment"),
        (".hidden", "hidden"),
        ("😀", "experiment"),
        ("😀 fun", "fun"),
        ("naïve café", "naive-cafe"),
        ("日本語", "experiment"),
        ("a\nb\tc\0d", "a-b-c-d"),
        ("y" * 59 + "--z", "y" * 59),
        ("-rf", "rf"),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["../" * 50 + "x", "a/../../b", "\\\\server\\share", "C:\\x", "~root", "$HOME", "*?"])
def test_no_name_leaves_the_folder_of_experiments(tmp_path: Path, name: str) -> None:
    made = ResultsFolder(tmp_path).experiments / f"{slug(name)}-0123abcd"
    assert made.resolve().parent == ResultsFolder(tmp_path).experiments
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", made.name)


def test_attempts_are_numbered_from_one_and_listed_oldest_first(tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    assert job.attempts() == []
    for number in (2, 1, 10):
        job.attempt(number).path.mkdir(parents=True)
    assert [attempt.path.name for attempt in job.attempts()] == ["01", "02", "10"]


def test_predictions_of_the_test_split_have_the_plain_name(tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    assert job.predictions("test", "tsv") == tmp_path / "result" / "predictions.tsv"
    assert job.predictions("dev", "jsonl") == tmp_path / "result" / "predictions.dev.jsonl"


def test_stray_files_are_no_experiments(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path)
    assert results.experiment_folders() == []
    (results.experiments / "b-2").mkdir(parents=True)
    (results.experiments / "a-1").mkdir()
    (results.experiments / "notes.txt").write_text("mine")
    assert [job.path.name for job in results.experiment_folders()] == ["a-1", "b-2"]
