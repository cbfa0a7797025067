"""`sft logs ID`: every try of every stage of an experiment, with the end of what the last one printed."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sft.experiments.upkeep.results_view import ResultsView, find_experiment, name_of, unknown
from sft.runs.attempts import number_of
from sft.runs.events import EventLog
from sft.runs.experiments import ListedExperiment
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.records import read_error, stage_of
from sft.runs.secrets_masking import mask, secret_values
from sft.runs.states import FINISHED, reason
from sft.terminal.job_story import again, story
from sft.wording import one_line, shown_path

_TAIL_BYTES = 1 << 20


def logs_of(view: ResultsView, wanted: str, best: Callable[[], str | None], lines: int) -> list[str]:
    """The tries of the stages of what a user means: an experiment, or a stage that no experiment here needs.

    Args:
        view: the results folder.
        wanted: a name, the beginning of an id, or `best`.
        best: tells the id of the experiment that leads the leaderboard.
        lines: how many lines of the last try of each stage are shown.

    Raises:
        UserError: nothing, or several things, are meant.
    """
    experiment = find_experiment(view, wanted, best)
    if experiment is not None:
        return _experiment_lines(view, experiment, lines)
    states = _states_of_attempts(view)
    jobs = view.jobs() if wanted else []
    alone = [job for job in jobs if job[1].path.name.startswith(wanted) or name_of(job[1]) == wanted]
    if not alone:
        raise unknown(view, wanted)
    return [line for stage, folder in alone for line in _stage_lines(view, stage, folder, states, lines)]


def _experiment_lines(view: ResultsView, experiment: ListedExperiment, lines: int) -> list[str]:
    standing = view.standings.of_experiment(experiment)
    if standing.state in (*FINISHED, "pending", "running"):
        head = f"{standing.state} {one_line(experiment.name)} [{experiment.key[:8]}]"
    else:
        head = story(experiment.name, experiment.key, standing.status, standing.state, view.results)
    shown = [head]
    states = _states_of_attempts(view)
    for name, folder in experiment.jobs().items():
        shown += ["", *_stage_lines(view, name, folder, states, lines)]
    return shown


def _stage_lines(
    view: ResultsView, name: str, folder: JobFolder, states: Mapping[tuple[str, int], str], lines: int
) -> Iterator[str]:
    standing, stage = view.standings.of(folder), stage_of(name)
    copied = standing.status is not None and standing.status.stage != stage
    attempts = folder.attempts()
    what = "pending" if copied and not attempts else reason(standing.status, standing.state)
    source = None if standing.status is None else standing.status.reused_from
    taken = "" if source is None else f", reused from {shown_path(Path(source))}"
    yield f"{name} {shown_path(folder.path)}: {what}{taken}"
    job = folder.path.relative_to(view.results.path).as_posix()
    for attempt in attempts:
        number, status = number_of(attempt), standing.status
        is_last = status is not None and status.stage == stage and status.attempt == number
        state = standing.state if is_last else states.get((job, number), "not recorded")
        error = read_error(attempt.error)
        why = "" if error is None else f" ({error.kind}): {one_line(error.message)}"
        yield f"  attempt {attempt.path.name}: {state}{why}"
        yield from (f"    {shown_path(log)}" for log in (attempt.stdout, attempt.stderr) if log.is_file())
    if attempts:
        # A try that was started by hand wrote to its own terminal.
        logged = [attempt for attempt in attempts if attempt.stdout.is_file() or attempt.stderr.is_file()]
        yield from _tail_lines((logged or attempts)[-1], lines)
        if standing.state not in (*FINISHED, "running"):
            yield f"  Again: {again(folder.path)}"


def _states_of_attempts(view: ResultsView) -> dict[tuple[str, int], str]:
    """Job folder and number of the try -> its last state that says how it ended."""
    return {
        (event.job, event.attempt): event.state
        for event in EventLog(view.results.events).read().events
        if event.state != "pending"
    }


def _tail_lines(attempt: AttemptFolder, lines: int) -> Iterator[str]:
    """The end of stderr, or of stdout where that is empty."""
    for log in (attempt.stderr, attempt.stdout):
        found = tail(log, lines)
        if found:
            yield f"  last lines of {shown_path(log)}:"
            yield from (f"    {line}" for line in found)
            return


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log, without secrets and what would steer a terminal; of a very long last part its end.

    The log of a stage that runs is not masked yet.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    kept = deque((line for line in text.splitlines() if line.strip()), maxlen=lines)
    secrets = secret_values(os.environ)
    masked = (mask(line, secrets) for line in kept)
    return ["".join(character if character.isprintable() else " " for character in line) for line in masked]
