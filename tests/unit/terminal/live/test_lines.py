"""Lines for a log: one per start and end, one per half minute between, and nothing that steers a terminal."""

import io
import re
from collections.abc import Callable

import pytest

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import workload
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.runs.progress import ProgressRecord
from sft.runs.records import ErrorRecord, State, StatusRecord
from sft.terminal.live.lines import LineDisplay, display_for
from sft.terminal.live.table_display import LiveDisplay

Chain = Callable[..., list[PlannedJob]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def costs() -> StageCosts:
    return StageCosts()


@pytest.fixture
def display(stream: io.StringIO, costs: StageCosts) -> LineDisplay:
    return LineDisplay(stream, costs)


def lines(stream: io.StringIO) -> list[str]:
    """What was written, without its times."""
    written = stream.getvalue().splitlines()
    assert all(re.match(r"\[\d\d:\d\d:\d\d\] ", line) for line in written)
    return [line[11:] for line in written]


def ended(job: PlannedJob, state: State, seconds: float | None = None, message: str | None = None) -> StatusRecord:
    error = None if message is None else ErrorRecord("data", message)
    return StatusRecord(state, job.record.stage, seconds=seconds, error=error)


def test_a_job_has_a_line_at_its_start_and_at_its_end(
    chain: Chain, stream: io.StringIO, display: LineDisplay, costs: StageCosts
) -> None:
    a, b = chain("a", train="t"), chain("b", train="t")
    work = workload({"a": a, "b": b})
    display.began(work)
    display.opened(RunFacts(work.experiments, work.needed))
    display.started(a[0], StatusRecord("running", "train", gpus=("0", "1")))
    display.ended(a[0], ended(a[0], "done", 12.34))
    display.started(a[1], StatusRecord("running", "infer"))
    costs.learn(a[1], ended(a[1], "done", 3.0))
    display.ended(a[1], ended(a[1], "done", 3.0))
    assert lines(stream) == [
        "done 0, retry 0, new 2",
        "train    a (+1) started on 0, 1",
        "train    a (+1) done in 12 s (0 of 2 done, 2 waiting)",
        "infer    a started",
        "infer    a done in 3.0 s (0 of 2 done, 2 waiting; more than 3.0 s left)",
    ]


def test_a_failure_is_told_once_for_all_that_needed_it(
    chain: Chain, stream: io.StringIO, display: LineDisplay
) -> None:
    a, b = chain("a", train="t"), chain("b", train="t")
    display.began(workload({"a": a, "b": b}))
    display.started(a[0], StatusRecord("running", "train"))
    failure = ended(a[0], "failed", 1.0, "no rows\nat all")
    display.ended(a[0], failure)
    for job in (*a[1:], *b[1:]):
        display.ended(job, failure)
    assert lines(stream)[1:] == ["FAILED a (+1) [a0000000] at train: no rows at all (0 of 2 done, 2 failed)"]


def test_stops_and_further_tries_are_told(chain: Chain, stream: io.StringIO, display: LineDisplay) -> None:
    a = chain("a")
    display.began(workload({"a": a}))
    for state in ("pending", "interrupted"):
        display.started(a[0], StatusRecord("running", "train"))
        display.ended(a[0], ended(a[0], state, 2.0, "worker was ended"))
    assert lines(stream)[1::2] == [
        "RETRY a [a0000000] at train: worker was ended (0 of 1 done, 1 waiting)",
        "train    a interrupted in 2.0 s: at train: worker was ended",
    ]


def test_what_was_put_back_with_a_lost_stage_is_told_by_its_line(
    chain: Chain, stream: io.StringIO, display: LineDisplay
) -> None:
    a = chain("a")
    display.began(workload({"a": a}))
    for job in a:
        display.started(job, StatusRecord("queued", job.record.stage))
    before = len(lines(stream))
    display.ended(a[0], ended(a[0], "pending", 2.0, "its node failed"))
    for job in a[1:]:
        display.ended(job, StatusRecord("pending", job.record.stage))
    assert [line.partition(" (")[0] for line in lines(stream)[before:]] == [
        "RETRY a [a0000000] at train: its node failed"
    ]


def test_progress_is_told_every_half_minute_of_each_job(
    chain: Chain, stream: io.StringIO, display: LineDisplay
) -> None:
    a, b = chain("a"), chain("b")
    display.began(workload({"a": a, "b": b}))
    running = StatusRecord("running", "train")
    display.started(a[0], running)
    display.started(b[0], running)
    for second in range(1, 65):
        told = ProgressRecord("train", second, 100, 0.5 if second > 40 else None, 0.0)
        display.ticked([RunningJob(a[0], running, told, float(second)), RunningJob(b[0], running, None, second / 2)])
    assert lines(stream)[2:] == [
        "train    a 30/100, 30 s, about 1 min 10 s left",
        "train    a 60/100, loss 0.5, 1 min, about 40 s left",
        "train    b running, 30 s",
    ]


def test_what_is_said_is_one_line(stream: io.StringIO, display: LineDisplay) -> None:
    display.say("two\nlines \x1b[31mred")
    display.closed()
    assert lines(stream) == ["two lines  [31mred"]


def test_a_log_that_cannot_be_written_ends_nothing(chain: Chain) -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    stream.close()
    display.began(workload({"a": chain("a")}))
    display.say("word")


def test_a_terminal_gets_the_live_table_and_everything_else_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(display_for(Terminal()), LiveDisplay)
    assert isinstance(display_for(io.StringIO()), LineDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(Terminal()), LineDisplay)
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(Terminal, "isatty", io.StringIO.isatty)
    assert isinstance(display_for(closed), LineDisplay)
