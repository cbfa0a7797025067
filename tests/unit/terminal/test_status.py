"""What `status` says of a results folder."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.upkeep.results_view import view_of
from sft.runs.chains import Begun, Ended, Submission, SubmittedTry
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.terminal.status import seconds_since, status_lines

OOM = ErrorRecord("oom_gpu", "GPU out of memory")
KILLED = ErrorRecord("killed", "worker was ended by SIGKILL")


def lines_of(made: Any) -> list[str]:
    return status_lines(view_of(made.results))


def test_a_finished_grid(made: Any) -> None:
    made.finish(made.planned("one", "a"), "evaluate")
    made.finish(made.planned("old", "b", in_grid=False), "evaluate")
    assert lines_of(made) == [
        "results: no run is active",
        "1 experiment of grid.jsonnet: 1 done; 1 more not in this grid",
    ]


def test_counts_reasons_and_the_next_command(made: Any) -> None:
    made.finish(made.planned("good", "a"), "evaluate")
    for number in range(3):
        made.planned(f"bad-{number}", f"b{number}", train="t")
    made.stop(made.stage("train", "t"), "train", "failed", OOM)
    made.planned("killed", "c", train="u")
    made.stop(made.stage("train", "u"), "train", "failed", KILLED)
    made.stop(made.planned("stopped", "d"), "evaluate", "interrupted", ErrorRecord("killed", "stopped by SIGINT"))
    made.planned("new", "e")
    lines = lines_of(made)
    assert lines[1] == "7 experiments of grid.jsonnet: 1 done, 4 failed, 1 interrupted, 1 pending"
    assert lines[2:5] == [
        "Not done:",
        "  FAILED bad-0 [b0000000] at train: GPU out of memory. Log: results/stages/train/t000000000000000/attempts/"
        "01/stderr.log. Again: python -m sft.worker results/stages/train/t000000000000000 "
        "(+2 experiments of this stage)",
        "  FAILED killed [c0000000] at train: worker was ended by SIGKILL. Log: results/stages/train/u000000000000000/"
        "attempts/01/stderr.log. Again: python -m sft.worker results/stages/train/u000000000000000",
    ]
    assert lines[5] == "  INTERRUPTED stopped [d0000000] at evaluate: stopped by SIGINT"
    assert lines[6:] == [
        "Next: sft run-experiments grid.jsonnet --results-path results runs 3 experiments "
        "(1 failed, 1 interrupted, 1 pending)",
        "Next: sft run-experiments grid.jsonnet --results-path results --retry-failed runs also 3 experiments "
        "that failed and would fail the same way",
    ]


def test_what_runs_shows_how_far_it_is(made: Any) -> None:
    started = (datetime.now(UTC) - timedelta(seconds=75)).isoformat()
    made.planned("one", "a", train="t", infer="i")
    train, infer = made.stage("train", "t"), made.stage("infer", "i")
    made.job(train, "train")
    made.job(infer, "infer", "two\nlines")
    status = StatusRecord("running", "train", attempt=2, started=started, gpus=("GPU-1",))
    write_record(train.status, status)
    write_record(infer.status, StatusRecord("running", "infer", attempt=1))
    train.progress.write_text('{"stage": "train", "step": 12, "total": 300, "loss": 0.43214, "time": 1}')
    with locked(made.results):
        lines = lines_of(made)
        assert lines[0].startswith("results: in use (pid ")
        assert lines[1].endswith(": 1 running")
        assert lines[2:] == [
            "Running:",
            "  train    one step 12/300, loss 0.4321, 1 min 15 s, attempt 2, GPU-1",
            "  infer    two lines starting",
        ]
    assert "Running:" not in lines_of(made)
    assert "  LOST one [a0000000] at train: its runner ended without recording how" in lines_of(made)


def test_a_grid_given_as_a_value_names_no_file(made: Any) -> None:
    made.planned("one", "a")
    made.write_grid("grid")
    assert lines_of(made)[-1] == "Next: the same run again runs 1 experiment (1 pending)"


def test_a_status_that_cannot_be_read_is_one_warning(made: Any) -> None:
    for key in "abc":
        made.finish(made.planned(key, key), "evaluate").status.write_text("{")
    lines = lines_of(made)
    assert "3 done" in lines[1]
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "status.json and 2 more cannot be read" in warnings[0]


def test_many_failures_are_cut(made: Any) -> None:
    for number in range(30):
        made.stop(made.planned(f"e{number:02}", f"{number:02}"), "evaluate", "failed", OOM)
    lines = lines_of(made)
    assert sum(line.startswith("  FAILED") for line in lines) == 20
    assert any("... and 10 stages more" in line for line in lines)


def test_an_empty_folder_and_none(made: Any) -> None:
    assert lines_of(made) == ["results: no run is active", "0 experiments"]
    with pytest.raises(UserError, match="no such results folder"):
        view_of(ResultsFolder(made.results.path / "nowhere"))


@pytest.mark.parametrize(("moment", "known"), [(None, False), ("yesterday", False), ("2100-01-01T00:00:00Z", True)])
def test_time_never_runs_backwards(moment: str | None, known: bool) -> None:
    assert seconds_since(moment) == (0.0 if known else None)


def test_exports_that_failed_are_told_and_their_experiment_is_done(made: Any) -> None:
    made.finish(made.planned("one", "a", exports=["x"]), "evaluate")
    made.stop(made.stage("export", "x"), "export", "failed", ErrorRecord("model", "it cannot be merged"))
    lines = lines_of(made)
    assert "1 experiment of grid.jsonnet: 1 done" in lines
    assert lines[lines.index("Exports not done:") + 1].startswith("  FAILED one [x0000000] at export: it cannot be")
    assert lines[-1] == "Next: sft run-experiments grid.jsonnet --results-path results runs 1 export that failed"


def test_baselines_that_failed_are_told_beside_the_experiments(made: Any) -> None:
    made.finish(made.planned("one", "a", baseline="b"), "evaluate")
    made.stop(made.stage("baseline", "b"), "baseline", "failed", ErrorRecord("data", "test.jsonl changed"))
    made.stop(made.stage("baseline", "c"), "baseline", "failed", KILLED)
    assert lines_of(made)[1:] == [
        "1 experiment of grid.jsonnet: 1 done",
        "Baselines not done:",
        "  FAILED one [b0000000] at baseline: test.jsonl changed. Log: results/stages/baseline/b000000000000000/"
        "attempts/01/stderr.log. Again: python -m sft.worker results/stages/baseline/b000000000000000",
        "Next: sft run-experiments grid.jsonnet --results-path results --retry-failed runs also 1 baseline that "
        "failed and would fail the same way",
    ]


def test_what_waits_is_counted_with_the_longest_wait(made: Any) -> None:
    for number in range(3):
        folder = made.planned(f"e{number}", f"k{number}")
        queued = (datetime.now(UTC) - timedelta(minutes=number)).isoformat()
        write_record(folder.status, StatusRecord("queued", "evaluate", attempt=1, queued=queued))
    with locked(made.results):
        lines = lines_of(made)
    assert lines[1] == "3 experiments of grid.jsonnet: 3 queued"
    assert lines[2].startswith("Queued: 3 stages, the first for 2 min")


def test_what_stopped_on_a_cluster_goes_on_there(made: Any) -> None:
    folder = made.stop(made.planned("one", "a"), "evaluate", "interrupted", ErrorRecord("killed", "scancel"))
    tried = SubmittedTry(folder.attempt(1).path)
    write_record(tried.submission, Submission("slurm", "sft-a", "chain.json", "7", outlives_runner=True))
    write_record(tried.ended, Ended(75))
    assert lines_of(made)[-1] == (
        "Next: sft run-experiments grid.jsonnet --results-path results --executor slurm runs 1 experiment "
        "(1 interrupted)"
    )


def test_what_a_cluster_has_is_not_lost_and_the_command_that_collects_it_is_named(made: Any) -> None:
    for number, key in enumerate(("a", "b")):
        folder = made.planned(f"e{number}", key)
        made.stop(folder, "evaluate", "queued")
        tried = SubmittedTry(folder.attempt(1).path)
        tried.path.mkdir(parents=True, exist_ok=True)
        write_record(tried.submission, Submission("slurm", f"sft-{key}", "chain.json", "7", outlives_runner=True))
        if number:
            write_record(tried.begun, Begun("node1", 4711, "fresh", 1, None))
    lines = lines_of(made)
    assert lines[1] == "2 experiments of grid.jsonnet: 1 running, 1 queued"
    assert [line for line in lines[2:] if not line.startswith("  ")] == [
        "Running:",
        "Queued: 1 stage",
        "On slurm: 2 stages that no run watches; sft run-experiments grid.jsonnet --results-path results --executor "
        "slurm collects what has ended and takes over the rest",
    ]
    assert sum(line.startswith("  evaluate") for line in lines) == 1, "thousands may wait"
