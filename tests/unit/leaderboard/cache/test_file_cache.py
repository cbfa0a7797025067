"""A results folder reads the same with its cache as without, whatever happened to its files since."""

import os
import shutil
from pathlib import Path

import pytest

from sft.leaderboard import collect as collecting
from sft.leaderboard.cache import file_cache
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.joining import collect
from sft.runs.atomic import write_json
from sft.runs.files import ResultsFolder
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsBuilder:
    """Of three runs, one of them with two names, with a cache of them."""
    monkeypatch.setattr(file_cache, "_TOO_NEW_NS", -(1 << 62))
    grid = ResultsBuilder(tmp_path / "results")
    for place, letter in enumerate("abc"):
        job = grid.done(letter, letter * 16, config(seed=place), metrics({"macro_f1": place / 10}))
    grid.alias("same", "c" * 16, config(seed=2), job)
    collect([grid.results], keeps=True)
    return grid


def read(grid: ResultsBuilder) -> list[tuple[object, ...]]:
    """What is told of each experiment, from its cache; and the same without one."""
    found = list(map(told, collect([grid.results]).in_grid))
    shutil.move(grid.results.board_cache, grid.path.parent / "kept")
    assert list(map(told, collect([grid.results]).in_grid)) == found
    shutil.move(grid.path.parent / "kept", grid.results.board_cache)
    return found


def told(record: ExperimentRecord) -> tuple[object, ...]:
    return record.name, record.id, record.state, record.folder, record.config, record.metrics, record.in_force


def test_unchanged_files_are_not_read(grid: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    expected = read(grid)
    for module, name in (
        (collecting, "_metrics"), (collecting, "in_force"), (file_cache, "read_json_or_none"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, never)
    assert list(map(told, collect([grid.results]).in_grid)) == expected
    assert [one[2] for one in expected] == ["done"] * 4


def test_configs_without_a_result_are_looked_at_once(grid: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid under way has many of them, at every refresh."""
    grid.planned("later", "d" * 16, config(seed=9, model={"name": "another"}))
    before = collect([grid.results], keeps=True).in_grid[-1]
    monkeypatch.setattr(collecting, "in_force", None)
    after = collect([grid.results]).in_grid[-1]
    assert (after.name, after.state, after.in_force) == ("later", "pending", before.in_force)


def test_edited_metrics_are_damaged_even_with_their_old_time(grid: ResultsBuilder) -> None:
    path = grid.experiment("b", "b" * 16).metrics
    before, text = path.stat(), path.read_text()
    path.write_text(text.replace("0.1", "0.9"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert {one[0]: one[2] for one in read(grid)} == {"a": "done", "b": "damaged", "c": "done", "same": "done"}


def test_a_file_that_is_gone_or_new_is_seen(grid: ResultsBuilder) -> None:
    grid.experiment("a", "a" * 16).rows.unlink(missing_ok=True)
    grid.experiment("b", "b" * 16).metrics.unlink()
    grid.done("d", "d" * 16, config(seed=3), metrics({"macro_f1": 0.3}))
    assert {one[0]: one[2] for one in read(grid)}["b"] != "done"
    assert "d" in {one[0] for one in read(grid)}


def test_what_is_new_is_kept_beside_what_was_there(grid: ResultsBuilder) -> None:
    before = grid.results.board_cache.read_bytes()
    collect([grid.results], keeps=True)
    assert grid.results.board_cache.read_bytes() == before
    grid.done("d", "d" * 16, config(seed=3), metrics({"macro_f1": 0.3}))
    collect([grid.results], keeps=True)
    assert grid.results.board_cache.read_bytes() != before
    assert len(read(grid)) == 5


@pytest.mark.parametrize("content", [b"", b"PK", b"half"])
def test_a_cache_that_cannot_be_read_is_as_none(grid: ResultsBuilder, content: bytes) -> None:
    path = grid.results.board_cache
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == b"half" else content)
    assert len(read(grid)) == 4
    collect([grid.results], keeps=True)
    assert path.stat().st_size > 100


def test_the_cache_of_another_program_is_as_none(grid: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(grid.experiment("a", "a" * 16).config, {"schema": 1, "id": "a" * 16, "names": ["a"]})
    monkeypatch.setattr(file_cache, "_made_by", lambda: "another")
    assert not file_cache.read_cache(grid.results).parts.arrays()["text"].size
    assert len(read(grid)) == 4


def test_the_folder_may_be_the_one_that_one_is_in(grid: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [one[:3] for one in read(grid)]
    monkeypatch.chdir(grid.path)
    monkeypatch.setattr(collecting, "_metrics", None)
    assert [told(record)[:3] for record in collect([ResultsFolder(Path())]).in_grid] == expected


def test_a_folder_without_room_for_a_cache_is_read(grid: ResultsBuilder) -> None:
    shutil.rmtree(grid.results.board_cache.parent)
    grid.results.board_cache.parent.write_text("a file stands here")
    assert len(collect([grid.results], keeps=True).in_grid) == 4


def test_files_that_just_changed_are_read_again(grid: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "_TOO_NEW_NS", 1 << 62)
    assert file_cache.read_cache(grid.results).signature("grid.json", ["grid.json"]) is None
    assert len(read(grid)) == 4


def test_what_is_made_of_results_is_made_again_where_a_file_of_them_changes(grid: ResultsBuilder) -> None:
    """Also by a reader that comes later, as the caches of a leaderboard are written once more."""
    made: list[str] = []

    def value_of(name: str) -> object:
        found = collect([grid.results], keeps=True)
        record = next(one for one in found.in_grid if one.name == name)
        value = record.remember("seen", lambda: made.append(name) or {"errors": [[1.5, None]]})
        found.caches[0].write()
        return value

    assert [value_of(name) for name in "aab"] == [{"errors": [[1.5, None]]}] * 3
    assert made == ["a", "b"]
    os.utime(grid.experiment("a", "a" * 16).manifest, ns=(0, 0))
    assert [value_of(name) for name in "ab"] == [{"errors": [[1.5, None]]}] * 2
    assert made == ["a", "b", "a"]


def test_long_texts_are_not_kept(grid: ResultsBuilder) -> None:
    records = collect([grid.results], keeps=True).in_grid
    assert records[0].remember("seen", lambda: "x" * 100_000) == "x" * 100_000
    assert records[0].remember("seen", lambda: "y") == "y"
