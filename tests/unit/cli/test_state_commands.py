"""The commands that look after a results folder: output and exit codes; what they say is tested with its functions."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from sft.runs import notices
from sft.runs.lock import locked
from sft.runs.records import ErrorRecord

Call = Callable[..., tuple[int, str, str]]
RESULT = '{"results": {"macro_f1": 0.5}, "data": {}, "details": {}}'


@pytest.fixture
def grid(made: Any) -> Any:
    """One experiment is done, the training of the other failed."""
    made.finish(made.planned("good", "a"), "evaluate", RESULT)
    made.finish(made.stage("infer", "a"), "infer")
    made.planned("bad", "b", train="t")
    made.stop(made.stage("train", "t"), "train", "failed", ErrorRecord("data", "no rows"))
    return made


def test_status_ends_well_also_where_experiments_failed(grid: Any, call: Call) -> None:
    code, out, err = call("status")
    assert (code, err) == (0, "")
    assert "2 experiments of grid.jsonnet: 1 done, 1 failed" in out
    assert call("status", "--results-path", "results")[1] == out


@pytest.mark.parametrize("command", ["status", "verify", "clean"])
def test_a_folder_that_is_not_there_is_the_user_s(call: Call, made: Any, command: str) -> None:
    code, out, err = call(command, "--results-path", "nowhere")
    assert (code, out) == (2, "")
    assert "nowhere: no such results folder" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("wanted", "head"), [("bad", "FAILED bad"), ("b0", "FAILED bad"), ("best", "done good")])
def test_logs_take_names_ids_and_best(grid: Any, call: Call, wanted: str, head: str) -> None:
    code, out, _ = call("logs", wanted, "--lines", "1")
    assert code == 0
    assert out.startswith(head)
    assert ("Traceback" in out) is False


def test_logs_of_none_and_of_several_are_the_user_s(grid: Any, call: Call) -> None:
    grid.planned("more", "ab")
    assert call("logs", "nothing")[0] == 2
    code, _, err = call("logs", "a")
    assert code == 2
    assert "may be good [a0000000], more [ab000000]" in err


def test_verify_ends_with_1_where_a_file_differs(grid: Any, call: Call) -> None:
    assert call("verify")[0] == 0
    metrics = next(grid.results.experiments.glob("good-*/result/metrics.json"))
    metrics.write_text(RESULT.replace("0.5", "0.9"))
    code, out, _ = call("verify")
    assert code == 1
    assert "result/metrics.json has another content than was written (sha256 differs)" in out


def test_clean_shows_first_and_deletes_when_told(grid: Any, call: Call) -> None:
    unneeded = grid.finish(grid.stage("infer", "x"), "infer")
    code, out, _ = call("clean")
    assert code == 0
    assert "nothing was deleted yet: --yes deletes" in out
    assert unneeded.path.is_dir()
    code, out, _ = call("clean", "--yes")
    assert code == 0
    assert not unneeded.path.exists()


def test_all_work_while_a_run_is_active_and_pruning_is_refused(grid: Any, call: Call) -> None:
    with locked(grid.results):
        for command in (("status",), ("logs", "bad"), ("verify",), ("clean",), ("clean", "--yes")):
            assert call(*command)[0] == 0, command
        code, _, err = call("clean", "--yes", "--adapters")
    assert code == 3
    assert "is in use by another run (pid " in err


def test_files_of_a_newer_version_are_refused_in_one_line(grid: Any, call: Call) -> None:
    status = grid.stage("train", "t").status
    status.write_text(status.read_text().replace('"schema": 1', '"schema": 2'))
    for command in (("status",), ("logs", "bad"), ("verify",), ("clean",), ("leaderboard", "results")):
        code, _, err = call(*command)
        assert code == 5, command
        assert "was written by a newer version of sft (schema 2; this one reads up to 1)" in err
        assert "Traceback" not in err


def test_a_file_in_place_of_the_claims_is_told_in_one_line(
    grid: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", lambda *_: refuse_locks())
    monkeypatch.setattr(notices, "_LISTENER", type(notices._LISTENER)())
    grid.results.lock.touch()
    grid.results.claims.touch()
    for command in ("status", "logs bad", "verify", "clean", "clean --yes --adapters", "leaderboard results"):
        code, out, err = call(*command.split())
        assert (code, out) == (5, ""), command
        last = [line for line in err.splitlines() if "locks no files" not in line]
        assert len(last) == 1, command
        assert "run.claims: cannot be used: Not a directory. With run.claims a run shows that it uses " in last[0]


def refuse_locks() -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_errors_shows_rows_writes_them_and_refuses_in_one_line(made: Any, call: Call, tmp_path: Any) -> None:
    columns = {"text": ["dull", "fine"], "label": ["neg", "pos"]}
    made.answered("one", "1", made.config(), ["pos", "pos"], columns)
    code, out, err = call("errors", "best", "--csv", str(tmp_path / "wrong.csv"))
    assert code == 0
    assert "1 of 2 test rows wrong" in out
    assert "1 row written to " in err
    assert "dull" in (tmp_path / "wrong.csv").read_text()
    code, out, err = call("errors", "two")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
