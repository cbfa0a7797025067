"""The command line: what it offers, and the exit code of each way to end."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sft import api, cli
from sft.api import grids
from sft.cli import app, main, run_commands
from sft.cli.arguments import pairs
from sft.exceptions import FolderInUse, MachineError, UserError
from sft.experiments.running import bookkeeping, run_plan, runner
from sft.experiments.running.settings import RunSettings
from sft.experiments.running.summary import RunSummary
from sft.runs.records import ErrorRecord, StatusRecord

COMMANDS = (
    *("run-experiments", "run-experiment", "train", "predict", "evaluate"),
    *("new", "plan", "inspect", "status", "logs", "verify", "clean", "leaderboard", "schema", "methods"),
)
Raw = Callable[..., dict[str, Any]]
Call = Callable[..., int]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line in this process; the exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sft", *arguments])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run


@pytest.fixture
def grid(project: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch, no_tokenizer_child: None) -> Path:
    monkeypatch.chdir(project)
    path = project / "grid.json"
    path.write_text(json.dumps({"configs": {"a": raw(), "b": raw({"seed": 5})}}))
    return path


def test_help_lists_every_command() -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert [command for command in COMMANDS if f" {command} " not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    reads_grid = command not in ("new", "status", "logs", "verify", "clean", "leaderboard", "schema", "methods")
    assert ("--set" in result.output) is reads_grid


def test_usage_errors_are_the_user_s(call: Call) -> None:
    assert call("plan") == 2
    assert call("no-such-command") == 2
    assert call("plan", "grid.json", "--no-such-option") == 2


@pytest.mark.parametrize("command", ["plan", "run-experiments", "run-experiment"])
def test_a_folder_to_reuse_must_be_there(
    call: Call, grid: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert call(command, "grid.json", "--only", "a", "--reuse", "nowhere") == 2
    assert "--reuse nowhere: no such results folder" in capsys.readouterr().err
    assert not (grid.parent / "results").exists()


def test_a_user_s_mistake_is_one_line_and_2(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", str(tmp_path / "nowhere.jsonnet")) == 2
    error = capsys.readouterr().err
    assert "nowhere.jsonnet" in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (UserError("yours"), 2),
        (FolderInUse("in use"), 3),
        (RuntimeError("a bug"), 4),
        (KeyError("a bug"), 4),
        (FileNotFoundError(2, "a bug"), 4),
        (OSError(28, "No space left on device"), 5),
        (PermissionError(13, "Permission denied"), 5),
        (MachineError("disk"), 5),
    ],
)
def test_exit_codes(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: Exception, code: int
) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr(api, "schema", fail)
    assert call("schema") == code
    error = capsys.readouterr().err
    assert ("Traceback" in error) is (code == 4)
    assert str(raised) in error


def test_ctrl_c_ends_by_its_signal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    ended: list[signal.Signals] = []
    monkeypatch.setattr(api, "schema", interrupted)
    monkeypatch.setattr(cli, "end_by", ended.append)
    call("schema")
    assert ended == [signal.SIGINT]


def test_schema_and_methods_print(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema") == 0
    assert set(json.loads(capsys.readouterr().out)["properties"]) >= {"dataset", "model", "prompting"}
    assert call("methods") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("pissa", "lora", "macro_f1", "classification"))


def test_plan_shows_what_would_run_and_starts_nothing(
    call: Call, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("plan", "grid.json", "--set", "dataset.max_n_test=3", "--only", "a") == 0
    text = capsys.readouterr().out
    assert "1 experiments from grid.json" in text
    assert "3 test" in text
    assert not (grid.parent / "results").exists()


def test_a_command_for_one_experiment_refuses_several(
    call: Call, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("train", "predict", "evaluate", "run-experiment", "inspect"):
        assert call(command, "grid.json") == 2
        assert "--only NAME: a, b" in capsys.readouterr().err
    assert not (grid.parent / "results").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_an_adapter_that_is_not_trained_yet_is_2_with_the_command_to_run(
    call: Call, grid: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert call(command, "grid.json", "--only", "a", "--results-path", "out") == 2
    assert "not trained yet" in (error := capsys.readouterr().err)
    assert "sft train" in error
    assert not list((grid.parent / "out").glob("stages/*"))


@pytest.mark.parametrize(
    ("command", "own", "expected"),
    [("predict", {}, "old"), ("predict", {"model:x@": "own"}, "own"), ("train", {}, None)],
)
def test_hub_commits_are_those_of_the_folder_else_of_the_one_with_the_adapter(
    call: Call, grid: Path, monkeypatch: pytest.MonkeyPatch, command: str, own: dict[str, str], expected: str | None
) -> None:
    for folder, pinned in (("results", {"model:x@": "old"}), ("out", own)):
        (grid.parent / folder).mkdir()
        (grid.parent / folder / "grid.json").write_text(json.dumps({"pinned": pinned}))
    seen: list[dict[str, str]] = []

    def stop(_grid: Any, pinned: dict[str, str], **_: Any) -> None:
        seen.append(dict(pinned))
        raise UserError("seen")

    monkeypatch.setattr(grids, "plan_grid", stop)
    call(command, "grid.json", "--only", "a", "--results-path", "out")
    assert [pinned.get("model:x@") for pinned in seen] == [expected]


def test_train_on_what_trains_nothing_is_2(
    call: Call, grid: Path, raw: Raw, zero_shot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    grid.write_text(json.dumps(raw(zero_shot)))
    assert call("train", "grid.json") == 2
    assert "trains nothing" in capsys.readouterr().err


def test_a_grid_with_mistakes_starts_nothing(call: Call, grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run-experiments", "grid.json", "--set", "lora.rr=3") == 2
    error = capsys.readouterr().err
    assert "2 of 2 experiments are invalid; nothing was started." in error
    assert not (grid.parent / "results").exists()


def test_inspect_gives_json_for_programs(call: Call, grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("inspect", "grid.json", "--only", "a", "--rows", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["split"] for row in found["rows"]] == ["train", "test"]
    assert set(found["label_ids"]) == {"bad", "good", "mixed"}
    assert call("inspect", "grid.json", "--only", "a", "--rows", "1") == 0
    assert "train 0 (row" in capsys.readouterr().out


def test_leaderboard_of_a_folder_that_is_not_there_is_2(call: Call, tmp_path: Path) -> None:
    assert call("leaderboard", str(tmp_path / "nowhere")) == 2


def test_several_folders_need_a_place_to_write_to(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert call("leaderboard", str(tmp_path / "a"), str(tmp_path / "b")) == 2


@pytest.mark.parametrize("written", ["novalue", "=x", ""])
def test_pairs_need_a_key_and_a_value(written: str) -> None:
    with pytest.raises(UserError, match="must be KEY=VALUE"):
        pairs([written], "--ext-str")
    assert pairs(["a=b=c", "d="], "--ext-str") == {"a": "b=c", "d": ""}


class Ended:
    """What commands ended by; the run itself is played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signals: list[int] = []
        self.settings: list[RunSettings] = []
        self.summary = RunSummary()
        monkeypatch.setattr(runner.Runner, "run", lambda own, work: self._run(own, work))
        monkeypatch.setattr(run_commands, "end_by", self.signals.append)

    def _run(self, own: Any, work: Any) -> RunSummary:
        self.settings.append(own._settings)
        if self.summary.failed:
            (failed,) = self.summary.failed.values()
            train, *_, goal = next(iter(work.experiments.values()))
            self.summary.failed = {train.folder.path: failed, goal.folder.path: failed}
            self.summary.ended = {train.folder.path: failed}
        return self.summary


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Ended:
    return Ended(monkeypatch)


FAILED = StatusRecord("failed", "train", error=ErrorRecord("data", "no rows"))


@pytest.mark.parametrize(
    ("number", "by"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGUSR1, signal.SIGTERM),
        (signal.SIGUSR2, signal.SIGTERM),
    ],
)
def test_a_stopped_experiment_ends_by_its_signal_and_shows_no_result_that_is_not_there(
    call: Call, grid: Path, ended: Ended, number: signal.Signals, by: signal.Signals
) -> None:
    """Ctrl-C during the training: the evaluation has neither run nor failed."""
    ended.summary.stopped_by = number
    call("run-experiment", str(grid), "--only", "a")
    assert ended.signals == [by]


def test_warnings_of_the_plan_are_told_by_a_run(
    call: Call, grid: Path, ended: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    grid.write_text(json.dumps({"configs": {"a": {**json.loads(grid.read_text())["configs"]["a"], "seed": 1}}}))
    assert call("run-experiments", str(grid), "--random-seed", "5") == 0
    assert "warning: --random-seed 5 has no effect" in capsys.readouterr().err


def test_a_failed_experiment_is_1_and_the_command_that_tries_it_again_is_told(
    call: Call, grid: Path, ended: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    ended.summary.failed = {Path(): FAILED}
    assert call("run-experiments", "grid.json", "--set", "seed=3", "--only", "a") == 1
    error = capsys.readouterr().err
    assert "To run again what failed: sft run-experiments grid.json --set seed=3 --only a --retry-failed" in error


def test_what_the_machine_must_change_is_5_and_comes_before_failures(
    call: Call, grid: Path, ended: Ended, capsys: pytest.CaptureFixture[str]
) -> None:
    ended.summary.failed = {Path(): FAILED}
    ended.summary.machine, ended.summary.halted = "the disk is full", "nothing more was started"
    assert call("run-experiments", "grid.json") == 5
    error = capsys.readouterr().err
    assert "nothing more was started\nthe disk is full\n" in error


def test_a_signal_comes_before_what_the_machine_must_change(
    call: Call, grid: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_by(number: int) -> None:
        raise SystemExit(128 + number)

    monkeypatch.setattr(run_commands, "end_by", end_by)
    ended.summary.machine, ended.summary.stopped_by = "the disk is full", signal.SIGTERM
    assert call("run-experiments", "grid.json") == 143


def test_a_copy_that_fails_is_5_after_the_board_is_written(
    call: Call, grid: Path, ended: Ended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_plan, "copy_adapters", lambda *_: ['"a": its adapter could not be copied: no'])
    assert call("run-experiments", "grid.json") == 5
    assert '"a": its adapter could not be copied: no' in capsys.readouterr().err
    assert (grid.parent / "results" / "leaderboard.json").exists()


def test_the_options_of_a_run_reach_it(call: Call, grid: Path, ended: Ended) -> None:
    words = (
        "--jobs 3 --gpus none --jobs-per-gpu 2 --start fresh --timeout 60 --stall-timeout 9.5 --grace 0 --retries 4 "
        "--start-timeout 300 --fork-timeout 2.5 --on-oom fail --fail-fast --retry-failed"
    )
    assert call("run-experiments", "grid.json", *words.split()) == 0
    assert call("run-experiments", "grid.json", "--gpus", "none", "--keep-going") == 0
    given = RunSettings(
        jobs=3,
        gpus="none",
        jobs_per_gpu=2,
        start="fresh",
        timeout=60.0,
        stall_timeout=9.5,
        start_timeout=300.0,
        fork_timeout=2.5,
        grace=0.0,
        retries=4,
        on_oom="fail",
        fail_fast=True,
        retry_failed=True,
    )
    assert ended.settings == [given, RunSettings(gpus="none")]


def test_a_single_experiment_tries_again_what_failed(call: Call, grid: Path, ended: Ended) -> None:
    ended.summary.stopped_by = signal.SIGINT
    call("run-experiment", "grid.json", "--only", "a")
    assert ended.settings == [RunSettings(retry_failed=True)]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--jobs", "0"), "--jobs 0: must be at least 1"),
        (("--start", "hot"), "--start 'hot': must be one of auto, warm, fresh"),
        (("--gpus", "x"), "--gpus 'x': must be all, none, or numbers with commas such as 0,1"),
        (("--timeout", "-1"), "--timeout -1: must be more than 0 seconds"),
    ],
)
def test_an_option_out_of_range_is_one_line_and_2(
    call: Call, grid: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str], message: str
) -> None:
    assert call("run-experiments", "grid.json", *option) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_a_bug_in_a_run_is_4_with_a_short_text(
    call: Call, grid: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(bookkeeping.Ledger, "begin", explode)
    assert call("run-experiments", "grid.json") == 4
    error = capsys.readouterr().err
    assert "internal error: KeyError: 'a bug'" in error
    assert "Traceback" not in error
    assert len(list((grid.parent / "results").glob("crash-*.log"))) == 1


def test_full_is_taken_from_scripts_and_said_to_change_nothing(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("leaderboard", str(tmp_path), "--full") == 0
    assert "--full changes nothing" in capsys.readouterr().err


def test_new_prints_a_grid_or_what_it_needs_to_know(
    project: Path, monkeypatch: pytest.MonkeyPatch, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    assert call("new", "data", "--inputs", "text", "--label", "label", "--model", "model") == 0
    text = capsys.readouterr().out
    assert text == api.new("data", ["text"], "label", model="model") + "\n"
    assert call("new", "data") == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "columns are: id, text, label; for example: sft new data --inputs text --label label" in shown.err
