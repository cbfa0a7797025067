import json
from pathlib import Path
from typing import Any

import pytest

from sft.runs import progress
from sft.runs.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def test_it_writes_at_once_then_at_most_every_second_and_always_at_the_end(tmp_path: Path, clock: list[float]) -> None:
    path = tmp_path / "progress.json"
    report = Progress(path, "train")
    report(1, 10, 0.5)
    record = _read(path)
    assert (record["stage"], record["step"], record["total"], record["loss"]) == ("train", 1, 10, 0.5)
    clock[0] += 0.9
    report(2, 10)
    assert _read(path)["step"] == 1
    clock[0] += 0.2
    report(3, 10)
    assert _read(path)["step"] == 3
    report(10, 10)
    assert _read(path)["step"] == 10


def test_deep_work_keeps_the_heart_beating_and_changes_no_number(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress._Process, "progress", None)
    progress.beat()
    monkeypatch.setattr(progress.time, "time", lambda: clock[0])
    report = Progress(tmp_path / "progress.json", "train")
    report.hello()
    report(3, 10, 0.5)
    for seconds, expected in ((0.9, 100.0), (0.2, 101.1)):
        clock[0] += seconds
        progress.beat()
        record = _read(tmp_path / "progress.json")
        assert record["time"] == pytest.approx(expected)
        assert (record["step"], record["total"], record["loss"]) == (3, 10, 0.5)


def test_a_loss_that_is_not_finite_is_written_as_null(tmp_path: Path, clock: list[float]) -> None:
    Progress(tmp_path / "progress.json", "train")(1, 2, float("nan"))
    assert _read(tmp_path / "progress.json")["loss"] is None


def test_the_time_of_the_first_line_stays_in_all_later_ones(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress._Process, "progress", None)
    monkeypatch.setattr(progress.time, "time", lambda: clock[0])
    report = Progress(tmp_path / "progress.json", "train")
    report.hello()
    clock[0] += 2.0
    report(3, 10)
    assert (_read(tmp_path / "progress.json")["ready"], _read(tmp_path / "progress.json")["time"]) == (100.0, 102.0)
    clock[0] += 2.0
    progress.beat()
    assert _read(tmp_path / "progress.json")["ready"] == 100.0
