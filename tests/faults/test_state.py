"""Files that are half written, torn, altered or linked elsewhere: what a results folder says stays true."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft import api
from sft.experiments.planning import plan_warnings
from sft.experiments.running.grid_files import write_configs, write_grid
from sft.experiments.running.recovery import sweep
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.reporting.files import write_leaderboard
from sft.runs import atomic, events, progress
from sft.runs.atomic import write_json, write_text
from sft.runs.events import EventLog
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import locked
from sft.runs.manifest import finished_files, is_done, write_manifest
from sft.runs.progress import Progress
from sft.runs.records import ErrorRecord, StatusRecord, read_json_or_none, read_status, write_record
from sft.terminal.plan import plan_lines
from sft.terminal.status import verification_lines
from tests.support.waiting import wait_until

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
RESULT = {"results": {"macro_f1": 0.5}, "data": {}, "details": {}}
Raw = Callable[..., dict[str, Any]]


class Planned:
    """The jobs of a grid that is planned in `project`, and their results as if they had been run."""

    def __init__(self, plan: Any, results: ResultsFolder) -> None:
        self.plan = plan
        self.results = results
        folders = ExperimentFolders(results)
        self.jobs = {
            planned.experiment.name: jobs_of(planned.experiment, planned.keys, folders, results, "metrics")
            for planned in plan.experiments
        }

    def write(self) -> None:
        """What a run writes before its first job."""
        write_grid(self.plan, self.jobs, self.results, sets_grid=True, adds_to_grid=True)
        write_configs(self.plan, self.jobs)

    def finish(self, versions: dict[str, str] | None = None) -> "Planned":
        """What a run leaves."""
        self.write()
        for job in (job for jobs in self.jobs.values() for job in jobs if not job.is_done):
            write_record(job.folder.job, job.record)
            path = _output(job)
            write_json(path, RESULT | {"environment": {"versions": versions or {}}})
            write_manifest(job.folder, [path])
            write_record(job.folder.status, StatusRecord("done", job.record.stage, attempt=1))
        return self


def _output(job: PlannedJob) -> Path:
    return {"train": job.folder.training, "infer": job.folder.inference, "evaluate": job.folder.metrics}[
        job.record.stage
    ]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    monkeypatch.chdir(tmp_path)
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def planned(plan_of: Callable[..., Any], project: Path, results: ResultsFolder) -> Callable[..., Planned]:
    """Plans name -> config."""
    return lambda **configs: Planned(plan_of(project, **configs), results)


def board(results: ResultsFolder) -> dict[str, Any]:
    write_leaderboard([results], results.path)
    return dict(json.loads(results.leaderboard("json").read_text()))


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.rglob(".tmp-*"))


# half written


def final_files(grid: Any) -> dict[str, bytes]:
    """What the stages made: the files that their manifests list."""
    folders = [grid.folder(name, number) for name, jobs in grid.experiments.items() for number in range(len(jobs))]
    return {
        f"{folder.path.name}/{name}": (folder.path / name).read_bytes()
        for folder in folders
        for name in (*finished_files(folder), "manifest.json")
    }


@BOTH_STARTS
@pytest.mark.parametrize("role", ["worker", "runner"])
@pytest.mark.parametrize("writes", [[2], pytest.param(range(1, 100), marks=pytest.mark.slow)])
def test_a_crash_between_any_two_writes_ends_with_the_same_files__row_23(
    grid: Any, stub_faults: Callable[..., None], start: str, role: str, writes: Any
) -> None:
    grid.add("one", stages=("train", "infer", "evaluate"))
    grid.add("two")
    assert grid.run(start=start) == 0
    expected = final_files(grid)
    crashes = 0
    for number in writes:
        shutil.rmtree(grid.results.path)
        stub_faults(die_after_write=number, **{"in": role})
        code = grid.run(start=start, retries=0)
        stub_faults()
        if code == 0:
            break
        crashes += 1
        assert code == (1 if role == "worker" else -signal.SIGKILL)
        assert grid.run(start=start) == 0, grid.output()
        assert final_files(grid) == expected
        assert temporary_files(grid.results.path) == []
        assert EventLog(grid.results.events).read().ignored == 0
    assert crashes >= min(2, len(writes))


def test_stale_temporary_files_are_swept_and_stand_in_nobody_s_way__row_24(grid: Any) -> None:
    folder = grid.add("one", stages=("infer", "evaluate"))
    other = grid.results.stage("train", "other")
    for place in (folder.path, folder.attempt(1).path, other.path, grid.folder("one").result):
        place.mkdir(parents=True)
        (place / ".tmp-status.json").write_text("half")
        (place / f".tmp-{os.getpid()}").mkdir()
    assert grid.run() == 0
    assert [path for path in temporary_files(grid.results.path) if path.is_file()] == []
    assert grid.states() == {"one": "done"}


def test_two_writers_of_one_file_never_share_a_temporary_name__row_24(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic.atomic_file(path) as first, atomic.atomic_file(path) as second:
        first.write(b"first")
        second.write(b"second")
        assert len(temporary_files(tmp_path)) == 2
    assert path.read_bytes() == b"first"
    assert temporary_files(tmp_path) == []


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is flushed and renamed, in order, by name."""
    calls: list[tuple[str, str]] = []
    flushed, renamed = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        calls.append(("flush", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        flushed(descriptor)

    def rename(source: str, target: Path) -> None:
        calls.append(("rename", Path(target).name))
        renamed(source, target)

    monkeypatch.setattr(atomic.os, "fsync", flush)
    monkeypatch.setattr(atomic.os, "replace", rename)
    return calls


def test_a_file_is_flushed_before_its_name_and_its_name_before_anything_follows__row_25(
    tmp_path: Path, disk: list[tuple[str, str]]
) -> None:
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / "folder" / "file", "text")
    assert [kind for kind, _ in disk] == ["flush", "rename", "flush"]
    assert disk[0][1].startswith(".tmp-")
    assert disk[1:] == [("rename", "file"), ("flush", "folder")]


def test_results_are_flushed_before_the_manifest_that_lists_them__row_25(
    tmp_path: Path, disk: list[tuple[str, str]]
) -> None:
    job = JobFolder(tmp_path / "job")
    (job.adapter / "deep").mkdir(parents=True)
    (job.adapter / "deep" / "weights").write_bytes(b"x")
    job.training.write_text("{}")
    write_manifest(job, [job.adapter, job.training])
    before = disk[: disk.index(("rename", "manifest.json"))]
    assert {name for kind, name in before if kind == "flush"} >= {"weights", "training.json", "deep", "adapter", "job"}
    assert disk[-1] == ("flush", "job")
    assert is_done(job)


# torn and garbled

GARBLED = {
    "empty": b"",
    "half": b'{"state": "done", "st',
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "list": b"[1]",
    "wrong": b'{"state": "finished", "stage": 3, "schema": "one"}',
    "huge": b'{"state": "done", "stage": "train", "log": "' + b"x" * 2_000_000 + b'"}',
}


@pytest.mark.parametrize("content", GARBLED)
def test_a_status_that_cannot_be_read_is_judged_by_manifest_and_lock__row_26(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder, content: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Readers change nothing, say it once, and tell the same of an experiment that is done and one that is not."""
    grid = planned(done=raw(), lost=raw({"seed": 14}), new=raw({"seed": 15})).finish()
    for name in ("lost", "new"):
        for job in grid.jobs[name]:
            job.folder.manifest.unlink()
    grid.jobs["lost"][0].folder.attempt(1).path.mkdir(parents=True)
    for job in (*grid.jobs["done"], *grid.jobs["lost"], *grid.jobs["new"]):
        job.folder.status.write_bytes(GARBLED[content])
    before = _content(results)
    told = api.status(results.path)
    assert "3 experiments of grid.json: 1 done, 1 lost, 1 pending" in told
    assert sum(line.startswith("warning: ") for line in told) == 1
    verified = api.verify(results.path)
    assert verified.damaged == ()
    assert sum(line.startswith("warning: ") for line in verification_lines(verified)) == 1
    assert api.logs("done", results.path)[0].startswith("done done [")
    assert any(line.startswith("  LOST lost [") for line in plan_lines(grid.plan, results))
    api.clean(results.path)
    assert _content(results) == before
    assert {row["name"]: row["state"] for row in board(results)["rows"]} == {
        "done": "done", "lost": "lost", "new": "pending",
    }  # fmt: skip
    assert capfd.readouterr() == ("", "")


def _content(results: ResultsFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in results.path.rglob("*") if path.is_file()}


@BOTH_STARTS
def test_the_next_run_moves_it_aside_and_goes_on__row_26(grid: Any, start: str) -> None:
    folder = grid.add("one")
    grid.add("two")
    assert grid.run(start=start) == 0
    done = grid.folder("two")
    for status in (folder.status, done.status):
        status.write_bytes(GARBLED["binary"])
    folder.manifest.unlink()
    assert grid.run(start=start) == 0
    assert grid.output().count("status.json could not be read and was moved to") == 2
    assert "Traceback" not in grid.output()
    assert {path.read_bytes() for path in grid.results.trash.iterdir()} == {GARBLED["binary"]}
    assert read_status(folder.status).state == "done"  # type: ignore[union-attr]
    assert [state for name, state in grid.events() if name == "two-infer"] == ["running", "done"]


def test_a_torn_last_line_is_passed_over_at_every_byte__row_27(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for number, state in enumerate(("running", "failed", "running"), start=1):
        log.append("stages/train/a", "train", state, number, "oom_gpu" if state == "failed" else None)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = sum(cut >= sum(map(len, lines[: number + 1])) - 1 for number in range(len(lines)))
        is_torn = cut - sum(map(len, lines[:kept])) > 0
        read = EventLog(path).read()
        assert ([event.seq for event in read.events], read.ignored) == ([*range(1, kept + 1)], int(is_torn)), cut
        EventLog(path).append("stages/train/a", "train", "done", 4, None)
        read = EventLog(path).read()
        assert [event.seq for event in read.events] == [*range(1, kept + 2)], cut
        assert (read.events[-1].state, read.ignored) == ("done", int(is_torn)), cut
        assert path.read_bytes().startswith(whole[:cut])


# altered


def test_a_flipped_byte_is_named_and_its_experiment_leaves_the_board__row_28(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder
) -> None:
    grid = planned(good=raw(), bad=raw({"seed": 14})).finish()
    assert len(board(results)["boards"][0]["ranking"]) == 2
    metrics = grid.jobs["bad"][-1].folder.metrics
    content = bytearray(metrics.read_bytes())
    content[content.index(b"0.5")] ^= 1
    metrics.write_bytes(content)
    verified = api.verify(results.path)
    assert [job.folder for job in verified.damaged] == [grid.jobs["bad"][-1].folder]
    assert any(
        f"{metrics.name} has another content than was written (sha256 differs)" in line
        for line in verification_lines(verified)
    )
    shown = board(results)
    assert [place["name"] for place in shown["boards"][0]["ranking"]] == ["good"]
    (row,) = [row for row in shown["rows"] if row["name"] == "bad"]
    assert (row["state"], row["results"], row["error"]["kind"]) == ("damaged", {}, "no_result")


def test_a_flipped_byte_of_an_adapter_is_named__row_28(made: Any) -> None:
    folder = made.finish(made.stage("train", "t"), "train")
    weights = folder.adapter / "adapter_model.safetensors"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    assert is_done(folder), "its size is the same, so that only its content tells"
    (damaged,) = api.verify(made.results.path).damaged
    assert damaged.files == (
        "adapter/adapter_model.safetensors has another content than was written (sha256 differs)",
    )


# time


class _Backwards(datetime):
    """A wall clock that is set back an hour at every look."""

    looks = 0

    @classmethod
    def now(cls, tz: Any = None) -> "_Backwards":
        cls.looks += 1
        return super().now(tz) - timedelta(hours=cls.looks)


def test_order_and_heartbeat_do_not_follow_the_wall_clock__row_33(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "datetime", _Backwards)
    log = EventLog(made.results.events)
    for state in ("running", "failed", "running", "done"):
        log.append("stages/train/a", "train", state, 1, None)
    read = EventLog(made.results.events).read().events
    assert [event.time for event in read] == sorted((event.time for event in read), reverse=True)
    assert [(event.seq, event.state) for event in read] == [(1, "running"), (2, "failed"), (3, "running"), (4, "done")]
    folder = made.stage("train", "t")
    made.job(folder, "train")
    passed, shown = iter([0.0, 5.0, 5.5, 10.0]), iter(range(9_000_000, 0, -3600))
    clocks = SimpleNamespace(monotonic=lambda: next(passed), time=lambda: next(shown))
    monkeypatch.setattr(progress, "time", clocks)
    told = Progress(folder.progress, "train")
    steps = []
    for step in range(1, 5):
        told(step, 10)
        steps.append(json.loads(folder.progress.read_text())["step"])
    assert steps == [1, 2, 2, 4], "the heartbeat is due by the time that passed"
    write_record(folder.status, StatusRecord("running", "train", attempt=1, started="2100-01-01T00:00:00Z"))
    with locked(made.results):
        assert "  train    one step 4/10, 0.0 s" in api.status(made.results.path)


def test_runs_of_the_same_second_have_names_of_their_own__row_33(grid: Any) -> None:
    folder = grid.add("one", "raise", kind="network")
    assert grid.run(retries=1) == 1
    assert [attempt.path.name for attempt in folder.attempts()] == ["01", "02"]


# edited grids, data and libraries


def test_an_edited_config_of_the_same_name_is_a_new_experiment__row_44(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder
) -> None:
    old = planned(one=raw(), two=raw({"seed": 14})).finish()
    new = planned(one=raw({"training": {"trainer_args": {"learning_rate": 0.5}}}), two=raw({"seed": 14}))
    new.write()
    assert old.jobs["one"][-1].folder != new.jobs["one"][-1].folder
    assert [job.is_done for job in new.jobs["one"]] == [False, False, False]
    assert all(job.is_done for job in (*old.jobs["one"], *new.jobs["two"]))
    shown = board(results)
    assert {row["name"]: row["state"] for row in shown["rows"]} == {"one": "pending", "two": "done"}
    assert [place["name"] for place in shown["boards"][0]["ranking"]] == ["two"]
    assert [(row["name"], row["state"], row["reason"]) for row in shown["others"]] == [
        ("one", "done", "not in this grid")
    ]
    assert "2 experiments of grid.json: 1 done, 1 pending; 1 more not in this grid" in api.status(results.path)


def test_edited_data_is_a_new_experiment_and_why_says_which_file__row_45(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder, project: Path, rewrite: Callable[..., None]
) -> None:
    planned(one=raw()).finish()
    rewrite(project, "train", lambda rows: rows[1].update(text="changed"))
    new = planned(one=raw())
    lines = plan_lines(new.plan, results, why=True)
    assert "  1 train stage (one): train.jsonl changed" in lines
    assert "  1 infer stage (one): reads another train stage" in lines
    assert "3 of 3 stages to run; saved: 0 shared, 0 done" in lines
    new.write()
    shown = board(results)
    assert [(row["name"], row["state"]) for row in shown["rows"]] == [("one", "pending")]
    assert [(row["name"], row["state"]) for row in shown["others"]] == [("one", "done")]


def test_other_library_versions_are_told_and_nothing_runs_again__row_46(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = planned(one=raw(), two=raw({"seed": 14})).finish({"peft": "0.20.0", "torch": "2.9"})
    monkeypatch.setattr(plan_warnings, "versions", lambda: {"peft": "0.21.0", "torch": "2.9"})
    lines = plan_lines(grid.plan, results)
    assert "0 of 6 stages to run; saved: 0 shared, 6 done" in lines
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert [line.split(";")[0] for line in warnings] == [
        f"warning: 2 finished {stage} stages used peft 0.20.0, installed is 0.21.0"
        for stage in ("train", "infer", "evaluate")
    ]


# names and links

ODD_NAMES = (
    "../../x",
    "/etc/passwd",
    ".",
    "..",
    "a/b",
    "\U0001f600",
    "x" * 300,
    "Case",
    "case",
    "-rf",
    "a\tb\nc",
    "CON",
    "~",
)


def test_no_name_leads_out_of_the_folder_and_every_report_has_it_as_it_is__row_48(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder, tmp_path: Path
) -> None:
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(results.path)}
    grid = planned(**{name: raw({"seed": number}) for number, name in enumerate(ODD_NAMES)}).finish()
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(results.path)} == outside
    folders = [jobs[-1].folder.path for jobs in grid.jobs.values()]
    assert {folder.parent for folder in folders} == {results.experiments}
    assert len({folder.name.casefold() for folder in folders}) == len(ODD_NAMES)
    assert max(len(folder.name) for folder in folders) <= 60 + 1 + 16
    assert all(folder.name.isascii() and not folder.name.startswith((".", "-")) for folder in folders)
    assert {row["name"] for row in board(results)["rows"]} == set(ODD_NAMES)
    assert api.status(results.path)[1].endswith(f"{len(ODD_NAMES)} done")
    for name in ODD_NAMES:
        assert api.logs(name, results.path)[0].startswith("done ")


def test_a_name_that_no_file_can_hold_is_refused__row_48() -> None:
    from sft.exceptions import UserError
    from sft.experiments.grids.expand import expand

    for name in ("a\0b", "", "\ud83d"):
        with pytest.raises(UserError, match="the name"):
            expand({"configs": {name: {"model": {}}}}, "grid")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder outside of the results; whatever is linked to it, it stays as it is."""
    folder = tmp_path / "outside"
    (folder / "adapter").mkdir(parents=True)
    (folder / "canary").write_text("alive")
    (folder / "metrics.json").write_text("mine")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir() if path.is_file()} == {
        "canary": "alive", "metrics.json": "mine",
    }  # fmt: skip
    assert (folder / "adapter").is_dir()


def test_nothing_is_deleted_through_a_link__row_49(made: Any, canary: Path) -> None:
    train = made.finish(made.stage("train", "t"), "train")
    made.finish(made.planned("one", "a", train="t", infer="i"), "evaluate")
    train.attempt(1).path.mkdir(parents=True)
    (made.results.path / "stages" / "infer").symlink_to(canary)
    made.results.trash.symlink_to(canary)
    for link in (train.attempt(1).work, train.checkpoints, train.path / ".tmp-link"):
        link.symlink_to(canary)
    (made.results.path / "stages" / "train" / "unneeded").symlink_to(canary)
    shutil.rmtree(train.adapter)
    train.adapter.symlink_to(canary)
    sweep(made.results, [train], print)
    api.clean(made.results.path, delete=True, adapters=True)
    left = {
        path.relative_to(made.results.path).as_posix() for path in made.results.path.rglob("*") if path.is_symlink()
    }
    assert left <= {"stages/infer", "stages/train/t000000000000000/adapter"}


def test_nothing_is_written_through_a_link__row_49(grid: Any, canary: Path) -> None:
    folder = grid.add("one", stages=("evaluate",))
    folder.path.mkdir(parents=True)
    for link in (folder.result, folder.checkpoints):
        link.symlink_to(canary)
    folder.status.symlink_to(canary / "canary")
    folder.job.symlink_to(canary / "canary")
    assert grid.run() == 0, grid.output()
    assert not any(path.is_symlink() for path in (folder.result, folder.status, folder.job))
    assert read_json_or_none(folder.metrics) is not None
    assert grid.states() == {"one": "done"}


# reports at any moment


def test_reports_of_a_grid_that_runs_only_show_what_is_whole__row_74(
    grid: Any, planned: Callable[..., Planned], raw: Raw, results: ResultsFolder
) -> None:
    """Every report is made again and again while a real run writes stages and another writer whole experiments."""
    for number in range(6):
        grid.add(f"stub-{number}", stages=("infer",))
    configs = {f"e{number}": raw({"seed": number}) for number in range(6)}
    whole = planned(**configs)
    grid.results.path.mkdir()
    whole.write()
    process = grid.start()
    wait_until(grid.results.events.exists)  # a run that begins sweeps away what another one may have left half written
    for count, name in enumerate(configs, start=1):
        for job in whole.jobs[name]:
            write_record(job.folder.job, job.record)
            write_record(job.folder.status, StatusRecord("running", job.record.stage, attempt=1))
            write_json(_output(job), RESULT)
            assert board(results)["boards"] == [] or len(board(results)["boards"][0]["ranking"]) == count - 1
            write_manifest(job.folder, [_output(job)])
            write_record(job.folder.status, StatusRecord("done", job.record.stage, attempt=1))
        assert api.verify(results.path).damaged == ()
        assert f"{count} done" in api.status(results.path)[1]
        api.clean(results.path)
    assert process.wait(60) == 0
    shown = board(results)
    assert [row["results"] for row in shown["rows"]] == [RESULT["results"]] * 6
    assert len(shown["boards"][0]["ranking"]) == 6


@pytest.mark.parametrize("number", [0, 3])
def test_a_grid_in_which_all_failed_and_one_without_experiments_have_reports__row_74(
    planned: Callable[..., Planned], raw: Raw, results: ResultsFolder, number: int
) -> None:
    odd = "a|b `c` <script>\n# d"
    names = [f"{odd}{index}" for index in range(number)]
    grid = planned(**{name: raw({"seed": index}) for index, name in enumerate(names)})
    results.path.mkdir()
    grid.write()
    for name in names:
        write_record(
            grid.jobs[name][-1].folder.status,
            StatusRecord("failed", "train", attempt=1, error=ErrorRecord("data", "row | 3\n<b>`x`</b>")),
        )
    shown = board(results)
    assert shown["boards"] == []
    assert [(row["name"], row["state"], row["error"]["message"]) for row in shown["rows"]] == [
        (name, "failed", "row | 3\n<b>`x`</b>") for name in names
    ]
    text = results.leaderboard("md").read_text()
    assert "<script>" not in text
    assert "\n# d" not in text
    assert all(line.count("|") - line.count("\\|") == 7 for line in text.splitlines() if line.startswith("|"))
    assert api.status(results.path)[1].startswith(f"{number} experiment")
