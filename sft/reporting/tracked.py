"""The experiments of results folders as a tracker is given them, and the giving."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sft.exceptions import MachineError, SftError, UserError
from sft.leaderboard.board import board_id
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.leaderboard.joining import collect
from sft.registry import load
from sft.runs.experiments import listed_experiments
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import read_json_or_none, read_status
from sft.tracking import tracker_registry
from sft.tracking.tracker import Point, TrackedExperiment, TrackedGrid, Tracker

NOT_BEGUN = "pending"
LOSS, DEV_LOSS = "train/loss", "train/dev_loss"
OF_STEPS = {
    "loss_curve": ("learning_rate", "grad_norm"),
    "cost_curve": ("tokens_per_second", "peak_rss_bytes", "peak_gpu_bytes"),
}
"""Part of `training.json` -> what else its points hold, each a curve of its own."""


def require_tracker(name: str) -> Tracker:
    """The tracker of a name, or one's own (`file.py:Class`), with all that it needs installed.

    Raises:
        UserError: there is no such tracker.
        PackageMissing: its package is not installed.
    """
    tracker: Tracker = load(tracker_registry, name, "tracker")()
    tracker.require()
    return tracker


def log_results(records: Sequence[ExperimentRecord], folders: Sequence[ResultsFolder], to: Path, tracker: str) -> str:
    """Log the experiments of results folders; a line that says what was done and where.

    Args:
        records: the experiments of the folders' grids.
        folders: the results folders.
        to: the folder of their leaderboard.
        tracker: its name.

    Raises:
        UserError: there is no such tracker.
        MachineError: the tracker's package is not installed, or it could not log.
    """
    made = require_tracker(tracker)
    try:
        return made.log(tracked_grid(records, folders, ResultsFolder(to)), to)
    except UserError:
        raise
    except Exception as error:  # every tracker raises errors of its own
        told = str(error) if isinstance(error, SftError) else f"{type(error).__name__}: {error}"
        raise MachineError(f"the results could not be logged to {tracker}: {' '.join(told.split())}") from error


def last_log(results: ResultsFolder, tracker: str, say: Callable[[str], None]) -> tuple[str, ...]:
    """Log the results of a run that has ended; what the machine must change where that fails: they are there."""
    try:
        say(log_results(collect([results]).in_grid, [results], results.path, tracker))
    except SftError as error:
        return (f"{error}; nothing is lost, log them with: sft leaderboard {results.path} --tracker {tracker}",)
    return ()


def tracked_grid(
    records: Sequence[ExperimentRecord], folders: Sequence[ResultsFolder], to: ResultsFolder
) -> TrackedGrid:
    """The experiments that have begun, each id once, under the grid's name.

    Args:
        records: the experiments of the folders' grids.
        folders: the results folders.
        to: where their leaderboard lies; names the grid where several are joined.
    """
    begun: dict[str, list[ExperimentRecord]] = {}
    for record in records:
        if record.state != NOT_BEGUN:
            begun.setdefault(record.id, []).append(record)
    trainings = {
        experiment.folder.path: experiment.trainings[0]
        for results in folders
        for experiment in listed_experiments(results)
        if experiment.trainings
    }
    found = (_tracked(same, trainings.get(same[0].folder)) for same in begun.values())
    return TrackedGrid(_grid_name(folders, to), tuple(found))


def _grid_name(folders: Sequence[ResultsFolder], to: ResultsFolder) -> str:
    """The stem of the grid's file, as of `tickets.jsonnet`; else the name of the folder."""
    grid = read_json_or_none(folders[0].grid) if len(folders) == 1 else None
    source = grid.get("source") if isinstance(grid, dict) else None
    is_file = isinstance(source, str) and Path(source).suffix != ""
    return Path(source).stem if isinstance(source, str) and is_file else to.path.resolve().name


def _tracked(records: Sequence[ExperimentRecord], training: JobFolder | None) -> TrackedExperiment:
    """One experiment under all its names."""
    record = records[0]
    curves = {} if training is None else _curves(read_json_or_none(training.training))
    ended = _ended(record)
    seconds = sum(_numbers(record.part("timing")).values())
    folder = JobFolder(record.folder)
    files = (folder.config, folder.metrics, *(folder.predictions(split, "jsonl") for split in ("test", "dev")))
    return TrackedExperiment(
        id=record.id,
        name=record.name,
        state=record.state,
        params={key: value for key, value in record.settings.items() if value not in (None, {})},
        metrics=_metrics(record),
        tags=_tags(records, training),
        curves=curves,
        artifacts=tuple(path for path in files if path.is_file()),
        started=None if ended is None else ended - seconds,
        ended=ended,
    )


def _metrics(record: ExperimentRecord) -> dict[str, float]:
    """Results, `seconds.<stage>` and resources, as the columns of `leaderboard.csv`."""
    seconds = {f"seconds.{stage}": value for stage, value in record.part("timing").items()}
    return _numbers({**record.part("resources"), **seconds, **record.part("results")})


def _tags(records: Sequence[ExperimentRecord], training: JobFolder | None) -> dict[str, str]:
    record, error = records[0], records[0].error
    found: dict[str, str | None] = {
        "state": record.state,
        "names": json.dumps([other.name for other in records], ensure_ascii=False),
        "seed": None if record.seed is None else str(record.seed),
        "board": board_id(record) if record.state == "done" else None,
        "folder": str(record.folder.absolute()),
        "adapter": str(training.adapter.absolute()) if training is not None and training.adapter.is_dir() else None,
        "error.kind": None if error is None else error.kind,
        "error.stage": None if error is None else error.stage,
        "error.message": None if error is None else error.message,
    }
    return {key: text for key, text in found.items() if text is not None}


def _curves(training: Any) -> dict[str, tuple[Point, ...]]:
    if not isinstance(training, Mapping):
        return {}
    parts = {LOSS: ("loss_curve", "loss"), DEV_LOSS: ("eval_curve", "loss")}
    parts |= {f"train/{value}": (part, value) for part, values in OF_STEPS.items() for value in values}
    return {name: points for name, (part, value) in parts.items() if (points := tuple(_points(training, part, value)))}


def _points(training: Mapping[str, Any], part: str, name: str) -> Iterator[Point]:
    entries = training.get(part)
    for entry in entries if isinstance(entries, list) else ():
        step, value = entry.get("step"), entry.get(name)
        if isinstance(step, int) and finite_number(value) is not None:
            yield Point(step, float(value))


def _ended(record: ExperimentRecord) -> float | None:
    status = read_status(JobFolder(record.folder).status)
    if status is None or status.ended is None:
        return None
    return datetime.fromisoformat(status.ended).timestamp()


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if finite_number(value) is not None}
