"""`sft.run` and its kin, with a runner that is played."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sft
from sft import api
from sft.api import grids
from sft.exceptions import MachineError, PackageMissing, UserError
from sft.experiments.executors.local import gpus
from sft.experiments.executors.local.gpu_question import Gpu, GpuAnswer
from sft.experiments.running import run_plan
from sft.experiments.running.board_refresh import GuardedBoard
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import Workload
from sft.experiments.running.settings import RunSettings
from sft.experiments.running.summary import RunSummary
from sft.reporting.files import write_leaderboard
from sft.runs.files import ResultsFolder
from sft.runs.manifest import write_manifest


@pytest.fixture
def grid(
    project: Path, raw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, no_tokenizer_child: None
) -> dict[str, Any]:
    monkeypatch.chdir(project)
    return {"configs": {"a": raw(), "b": raw({"seed": 5})}}


@pytest.fixture(autouse=True)
def board_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are written in this process: another one takes seconds to import what it needs."""

    def start(results: ResultsFolder, *_: str) -> Callable[[], None]:
        def write() -> None:
            write_leaderboard([results], results.path)

        return write

    monkeypatch.setattr(grids, "board_starter", start)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings and the experiments of each run."""
    found: list[Any] = []

    def run(self: Any, work: Any) -> RunSummary:
        found.append((self._settings, work.experiments))
        return RunSummary()

    monkeypatch.setattr(Runner, "run", run)
    return found


def test_all_that_import_sft_offers_is_there() -> None:
    assert {"GridOptions", "RunSettings"} < set(dir(sft))
    assert [getattr(sft, name) is getattr(api, name) for name in sft.__all__] == [True] * len(sft.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sft.nothing


def test_options_and_settings_reach_the_run(grid: dict[str, Any], seen: list[Any]) -> None:
    options = sft.GridOptions(overrides=("seed=7",), only="b")
    sft.run(grid, "results", options, sft.RunSettings(jobs=2))
    ((settings, experiments),) = seen
    assert (settings.jobs, list(experiments)) == (2, ["b"])
    assert experiments["b"][0].record.experiment.seed == 7
    assert list(sft.plan(grid, options).named()) == ["b"]


def test_settings_reach_the_run(grid: dict[str, Any], seen: list[Any]) -> None:
    ended = sft.run(grid, "results", settings=RunSettings(jobs=3, timeout=60.0))
    ((settings, experiments),) = seen
    assert settings == RunSettings(jobs=3, timeout=60.0)
    assert {name: [job.record.stage for job in jobs] for name, jobs in experiments.items()} == {
        "a": ["train", "infer", "evaluate"],
        "b": ["train", "infer", "evaluate"],
    }
    assert (ended.n_failed, ended.outcome.unwritten) == (0, ())
    assert set(json.loads(Path("results/grid.json").read_text())["configs"]) == {"a", "b"}


def test_a_run_begins_with_what_another_device_computed(
    grid: dict[str, Any], seen: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpus, "ask_for_gpus", lambda _: GpuAnswer((Gpu("0", "GPU-a", capability=(9, 0)),)))
    sft.run(grid, "results")
    assert "computed on" not in capsys.readouterr().err
    ((_, experiments),) = seen
    for train, *_ in experiments.values():
        train.folder.path.mkdir(parents=True)
        train.folder.training.write_text('{"environment": {"device": "cpu"}}')
        write_manifest(train.folder, [train.folder.training])
    sft.run(grid, "results")
    text = "warning: in 2 experiments: a, b: finished train stages were computed on cpu, this machine gives cuda; "
    assert capsys.readouterr().err.count(text) == 1
    sft.run(grid, "results", settings=RunSettings(gpus="none"))
    assert "computed on" not in capsys.readouterr().err


def test_a_driver_that_does_not_work_keeps_nobody_from_what_is_done(
    grid: dict[str, Any], seen: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpus, "ask_for_gpus", lambda _: GpuAnswer(broken="it is ill"))
    with pytest.raises(MachineError, match="it is ill"):
        sft.run(grid, "results")
    monkeypatch.setattr(run_plan, "workload", lambda jobs, **_: Workload(jobs, {}))
    sft.run(grid, "results")
    assert capsys.readouterr().err.count("warning: the driver of the GPUs does not work: it is ill") == 1


def test_a_run_begins_with_the_memory_that_others_have_taken(
    grid: dict[str, Any], seen: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    half = GpuAnswer((Gpu("0", "GPU-a", free=40 * 1024.0, total=80 * 1024.0, users=(7,)),))
    monkeypatch.setattr(gpus, "ask_for_gpus", lambda _: half)
    sft.run(grid, "results")
    text = "warning: memory is taken by processes that are not of this run: GPU 0 (40.0 of 80.0 GiB, process 7)\n"
    assert capsys.readouterr().err.count(text) == 1


def test_settings_that_are_none_start_nothing(grid: dict[str, Any], seen: list[Any]) -> None:
    with pytest.raises(UserError, match="--gpus 'one': must be all, none, or numbers"):
        sft.run(grid, "results", settings=RunSettings(gpus="one"))
    assert seen == []


@pytest.mark.parametrize(
    ("stopped_by", "expected"), [(None, [("--under-way",), ()]), (2, [("--under-way",), ("--under-way",)])]
)
def test_the_last_board_of_a_run_that_was_stopped_is_as_quick_as_those_under_way(
    grid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stopped_by: int | None, expected: list[tuple[str, ...]]
) -> None:
    written: list[tuple[str, ...]] = []
    original = grids.run_plan

    def run(checked: Any, results: Any, request: Any, settings: Any, watchers: Any) -> Any:
        watchers.start_board()
        return original(checked, results, request, settings, watchers)

    monkeypatch.setattr(Runner, "run", lambda *_: RunSummary(stopped_by=stopped_by))
    monkeypatch.setattr(grids, "run_plan", run)
    monkeypatch.setattr(grids, "board_starter", lambda _, *options: lambda: written.append(options))
    sft.run(grid, "results")
    assert written == expected


@pytest.mark.parametrize(
    ("program", "unwritten", "warnings"),
    [
        (
            "import sys; sys.stderr.write('[Errno 28] no: leaderboard.json\\n'); sys.exit(5)",
            "the leaderboard could not be written: [Errno 28] no: leaderboard.json",
            None,
        ),
        ("raise KeyError('seed')", None, r"warning: the leaderboard could not be written \(KeyError: 'seed'\); "),
        ("import os; os.kill(os.getpid(), 9)", None, r".*written \(its process was ended by SIGKILL\)"),
    ],
    ids=["machine", "bug", "killed"],
)
def test_a_board_that_cannot_be_written_at_the_end_is_told_and_loses_no_run(
    grid: dict[str, Any],
    seen: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    unwritten: str | None,
    warnings: str | None,
) -> None:
    monkeypatch.setattr(grids, "board_starter", lambda *_: lambda: GuardedBoard([sys.executable, "-c", program]))
    outcome = sft.run(grid, "results").outcome
    assert outcome.unwritten == (() if unwritten is None else (unwritten,))
    assert (len(outcome.warnings), bool(warnings)) in ((0, False), (1, True))
    assert warnings is None or re.match(warnings, outcome.warnings[0])
    logs = [path.read_text() for path in Path("results").glob("crash-*.log")]
    assert ["Traceback" in log for log in logs] == ([True] if "raise" in program else [False] * len(logs))


def test_a_tracker_that_cannot_work_is_told_before_anything_starts(
    grid: dict[str, Any], seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="unknown tracker 'mlfow'"):
        sft.run(grid, "results", tracker="mlfow")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match="--tracker mlflow needs the package mlflow"):
        sft.run(grid, "results", tracker="mlflow")
    assert (seen, Path("results").exists()) == ([], False)


@pytest.mark.parametrize(("stopped_by", "calls"), [(None, 1), (2, 0)])
def test_a_run_is_logged_when_it_has_ended_unless_it_was_stopped(
    grid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stopped_by: int | None, calls: int
) -> None:
    logged: list[Any] = []

    def log(results: Any, tracker: str, say: Any) -> tuple[str, ...]:
        logged.append((results.path, tracker, results.leaderboard("json").is_file()))
        return ("not logged",)

    monkeypatch.setattr(Runner, "run", lambda *_: RunSummary(stopped_by=stopped_by))
    monkeypatch.setattr(grids, "require_tracker", lambda name: None)
    monkeypatch.setattr(grids, "last_log", log)
    ended = sft.run(grid, "results", tracker="mine")
    assert logged == [(Path("results").resolve(), "mine", True)] * calls, "after the board, and while it is locked"
    assert ended.outcome.unwritten == ("not logged",) * calls
    assert ended.n_failed == 0


def test_results_that_are_there_can_be_logged(made: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Lines:\n"
        "    def require(self): pass\n"
        "    def log(self, grid, folder):\n"
        "        if not grid.experiments: raise OSError('nothing there')\n"
        "        return f'{grid.name}: {[item.name for item in grid.experiments]} in {folder}'\n"
    )
    made.write_grid()
    with pytest.raises(MachineError, match=r"could not be logged to mine.py:Lines: OSError: nothing there"):
        api.track([Path("results")], "mine.py:Lines")
    made.finish(made.planned("one", "a"), "evaluate")
    assert api.track([Path("results")], "mine.py:Lines") == "grid: ['one'] in results"
    with pytest.raises(UserError, match="no such results folder"):
        api.track([Path("nowhere")], "mine.py:Lines")
