"""`sft status`: how the experiments stand, what runs now, what failed and why, what the next run would do.

`sft verify`: which stages are damaged.
"""

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sft.experiments.upkeep.results_view import ResultsView, name_of, title_of, unreadable_warnings
from sft.runs.experiments import ListedExperiment
from sft.runs.files import JobFolder
from sft.runs.progress import read_progress
from sft.runs.records import StatusRecord, stage_of
from sft.runs.states import FINISHED, ORDER, UNDER_WAY, UNTRIED, WITHOUT_RESULT, Standing, submitted_to
from sft.terminal.job_story import story
from sft.wording import and_more, counted, duration, one_line, shown_path, size_text

if TYPE_CHECKING:
    from sft.experiments.upkeep.verification import Verification

SHOWN = 20

PYTHON_SOURCE = "grid"

Found = Sequence[tuple[ListedExperiment, Standing]]


def status_lines(view: ResultsView) -> list[str]:
    """How a results folder stands."""
    in_grid = [(item, view.standings.of_experiment(item)) for item in view.experiments if item.in_grid]
    counts = Counter(standing.state for _, standing in in_grid)
    told = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    others = len(view.experiments) - len(in_grid)
    elsewhere = f"; {others} more not in this grid" if others else ""
    active = f"in use ({view.holder})" if view.holder else "no run is active"
    lines = [
        f"{shown_path(view.results.path)}: {active}",
        f"{counted(len(in_grid), 'experiment')}{f' of {view.source}' if view.source else ''}"
        f"{f': {told}' if told else ''}{elsewhere}",
    ]
    lines += _running_lines(view)
    lines += _stopped_lines(view, in_grid)
    lines += _beside_lines(view, "Baselines", view.baselines())
    lines += _beside_lines(view, "Exports", view.exports())
    lines += _next_lines(view, in_grid)
    return [*lines, *unreadable_warnings(view)]


def _running_lines(view: ResultsView) -> Iterator[str]:
    on_clusters = view.on_clusters()
    found = view.running()
    running = [job for job in found if job[2].state != "queued"]
    if running:
        yield "Running:"
    for stage, folder, status in running:
        yield f"  {stage:<8} {one_line(name_of(folder))} {_progress_text(folder, status)}"
    queued = [status for _, _, status in found if status.state == "queued"]
    if queued:  # thousands may wait
        waits = [seconds for status in queued if (seconds := seconds_since(status.queued)) is not None]
        longest = f", the first for {duration(max(waits))}" if waits else ""
        yield f"Queued: {counted(len(queued), 'stage')}{longest}"
    for executor, count in Counter(on_clusters.values()).items():
        yield (
            f"On {executor}: {counted(count, 'stage')} that no run watches; "
            f"{_command(view, executor)} collects what has ended and takes over the rest"
        )


def _progress_text(folder: JobFolder, status: StatusRecord) -> str:
    progress = read_progress(folder.progress)
    parts: list[str] = []
    if progress is None:
        parts.append("starting" if status.state == "running" else status.state)
    elif progress.total:
        parts.append(f"step {progress.step}/{progress.total}")
    if progress is not None and progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    seconds = seconds_since(status.started)
    if seconds is not None:
        parts.append(duration(seconds))
    if status.attempt > 1:
        parts.append(f"attempt {status.attempt}")
    return ", ".join([*parts, *status.gpus])


def seconds_since(moment: str | None) -> float | None:
    """How long ago a recorded moment was, by the wall clock; never negative, as clocks can be set back."""
    try:
        then = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, time.time() - then.timestamp())


def _stopped_lines(view: ResultsView, in_grid: Found) -> Iterator[str]:
    """One line per stage that stopped, however many experiments need it."""
    users: dict[Path, list[tuple[ListedExperiment, Standing]]] = {}
    for item, standing in in_grid:
        if standing.state in WITHOUT_RESULT:
            users.setdefault(_where(view, item, standing), []).append((item, standing))
    if users:
        yield "Not done:"
    for found in list(users.values())[:SHOWN]:
        item, standing = found[0]
        more = f" (+{counted(len(found) - 1, 'experiment')} of this stage)" if len(found) > 1 else ""
        yield f"  {story(item.name, item.key, standing.status, standing.state, view.results)}{more}"
    if len(users) > SHOWN:
        yield f"  ... and {counted(len(users) - SHOWN, 'stage')} more; `sft logs NAME` tells of each experiment"


def _beside_lines(view: ResultsView, what: str, folders: Sequence[JobFolder]) -> Iterator[str]:
    """The jobs beside the grid's experiments that stopped; without them no experiment lacks anything."""
    stopped = [(folder, view.standings.of(folder)) for folder in folders]
    told = [
        story(title_of(folder), folder.path.name, standing.status, standing.state, view.results)
        for folder, standing in stopped
        if standing.state in WITHOUT_RESULT
    ]
    if told:
        yield f"{what} not done:"
    yield from (f"  {line}" for line in told[:SHOWN])
    if len(told) > SHOWN:
        yield f"  ...{and_more(len(told), SHOWN)}"


def _where(view: ResultsView, item: ListedExperiment, standing: Standing) -> Path:
    """The folder of the stage that stopped."""
    status = standing.status
    if status is None:
        return item.folder.path
    stages = [folder for name, folder in item.jobs().items() if stage_of(name) == status.stage]
    stopped = (folder for folder in stages if view.standings.of(folder).state not in (*FINISHED, *UNTRIED))
    return next(stopped, item.folder).path


def _next_lines(view: ResultsView, in_grid: Found) -> Iterator[str]:
    if view.holder is not None:
        return
    left = [standing for _, standing in in_grid if standing.state not in (*FINISHED, *UNDER_WAY)]
    again = Counter(standing.state for standing in left if standing.is_taken_up)
    held = len(left) - again.total(), _stopped(view, view.baselines(), is_taken_up=False)
    exports = _stopped(view, view.exports(), is_taken_up=True)
    command = _command(view, _last_executor(view, in_grid))
    if again or exports:
        states = ", ".join(f"{number} {state}" for state, number in again.items())
        told = [f"{counted(again.total(), 'experiment')} ({states})"] if again else []
        told += [f"{counted(exports, 'export')} that failed"] if exports else []
        yield f"Next: {command} runs {' and '.join(told)}"
    if any(held):
        told = [counted(number, noun) for number, noun in zip(held, ("experiment", "baseline"), strict=True) if number]
        yield f"Next: {command} --retry-failed runs also {' and '.join(told)} that failed and would fail the same way"


def _stopped(view: ResultsView, folders: Sequence[JobFolder], *, is_taken_up: bool) -> int:
    """How many of the jobs beside the experiments have no result, of those that the next run takes up or does not."""
    standings = map(view.standings.of, folders)
    return sum(one.state in WITHOUT_RESULT and one.is_taken_up is is_taken_up for one in standings)


def _last_executor(view: ResultsView, in_grid: Found) -> str | None:
    """The cluster on which the first stage that stopped was tried last; None where none stopped, or it ran here."""
    stopped = (JobFolder(_where(view, item, own)) for item, own in in_grid if own.state in WITHOUT_RESULT)
    first = next(stopped, None)
    return None if first is None else submitted_to(first)


def _command(view: ResultsView, executor: str | None = None) -> str:
    """What runs the grid again, on the executor that has some of it."""
    if view.source is None or view.source == PYTHON_SOURCE:
        return "the same run again"
    words = ["sft", "run-experiments", view.source, "--results-path", shown_path(view.results.path)]
    return shlex.join([*words, *([] if executor is None else ["--executor", executor])])


def verification_lines(verified: "Verification") -> list[str]:
    """Each damaged stage with its bad files and what to do, then how much was compared."""
    checked = [counted(verified.jobs, "finished stage"), counted(verified.files, "file"), size_text(verified.n_bytes)]
    outcome = f"{len(verified.damaged)} damaged" if verified.damaged else "all as written"
    return [*_damaged_lines(verified), *verified.warnings, f"{', '.join(checked)}: {outcome}"]


def _damaged_lines(verified: "Verification") -> Iterator[str]:
    for job in verified.damaged:
        yield story(job.name, job.key, job.status, "damaged", verified.results)
        yield from (f"  {shown_path(job.folder.path)}/{file}" for file in job.files)
        yield f"  To compute it anew: rm {shown_path(job.folder.manifest)}, then run the grid again"
