"""Records of tries on clusters: what is not what it must be is none."""

from pathlib import Path
from typing import Any

import pytest

from sft.runs.chains import (
    Begun,
    Chain,
    Ended,
    Link,
    Orders,
    Submission,
    SubmittedTry,
    queue_seconds,
    read,
    read_chain,
    write_chain,
)
from sft.runs.files import JobFolder
from sft.runs.records import write_record


@pytest.mark.parametrize(
    "record",
    [
        Ended(1, "timeout", "long", 1, 2, 3, stopped_by="SIGTERM", seconds=1.5),
        Begun("node", 1, "warm", None, ("GPU-1", "GPU-2")),
        Orders(3, 1),
        Submission("slurm", "sft-x", "chain.json", "7"),
    ],
)
def test_what_was_written_is_read(tmp_path: Path, record: Any) -> None:
    write_record(tmp_path / "file", record)
    assert read(tmp_path / "file", type(record)) == record


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Ended, '{"code": "0"}'),
        (Ended, '{"code": null}'),
        (Ended, '{"code": true}'),
        (Ended, '{"code": 0, "seconds": NaN}'),
        (Ended, '{"code": 0, "error": 5}'),
        (Ended, '{"code": 0, "error_kind": "mood"}'),
        (Ended, "[]"),
        (Ended, '{"co'),
        (Begun, '{"host": "n", "pid": "x", "start": "warm", "threads": 1, "gpus": null}'),
        (Begun, '{"host": "n", "pid": 1, "start": "warm", "threads": 1, "gpus": [3]}'),
        (Begun, '{"host": "n", "pid": 1, "start": "warm", "threads": 1, "gpus": 3}'),
        (Orders, '{"grace": "soon"}'),
        (Orders, '{"grace": Infinity}'),
        (Orders, '{"stacks": []}'),
        (Submission, '{"executor": "slurm", "name": null, "chain": "c"}'),
        (Submission, '{"executor": "slurm", "name": "n", "chain": "c", "id": 7}'),
    ],
)
def test_what_is_damaged_is_none(tmp_path: Path, kind: Any, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert read(tmp_path / "file", kind) is None


@pytest.mark.parametrize("needs", [(1,), (-1,), ("0",)])
def test_a_chain_whose_jobs_need_what_comes_later_is_damaged(tmp_path: Path, needs: Any) -> None:
    write_chain(Chain((Link(tmp_path / "a", "01"), Link(tmp_path / "b", "01", needs))), tmp_path / "chain.json")
    with pytest.raises(ValueError, match=r"chain\.json: is damaged"):
        read_chain(tmp_path / "chain.json")


def test_a_chain_is_read_where_it_lies_now(tmp_path: Path) -> None:
    """A results folder may have another path elsewhere."""
    chain = Chain((Link(tmp_path / "old" / "a", "01"), Link(tmp_path / "old" / "b", "02", (0,))), grace=5)
    write_chain(chain, tmp_path / "old" / "chain.json")
    (tmp_path / "old").rename(tmp_path / "new")
    found = read_chain(tmp_path / "new" / "chain.json")
    assert [link.folder for link in found.links] == [tmp_path / "new" / "a", tmp_path / "new" / "b"]


def _tried(folder: Path, name: str, submitted: float | None, began: float | None) -> JobFolder:
    job = JobFolder(folder)
    tried = SubmittedTry(job.attempt(1).path)
    tried.path.mkdir(parents=True)
    job.in_force.write_text(f"{tried.path.name}\n")
    write_record(tried.submission, Submission("slurm", name, "chain.json", "7", submitted=submitted))
    write_record(tried.begun, Begun("node", 1, "warm", None, None, began))
    return job


def test_a_chain_waits_once_however_many_jobs_it_has(tmp_path: Path) -> None:
    train = _tried(tmp_path / "train", "sft-a", 100.0, 130.0)
    infer = _tried(tmp_path / "infer", "sft-a", 100.0, 190.0)
    other = _tried(tmp_path / "other", "sft-b", 120.0, 125.0)
    assert queue_seconds([train, infer]) == 30.0
    assert queue_seconds([infer, other, train]) == 35.0


def test_nobody_waits_less_than_nothing_whatever_two_clocks_say(tmp_path: Path) -> None:
    assert queue_seconds([_tried(tmp_path / "train", "sft-a", 100.0, 99.0)]) == 0.0


def test_no_wait_is_told_where_none_is_known(tmp_path: Path) -> None:
    local, old = JobFolder(tmp_path / "local"), _tried(tmp_path / "old", "sft-a", None, None)
    assert queue_seconds([local, old]) is None
