"""The live table of a grid as lines that fit the terminal: small grids whole, of big ones what runs and what ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from sft.experiments.running.display import RunningJob
from sft.runs.records import StatusRecord
from sft.runs.states import FINISHED, ExperimentState
from sft.terminal.live.progress import GridProgress, counts_text, left_text, shared_name
from sft.wording import clock, duration, one_line, whole_clock

ENDED_SHOWN = 8
MIN_NAME = 16
GAP = 2
HEADERS = ("experiment", "state", "stage", "step", "loss", "seconds", "ETA", "GPU")
RIGHT = frozenset({"step", "loss", "seconds", "ETA"})
DROPPED_FIRST = ("loss", "seconds", "GPU", "stage", "step", "ETA", "state")
"""Columns that give way, in this order, where the names would get too narrow."""

STYLES: dict[ExperimentState, str] = {
    "running": "cyan",
    "starting": "cyan",
    "queued": "dim",
    "done": "green",
    "predicted": "green",
    "failed": "red",
    "timeout": "red",
    "interrupted": "yellow",
    "preempted": "yellow",
    "waiting": "dim",
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    state: ExperimentState
    cells: tuple[str, ...]
    """Below the headers after the first two."""

    def texts(self) -> tuple[str, ...]:
        """All cells."""
        return (self.name, self.state, *self.cells)


def frame(progress: GridProgress, width: int, height: int, elapsed: float) -> list[Text]:
    """The lines to show, none wider than `width` cells, at most `height` of them.

    Args:
        progress: of the grid.
        width: cells of a line.
        height: lines there are.
        elapsed: seconds since the run began.
    """
    lines = [Text(_fitted_text(text, width)) for text in _headlines(progress, width, elapsed)][: max(1, height)]
    room = height - len(lines) - 1
    rows = list(_rows(progress, room)) if room > 0 else []
    return [*lines, *_table(rows, width)] if rows else lines


def cut_middle(text: str, width: int) -> str:
    """The text in at most `width` cells: a third from its beginning, the rest from its end."""
    if cell_len(text) <= width:
        return text
    if width < 4:
        return set_cell_size(text, max(0, width)).rstrip()
    tail = ""
    for character in reversed(text):
        if cell_len(character + tail) > (width - 2) * 2 // 3:
            break
        tail = character + tail
    return set_cell_size(text, width - 2 - cell_len(tail)) + ".." + tail


def gpus_text(gpus: Sequence[str]) -> str:
    """Indices as they are, UUIDs by their first digits."""
    return ",".join(gpu.partition("-")[2][:4] if gpu.startswith(("GPU-", "MIG-")) else gpu for gpu in gpus)


def _headlines(progress: GridProgress, width: int, elapsed: float) -> list[str]:
    counts = counts_text(progress)
    times = ", ".join(filter(None, [f"{duration(round(elapsed))} so far", left_text(progress.time_left())]))
    joined = f"{counts}; {times}"
    return [joined] if cell_len(joined) <= width else [counts, times]


def _rows(progress: GridProgress, room: int) -> Iterable[Row]:
    if len(progress.experiments) <= room:
        return [_experiment_row(progress, name) for name in progress.experiments]
    running = [
        _running_row(progress, item, shared_name(progress, item.job)) for item in progress.first_under_way(room)
    ]
    n_ended = min(ENDED_SHOWN, max(0, room - len(running)), len(progress.last_ended))
    ended = list(progress.last_ended)[len(progress.last_ended) - n_ended :]
    return [*running, *(_experiment_row(progress, name) for name in reversed(ended))]


def _experiment_row(progress: GridProgress, name: str) -> Row:
    item = progress.job_of(name)
    if item is not None:
        return _running_row(progress, item, one_line(name))
    state, status = progress.states[name], progress.statuses.get(name)
    if status is None or state == "waiting":
        return Row(one_line(name), state, ("",) * 6)
    stage = "" if state in FINISHED else status.stage
    return Row(one_line(name), state, (stage, "", "", clock(progress.spent[name]), "", gpus_text(status.gpus)))


def _running_row(progress: GridProgress, item: RunningJob, name: str) -> Row:
    told, left = item.progress, progress.seconds_left_of(item)
    step = f"{told.step}/{told.total}" if told is not None and told.total else ""
    loss = f"{told.loss:.4g}" if told is not None and told.loss is not None else ""
    cells = (
        item.job.record.stage,
        step,
        loss,
        clock(_seconds_queued(item.status) if item.status.state == "queued" else item.seconds),
        "" if left is None else whole_clock(left),
        gpus_text(item.status.gpus),
    )
    return Row(name, item.status.state, cells)


def _seconds_queued(status: StatusRecord) -> float:
    """How long it has been waiting for a place; 0 where that is not known."""
    try:
        since = datetime.fromisoformat(status.queued or "")
        return max(0.0, (datetime.now(UTC) - since).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _table(rows: Sequence[Row], width: int) -> list[Text]:
    widths = {
        header: max(cell_len(text) for text in (header, *(row.texts()[place] for row in rows)))
        for place, header in enumerate(HEADERS)
        if header in HEADERS[:3] or any(row.texts()[place] for row in rows)
    }
    longest = widths.pop("experiment")
    for header in DROPPED_FIRST:
        if _name_room(widths, width) >= min(MIN_NAME, longest):
            break
        widths.pop(header, None)
    widths = {"experiment": max(1, min(longest, _name_room(widths, width))), **widths}
    head = Text(_joined(HEADERS, widths, width), style="bold")
    return [head, *(_row_text(row, widths, width) for row in rows)]


def _name_room(widths: dict[str, int], width: int) -> int:
    return width - sum(size + GAP for size in widths.values())


def _row_text(row: Row, widths: dict[str, int], width: int) -> Text:
    text = Text(_joined(row.texts(), widths, width), style="dim" if row.state == "waiting" else "")
    start = widths["experiment"] + GAP
    if "state" in widths:
        # Positions of characters, not of cells: wide characters of the name take two.
        shown = len(_sized(row.name, widths["experiment"], right=False)) + GAP
        text.stylize(STYLES[row.state], shown, shown + len(row.state))
        return text
    text.stylize(STYLES[row.state], 0, start)
    return text


def _joined(texts: Sequence[str], widths: dict[str, int], width: int) -> str:
    cells = [
        _sized(text, widths[header], right=header in RIGHT)
        for header, text in zip(HEADERS, texts, strict=True)
        if header in widths
    ]
    return _fitted_text((" " * GAP).join(cells).rstrip(), width)


def _sized(text: str, width: int, *, right: bool) -> str:
    cut = cut_middle(text, width)
    space = " " * (width - cell_len(cut))
    return space + cut if right else cut + space


def _fitted_text(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width))
