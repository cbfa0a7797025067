"""The live display on a terminal that is played: what stands on its screen after each call."""

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.text import Text

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import workload
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import ErrorRecord, StatusRecord
from sft.terminal.live.table_display import LiveDisplay, LiveRegion

Chain = Callable[..., list[PlannedJob]]
TOKEN = re.compile(r"\x1b\[\?\d+[hl]|\x1b\[([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Screen(io.StringIO):
    """A terminal of endless height that knows what the display uses; lines never wrap."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = [""]
        self.row = self.column = 0
        self.codes: list[str] = []

    def write(self, text: str) -> int:
        for token in TOKEN.finditer(text):
            self._take(token[0], token[2])
        return len(text)

    def _take(self, token: str, code: str | None) -> None:
        if code is not None:
            self.codes.append(code)
        if token == "\r":
            self.column = 0
        elif token == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif code == "A":
            assert self.row > 0, "up beyond what was written"
            self.row -= 1
        elif code == "K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif code == "J":
            self.rows = [*self.rows[: self.row], self.rows[self.row][: self.column]]
        elif not token.startswith("\x1b"):
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + token + line[self.column + len(token) :]
            self.column += len(token)

    @property
    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def console(width: int = 90, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=width, height=height)


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def display(screen: Screen) -> LiveDisplay:
    return LiveDisplay(screen, StageCosts(), console(), Clock())


def running(job: PlannedJob) -> StatusRecord:
    return StatusRecord("running", job.record.stage)


def test_the_table_is_drawn_in_place(chain: Chain, screen: Screen, display: LiveDisplay) -> None:
    a, b = chain("a"), chain("b")
    display.began(workload({"a": a, "b": b}))
    assert [line.split()[:2] for line in screen.text[1:]] == [
        ["experiment", "state"],
        ["a", "waiting"],
        ["b", "waiting"],
    ]
    display.started(a[0], running(a[0]))
    display.ticked([RunningJob(a[0], running(a[0]), None, 3.0)])
    assert [line.split()[:2] for line in screen.text[2:]] == [["a", "running"], ["b", "waiting"]]
    assert screen.text[0].startswith("0 of 2 done, 1 running, 1 waiting; ")


def test_failures_and_words_stay_above_the_table(chain: Chain, screen: Screen, display: LiveDisplay) -> None:
    a, b = chain("a", train="t"), chain("b", train="t")
    work = workload({"a": a, "b": b})
    display.began(work)
    display.opened(RunFacts(work.experiments, work.needed))
    display.started(a[0], running(a[0]))
    error = ErrorRecord("exception", "ValueError: [bold]\nno rows")
    display.ended(a[0], StatusRecord("failed", "train", error=error, seconds=3.0))
    for job in (*a[1:], *b[1:]):
        display.ended(job, StatusRecord("failed", "train", error=error))
    assert screen.text[:3] == [
        "done 0, retry 0, new 2",
        "FAILED a (+1) [a0000000] at train: ValueError: [bold] no rows",
        screen.text[2],
    ]
    assert screen.text[2].startswith("0 of 2 done, 2 failed; ")
    assert len(screen.text) == 6


def test_nothing_of_the_table_is_left_in_the_end(chain: Chain, screen: Screen, display: LiveDisplay) -> None:
    display.began(workload({"a": chain("a")}))
    display.say("a word")
    display.closed()
    screen.write("$ ")
    assert [line for line in screen.text if line] == ["a word", "$"]


def test_stops_are_no_failures(chain: Chain, screen: Screen, display: LiveDisplay) -> None:
    a = chain("a")
    display.began(workload({"a": a}))
    display.started(a[0], running(a[0]))
    display.ended(a[0], StatusRecord("interrupted", "train", error=ErrorRecord("killed", "stopped by SIGINT")))
    assert not any("FAILED" in line for line in screen.text)
    assert "1 interrupted" in screen.text[0]


def test_many_ends_at_once_are_drawn_once(chain: Chain, screen: Screen) -> None:
    display = LiveDisplay(screen, StageCosts(), console(), lambda: 5.0)
    a = chain("a")
    display.began(workload({"a": a}))
    before = list(screen.text)
    display.started(a[0], running(a[0]))
    assert screen.text == before


def test_a_region_that_gets_shorter_leaves_nothing(screen: Screen) -> None:
    region = LiveRegion(screen, console())
    region.draw([Text("one"), Text("two"), Text("three")])
    region.draw([Text("1"), Text("2"), Text("3")])
    assert screen.text == ["1", "2", "3"]
    region.draw([Text("only")])
    assert screen.text == ["only"]
    region.draw([])
    assert screen.text == [""]


def test_the_screen_is_never_cleared_from_a_region_that_is_moved(screen: Screen) -> None:
    """Some terminals put a whole screen that is cleared into their history, stale lines with it."""
    region = LiveRegion(screen, console())
    region.draw([Text("one"), Text("two")])
    screen.codes.clear()
    region.above(Text("stays"))
    assert "J" not in screen.codes[: screen.codes.index("K")]
    assert screen.text == ["stays", "one", "two"]


def test_lines_that_a_narrower_terminal_has_broken_are_erased_too(screen: Screen) -> None:
    shown = console(width=40)
    region = LiveRegion(screen, shown)
    screen.write("\n" * 9)
    region.draw([Text("x" * 30), Text("y" * 10)])
    screen.codes.clear()
    shown.width = 20
    region.draw([Text("x" * 15), Text("y" * 10)])
    assert screen.codes[: screen.codes.index("J")].count("A") == 2


def test_the_region_leaves_room_at_both_edges(screen: Screen) -> None:
    assert LiveRegion(screen, console(80, 24)).size == (79, 23)


class Gone(Screen):
    """A terminal that was closed."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BrokenPipeError(32, "Broken pipe")])
def test_a_terminal_that_is_gone_ends_nothing(chain: Chain, error: OSError) -> None:
    display = LiveDisplay(Gone(error), StageCosts(), now=Clock())
    a = chain("a")
    display.began(workload({"a": a}))
    display.started(a[0], running(a[0]))
    display.say("word")
    display.ended(a[0], StatusRecord("failed", "train", error=ErrorRecord("data", "x")))
    display.closed()
