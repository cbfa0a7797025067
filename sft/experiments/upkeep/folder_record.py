"""A results folder for programs: `sft status --json` and `sft verify --json`."""

from collections import Counter
from typing import Any

from sft.experiments.upkeep.results_view import ResultsView, name_of, unreadable_warnings
from sft.experiments.upkeep.verification import DamagedJob, Verification
from sft.runs.experiments import ListedExperiment
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.progress import read_progress
from sft.runs.records import StageName, StatusRecord
from sft.runs.states import ORDER, Standing


def status_record(view: ResultsView) -> dict[str, Any]:
    """How a results folder stands; docs/json.md says what the keys mean."""
    standings = [(item, view.standings.of_experiment(item)) for item in view.experiments]
    counts = Counter(standing.state for item, standing in standings if item.in_grid)
    return {
        "results": str(view.results.path),
        "grid": view.source,
        "in_use_by": view.holder,
        "counts": {state: counts[state] for state in ORDER if counts[state]},
        "experiments": [_experiment(item, standing, view.results) for item, standing in standings],
        "baselines": [_beside(folder, view) for folder in view.baselines()],
        "exports": [_beside(folder, view) for folder in view.exports()],
        "running": [_running(*job) for job in view.running()],
        "warnings": unreadable_warnings(view),
    }


def verification_record(verified: Verification) -> dict[str, Any]:
    """What was compared and what differs, likewise."""
    return {
        "results": str(verified.results.path),
        "stages": verified.jobs,
        "files": verified.files,
        "bytes": verified.n_bytes,
        "damaged": [_damaged(job, verified.results) for job in verified.damaged],
        "warnings": list(verified.warnings),
    }


def _experiment(item: ListedExperiment, standing: Standing, results: ResultsFolder) -> dict[str, Any]:
    status = standing.status
    return {
        "name": item.name,
        "id": item.key,
        "folder": _place(item.folder, results),
        "in_grid": item.in_grid,
        "state": standing.state,
        "stage": None if status is None else status.stage,
        "error": _error(standing),
        "log": None if status is None else status.log,
        "runs_next": item.in_grid and standing.is_taken_up,
    }


def _beside(folder: JobFolder, view: ResultsView) -> dict[str, Any]:
    standing = view.standings.of(folder)
    return {
        "name": name_of(folder),
        "folder": _place(folder, view.results),
        "state": standing.state,
        "error": _error(standing),
    }


def _error(standing: Standing) -> dict[str, Any] | None:
    """Why there is no result, where there was a try."""
    error = standing.error
    return None if error is None else {"kind": error.kind, "message": error.message}


def _running(stage: StageName, folder: JobFolder, status: StatusRecord) -> dict[str, Any]:
    progress = read_progress(folder.progress)
    return {
        "stage": stage,
        "name": name_of(folder),
        "key": folder.path.name,
        "step": None if progress is None else progress.step,
        "total": None if progress is None else progress.total,
        "loss": None if progress is None else progress.loss,
        "started": status.started,
        "attempt": status.attempt,
        "gpus": list(status.gpus),
    }


def _damaged(job: DamagedJob, results: ResultsFolder) -> dict[str, Any]:
    return {
        "name": job.name,
        "id": job.key,
        "folder": _place(job.folder, results),
        "files": list(job.files),
    }


def _place(folder: JobFolder, results: ResultsFolder) -> str:
    """Within the results folder."""
    return folder.path.relative_to(results.path).as_posix()
