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


def test_a_loss_that_is_not_finite_is_written_as_null(tmp_path: Path, clock: list[float]) -> None:
    Progress(tmp_path / "progress.json", "train")(1, 2, float("nan"))
    assert _read(tmp_path / "progress.json")["loss"] is None
