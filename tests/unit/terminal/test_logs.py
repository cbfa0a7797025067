"""What `logs` finds and shows."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.upkeep.results_view import find_experiment, view_of
from sft.runs.events import EventLog
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.terminal.logs import logs_of, tail

FAILED = ErrorRecord("data", "no rows")


def nobody() -> str | None:
    return None


def logs(made: Any, wanted: str, lines: int = 20) -> list[str]:
    return logs_of(view_of(made.results), wanted, nobody, lines)


@pytest.fixture
def named(made: Any) -> Any:
    """Experiments whose names and ids are easily taken for each other."""
    for name, key in (("lora", "abcd1"), ("abcd2", "ef01"), ("icl", "abcd2")):
        made.planned(name, key)
    return made


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("lora", "lora"), ("abcd1", "lora"), ("ef", "abcd2"), ("abcd2", "abcd2"), ("abcd20", "icl"), ("best", "icl")],
)
def test_an_exact_name_counts_before_an_id(named: Any, wanted: str, name: str) -> None:
    found = find_experiment(view_of(named.results), wanted, lambda: "abcd2".ljust(16, "0"))
    assert found is not None
    assert found.name == name


def test_several_are_refused_by_listing_them(named: Any) -> None:
    with pytest.raises(UserError, match=r"'abcd' may be lora \[abcd1000\], icl \[abcd2000\]; write more of the id"):
        logs(named, "abcd")


def test_a_folder_of_joined_boards_has_no_experiments(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ranked yet; it holds no experiments: name the folder in which they ran"):
        find_experiment(view_of(ResultsFolder(tmp_path)), "best", nobody)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("lorra", r"did you mean lora\?"),
        ("zz", r"there are: lora \[abcd1000\], "),
        ("", "there are"),
        ("best", "ranked"),
    ],
)
def test_none_is_told_with_what_there_is(named: Any, wanted: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        logs(named, wanted)


def test_the_grid_s_own_experiment_counts_before_an_older_one_of_its_name(made: Any) -> None:
    made.planned("one", "b", in_grid=False)
    made.planned("one", "a")
    assert logs(made, "one")[0] == "pending one [a0000000]"


def test_every_try_of_every_stage_is_shown(made: Any) -> None:
    made.planned("one", "a", train="t", infer="i")
    train = made.stop(made.stage("train", "t"), "train", "failed", FAILED)
    events = EventLog(made.results.events)
    for number, kind in ((1, "network"), (2, "data")):
        attempt = train.attempt(number)
        attempt.path.mkdir(exist_ok=True)
        attempt.stderr.write_text(f"first\nend of {number}\n\n")
        write_record(attempt.error, ErrorRecord(kind, f"why {number}"))
        events.append(f"stages/train/{train.path.name}", "train", "running", number, None)
        events.append(f"stages/train/{train.path.name}", "train", "failed", number, kind)
        events.append(f"stages/train/{train.path.name}", "train", "pending", number, kind)
    lines = logs(made, "one", 1)
    assert lines[0].startswith("FAILED one [a0000000] at train: no rows. Log: results/stages/train/")
    assert lines[2] == "train results/stages/train/t000000000000000: at train: no rows"
    assert "  attempt 01: failed (network): why 1" in lines
    assert "  attempt 02: failed (data): why 2" in lines
    assert "    results/stages/train/t000000000000000/attempts/02/stderr.log" in lines
    assert "    end of 2" in lines
    assert "    first" not in lines
    assert "  Again: python -m sft.worker results/stages/train/t000000000000000" in lines
    assert lines[-1] == "evaluate results/experiments/one-a0000000: pending"


def test_a_stage_that_only_waited_for_another_shows_no_failure_of_its_own(made: Any) -> None:
    folder = made.planned("one", "a", train="t")
    made.stop(made.stage("train", "t"), "train", "failed", FAILED)
    made.stop(folder, "train", "failed", FAILED)
    (folder.attempt(1).stderr).unlink()
    (folder.attempt(1).stdout).unlink()
    folder.attempt(1).path.rmdir()
    assert logs(made, "one")[-1] == "evaluate results/experiments/one-a0000000: pending"


def test_a_training_that_no_experiment_needs_is_found_by_name_and_key(made: Any) -> None:
    made.finish(made.stage("train", "t"), "train", name="alone")
    for wanted in ("alone", "t0"):
        assert logs(made, wanted) == ["train results/stages/train/t000000000000000: done"]


def test_stdout_is_shown_where_stderr_is_empty(made: Any) -> None:
    folder = made.stop(made.planned("one", "a"), "evaluate", "failed", FAILED)
    folder.attempt(1).stderr.write_text("\n")
    folder.attempt(1).stdout.write_text("only here\n")
    assert "  last lines of results/experiments/one-a0000000/attempts/01/stdout.log:" in logs(made, "one")


def test_a_try_by_hand_which_has_no_log_hides_none(made: Any) -> None:
    folder = made.stop(made.planned("one", "a"), "evaluate", "failed", FAILED)
    folder.attempt(1).stderr.write_text("why\n")
    folder.attempt(2).path.mkdir()
    assert "  last lines of results/experiments/one-a0000000/attempts/01/stderr.log:" in logs(made, "one")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"one\n\ntwo\n", ["one", "two"]),
        (b"a\rb\rc\n", ["b", "c"]),
        (b"\x1b[31mred\x1b[0m\xff\n", [" [31mred [0m\ufffd"]),
        (b"x" * 3_000_000 + b"\nend\n", ["x" * ((1 << 20) - 5), "end"]),
    ],
)
def test_the_end_of_a_log(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    (tmp_path / "log").write_bytes(content)
    assert tail(tmp_path / "log", 2) == lines


def test_the_log_of_a_stage_that_runs_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-4711")
    (tmp_path / "log").write_text("with canary-4711 to https://me:pass@host/x\n")
    assert tail(tmp_path / "log", 2) == ["with *** to https://***@host/x"]


def test_no_log_has_no_end(tmp_path: Path) -> None:
    assert tail(tmp_path / "log", 2) == []


def test_a_baseline_is_found_by_the_beginning_of_its_key(made: Any) -> None:
    made.planned("one", "a", baseline="b")
    error = ErrorRecord("data", "test.jsonl changed")
    made.stop(made.stage("baseline", "b"), "baseline", "failed", error)
    shown = logs_of(view_of(made.results), "b00000", lambda: None, 5)
    assert shown[0] == "baseline results/stages/baseline/b000000000000000: at baseline: test.jsonl changed"
    assert shown[-1] == "  Again: python -m sft.worker results/stages/baseline/b000000000000000"


def test_a_stage_of_another_folder_says_where_it_comes_from(made: Any) -> None:
    job = made.finish(made.planned("one", "a"), "evaluate")
    write_record(job.status, StatusRecord("done", "evaluate", reused_from="/monday/experiments/old-a"))
    lines = logs_of(view_of(made.results), "one", lambda: None, 5)
    assert [line for line in lines if line.endswith(": done, reused from /monday/experiments/old-a")]
