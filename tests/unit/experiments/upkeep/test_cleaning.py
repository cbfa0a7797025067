"""What `clean` takes out of a results folder, and what it leaves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import FolderInUse, UserError
from sft.experiments.upkeep.cleaning import clean, find_removals, remove
from sft.experiments.upkeep.results_view import view_of
from sft.experiments.upkeep.verification import verify
from sft.reporting.files import write_leaderboard
from sft.runs.chains import Submission, SubmittedTry
from sft.runs.events import EventLog
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked, settle
from sft.runs.records import StatusRecord, read_status, write_record
from tests.support.results import SMALL

RESULT = '{"results": {"macro_f1": 0.5}, "data": {}, "details": {}}'


@pytest.fixture
def grid(made: Any) -> Any:
    """Two finished experiments that share a training, and leftovers of every kind."""
    for name, key in (("one", "a"), ("two", "b")):
        made.finish(made.planned(name, key, train="t", infer=f"i{key}"), "evaluate", RESULT)
        made.finish(made.stage("infer", f"i{key}"), "infer")
    made.finish(made.stage("train", "t"), "train")
    return made


@pytest.fixture
def used(grid: Any) -> Iterator[Any]:
    """The same while a run is active."""
    with locked(grid.results):
        yield grid


def said(made: Any, *, delete: bool = False, adapters: bool = False) -> list[str]:
    return clean(made.results, delete=delete, adapters=adapters)


def gone(made: Any, *, adapters: bool = False) -> set[str]:
    """What a deletion takes away, the highest of each."""
    before = made.content()
    shown = said(made, adapters=adapters)
    assert made.content() == before, "nothing may change without --yes"
    deleted = said(made, delete=True, adapters=adapters)
    assert [line for line in shown if line.startswith("  ")] == [line for line in deleted if line.startswith("  ")]
    lost = set(before) - set(made.content())
    return {name for name in lost if Path(name).parent.as_posix() not in lost}


def test_a_grid_needs_all_of_its_stages(grid: Any) -> None:
    assert gone(grid) == set()
    assert said(grid) == ["results: nothing to delete"]


def test_what_the_grid_does_not_hold_goes(grid: Any) -> None:
    grid.finish(grid.planned("old", "c", train="t", infer="ic", in_grid=False), "evaluate")
    grid.finish(grid.stage("infer", "ic"), "infer")
    grid.stop(grid.stage("train", "u"), "train", "failed")
    (grid.results.experiments / "stray").mkdir()
    assert gone(grid) == {
        "experiments/old-c0000000", "experiments/stray", "stages/infer/ic00000000000000",
        "stages/train/u000000000000000",
    }  # fmt: skip


def test_sizes_are_told_before_and_after(grid: Any) -> None:
    (grid.stage("infer", "ic").path).mkdir()
    (grid.stage("infer", "ic").path / "scores.npz").write_bytes(b"x" * 2500)
    assert said(grid) == [
        "not in this grid:",
        "      2.5 kB  results/stages/infer/ic00000000000000",
        "1 item, 2.5 kB; nothing was deleted yet: --yes deletes",
    ]
    assert said(grid, delete=True)[-1] == "1 item, 2.5 kB deleted"


def test_leftovers_go_and_checkpoints_only_of_what_is_done(grid: Any) -> None:
    done = grid.stage("train", "t")
    grid.planned("three", "c", train="u", infer="ic")
    stopped = grid.stop(grid.stage("train", "u"), "train", "interrupted")
    for folder in (done, stopped):
        (folder.checkpoints / "step-4").mkdir(parents=True)
        folder.attempt(1).work.mkdir(parents=True)
        (folder.attempt(1).work / "scratch").write_text("x")
        (folder.attempt(1).out / "checkpoints").mkdir(parents=True)
        (folder.path / ".tmp-abc").write_text("half")
    (grid.results.trash / "old").mkdir(parents=True)
    t, u = "stages/train/t000000000000000", "stages/train/u000000000000000"
    assert gone(grid) == {
        "experiments/.trash", f"{t}/.tmp-abc", f"{t}/attempts/01/work", f"{t}/attempts/01/out",
        f"{t}/checkpoints", f"{u}/.tmp-abc", f"{u}/attempts/01/work",
    }  # fmt: skip


def test_adapters_of_finished_experiments_are_pruned_and_their_results_count(grid: Any) -> None:
    write_leaderboard([grid.results], grid.results.path)
    board = grid.results.leaderboard("json").read_bytes()
    assert "stages/train/t000000000000000/adapter" in gone(grid, adapters=True)
    view = view_of(grid.results)
    assert view.standings.of(grid.stage("train", "t")).state == "pruned"
    assert [view.standings.of_experiment(item).state for item in view.experiments] == ["done", "done"]
    assert verify(view).damaged == ()
    write_leaderboard([grid.results], grid.results.path)
    assert grid.results.leaderboard("json").read_bytes() == board
    (event,) = EventLog(grid.results.events).read().events
    assert (event.job, event.state) == ("stages/train/t000000000000000", "pruned")
    assert gone(grid, adapters=True) == set()


def test_an_adapter_stays_while_an_experiment_needs_it(grid: Any) -> None:
    grid.planned("three", "c", train="t", infer="ic")
    assert gone(grid, adapters=True) == set()


def test_an_adapter_that_others_start_from_stays(grid: Any) -> None:
    adapter = str(grid.stage("train", "t").adapter)
    grid.finish(grid.planned("three", "c", SMALL | {"model": {"adapter": adapter}}, infer="ic"), "evaluate")
    grid.finish(grid.stage("infer", "ic"), "infer")
    assert gone(grid, adapters=True) == set()


def test_a_training_that_the_grid_starts_from_is_needed(grid: Any) -> None:
    alone = grid.finish(grid.stage("train", "u"), "train")
    folder = grid.planned(
        "three", "c", SMALL | {"model": {"adapter": "stages/train/u000000000000000/adapter"}}, infer="ic"
    )
    record = json.loads(folder.config.read_text()) | {"config_folder": str(grid.results.path)}
    folder.config.write_text(json.dumps(record))
    assert gone(grid) == set()
    assert alone.adapter.is_dir()


def test_while_a_run_is_active_only_what_it_cannot_need_goes(used: Any) -> None:
    used.finish(used.planned("old", "c", in_grid=False, infer="ic"), "evaluate")
    used.finish(used.stage("infer", "ic"), "infer")
    training = used.stage("train", "u")
    used.job(training, "train")
    write_record(training.status, StatusRecord("running", "train", attempt=1))
    used.planned("asked", "d", in_grid=False, train="u", infer="id")
    used.finish(used.stage("infer", "ie"), "infer")
    used.finish(used.stage("infer", "id"), "infer")
    (used.stage("train", "t").path / ".tmp-abc").write_text("half")
    assert gone(used) == {
        "experiments/old-c0000000", "stages/infer/ic00000000000000", "stages/infer/ie00000000000000",
    }  # fmt: skip
    assert any("a run is active (pid " in line for line in said(used))


def test_a_run_that_has_not_written_its_grid_yet_loses_nothing(grid: Any) -> None:
    grid.finish(grid.stage("infer", "ic"), "infer")
    with locked(grid.results, starting=True):
        before = grid.content()
        with pytest.raises(FolderInUse, match="a run has just started"):
            said(grid, delete=True)
        assert grid.content() == before
        settle(grid.results)
        assert gone(grid) == {"stages/infer/ic00000000000000"}


def test_a_run_that_starts_while_something_is_taken_out_loses_nothing_more(grid: Any) -> None:
    grid.finish(grid.stage("infer", "ic"), "infer")
    with locked(grid.results):
        view = view_of(grid.results)
    with locked(grid.results, starting=True), pytest.raises(FolderInUse, match="a run has just started"):
        remove(view, find_removals(view, adapters=False))
    assert grid.results.stage("infer", "ic00000000000000").path.is_dir()


def test_what_a_running_stage_reads_stays(used: Any) -> None:
    alone = used.finish(used.stage("train", "u"), "train")
    infer = used.stage("infer", "if")
    used.job(infer, "infer", inputs={"train": f"../../train/{alone.path.name}"})
    write_record(infer.status, StatusRecord("running", "infer", attempt=1))
    assert gone(used) == set()


def test_adapters_are_not_pruned_while_a_run_is_active(used: Any) -> None:
    before = used.content()
    with pytest.raises(FolderInUse, match="in use by another run"):
        said(used, delete=True, adapters=True)
    assert used.content() == before


@pytest.mark.parametrize("broken", ["grid", "config"])
def test_where_the_grid_cannot_tell_no_stage_goes(grid: Any, broken: str) -> None:
    grid.finish(grid.stage("infer", "ic"), "infer")
    grid.results.grid.write_text("{") if broken == "grid" else grid.configs.update(
        three={"id": "9" * 16, "folder": "x", "config": {}}
    )
    if broken == "config":
        grid.write_grid()
    assert gone(grid) == set()
    assert any("does not say which stages it needs" in line for line in said(grid))


def test_a_folder_that_is_none_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stages" / "train" / "mine").mkdir(parents=True)
    with pytest.raises(UserError, match="not a results folder"):
        clean(ResultsFolder(tmp_path), delete=True, adapters=True)
    assert (tmp_path / "stages" / "train" / "mine").is_dir()


def test_a_pruning_that_was_cut_off_leaves_it_pruned_or_whole(grid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.experiments.upkeep import cleaning

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cleaning, "delete", dies)
    with pytest.raises(KeyboardInterrupt):
        said(grid, delete=True, adapters=True)
    status = read_status(grid.stage("train", "t").status)
    assert status is not None
    assert status.state == "pruned"
    assert view_of(grid.results).standings.of(grid.stage("train", "t")).state == "done"


def test_a_long_list_is_cut(grid: Any) -> None:
    for number in range(60):
        grid.stage("infer", f"x{number:02}").path.mkdir()
    lines = said(grid)
    assert len(lines) < 60
    assert lines[-2].endswith("... and 10 more")
    assert lines[-1].startswith("60 items")


def test_the_stores_of_trackers_are_nobody_s_leftovers(grid: Any) -> None:
    for name in (
        "mlflow.db",
        "mlflow.db.open.lock",
        "mlflow-artifacts/run/artifacts/config.json",
        "tensorboard/one/e",
    ):
        path = grid.results.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")
    assert "stages/train/t000000000000000/adapter" in gone(grid, adapters=True)
    assert (grid.results.path / "mlflow-artifacts/run/artifacts/config.json").read_text() == "kept"
    assert verify(view_of(grid.results)).damaged == ()


def test_baselines_beside_the_grid_s_experiments_are_kept(grid: Any) -> None:
    grid.planned("one", "a", train="t", infer="ia", baseline="b")
    for key in ("b", "c"):
        grid.finish(grid.stage("baseline", key), "baseline")
    assert gone(grid) == {"stages/baseline/c000000000000000"}
    assert verify(view_of(grid.results)).damaged == ()


def test_exports_of_the_grid_are_kept_and_an_adapter_stays_until_it_is_exported(grid: Any) -> None:
    grid.planned("one", "a", train="t", infer="ia", exports=["x"])
    grid.finish(grid.stage("export", "y"), "export")
    assert gone(grid, adapters=True) == {"stages/export/y000000000000000"}
    grid.finish(grid.stage("export", "x"), "export")
    assert "stages/train/t000000000000000/adapter" in gone(grid, adapters=True)


def test_what_a_cluster_has_stays_though_no_run_is_active(grid: Any) -> None:
    old = grid.planned("old", "c", in_grid=False, train="u")
    grid.finish(grid.stage("train", "u"), "train")
    grid.stop(old, "evaluate", "queued")
    grid.job(old, "evaluate")
    tried = SubmittedTry(old.attempt(1).path)
    tried.path.mkdir(parents=True, exist_ok=True)
    write_record(tried.submission, Submission("slurm", "sft-c", "chain.json", "7", outlives_runner=True))
    assert gone(grid) == set()
    tried.submission.unlink()
    assert gone(grid) != set()
