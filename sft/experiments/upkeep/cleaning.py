"""`sft clean`: what a results folder holds and its grid does not need, and taking it out.

While a run is active only what it cannot need is taken out: finished stages and experiments that neither the grid nor
anything unfinished refers to, and the trash.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.exceptions import FolderInUse, UserError
from sft.experiments.running.recovery import temporary_files
from sft.experiments.upkeep.results_view import ResultsView, view_of
from sft.runs.deletion import delete, is_within, set_aside, size_on_disk
from sft.runs.events import EventLog
from sft.runs.experiments import ListedExperiment, grid_entries
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import is_starting, lock_holder, locked
from sft.runs.records import StatusRecord, read_job, read_json_or_none, write_record
from sft.runs.states import FINISHED, UNDER_WAY, Standing
from sft.wording import and_more, counted, shown_path, size_text

SHOWN = 50
JUST_STARTED = "{path}/: a run has just started and may need what is there; try again in a moment, or after its end"
UNNEEDED, TRASH, LEFTOVER, ADAPTER = "not in this grid", "trash", "leftover", "adapter of finished experiments"


@dataclass(frozen=True)
class Removal:
    """Something that can go."""

    path: Path
    why: str
    n_bytes: int


@dataclass(frozen=True)
class Cleaning:
    """What can go now, and what is left for later."""

    removals: tuple[Removal, ...]
    notes: tuple[str, ...] = ()


def clean(results: ResultsFolder, *, delete: bool, adapters: bool) -> list[str]:
    """Say what a results folder can do without, or take it out.

    Args:
        results: the results folder.
        delete: whether it is taken out.
        adapters: whether adapters go of which every experiment is done.

    Raises:
        UserError: the folder is no results folder.
        FolderInUse: a run is active, and adapters are to go, which it may need, or it has yet to say what it needs.
    """
    view = view_of(results)
    # Before the lock is taken, which would make the folder look like one.
    if not any(path.exists() for path in (results.grid, results.lock, results.events)):
        raise UserError(f"{results.path}: not a results folder (no {results.grid.name} and no {results.lock.name})")
    if not delete:
        return cleaning_lines(view, find_removals(view, adapters=adapters), deleted=False)
    try:
        with locked(results):
            return _remove(view_of(results, holds_lock=True), adapters=adapters)
    except FolderInUse:
        if adapters:
            raise
    if is_starting(results):
        raise FolderInUse(JUST_STARTED.format(path=results.path))
    return _remove(view_of(results), adapters=False)


def _remove(view: ResultsView, *, adapters: bool) -> list[str]:
    cleaning = find_removals(view, adapters=adapters)
    remove(view, cleaning)
    return cleaning_lines(view, cleaning, deleted=True)


def find_removals(view: ResultsView, *, adapters: bool) -> Cleaning:
    """What a results folder can do without; nothing is changed.

    Args:
        view: the results folder.
        adapters: whether adapters go of which every experiment is done.
    """
    results = view.results
    notes: list[str] = []
    found: list[Removal] = []
    needed = _needed(view)
    if needed is None:
        notes.append("the grid does not say which stages it needs, so none is taken out (run it once more)")
    else:
        found += [Removal(folder.path, UNNEEDED, 0) for _, folder in view.jobs() if folder.path not in needed]
    found += [Removal(results.trash, TRASH, 0)] if results.trash.is_dir() else []
    gone = {removal.path for removal in found}
    if view.holder is None:
        found += [Removal(path, LEFTOVER, 0) for path in _leftovers(view, gone)]
    else:
        notes.append(f"a run is active ({view.holder}); leftovers of stages are taken out when it has ended")
    if adapters:
        found += [Removal(folder.adapter, ADAPTER, 0) for folder in _spent_trainings(view) if folder.path not in gone]
    inside = [removal for removal in found if is_within(results, removal.path)]
    sized = tuple(dataclasses.replace(removal, n_bytes=size_on_disk(removal.path)) for removal in inside)
    return Cleaning(sized, tuple(notes))


def remove(view: ResultsView, cleaning: Cleaning) -> None:
    """Take it out; the caller holds the folder's lock, unless another run does."""
    for removal in cleaning.removals:
        if view.holder is not None and (lock_holder(view.results) != view.holder or is_starting(view.results)):
            raise FolderInUse(JUST_STARTED.format(path=view.results.path))
        if removal.why == ADAPTER:
            _prune(view, JobFolder(removal.path.parent))
        elif removal.why == UNNEEDED:
            # In one step first, so that no half of a stage is left where a reader looks.
            delete(view.results, set_aside(view.results, removal.path))
        else:
            delete(view.results, removal.path)


def cleaning_lines(view: ResultsView, cleaning: Cleaning, *, deleted: bool) -> list[str]:
    """What goes, by reason, with sizes."""
    by_reason: dict[str, list[Removal]] = {}
    for removal in cleaning.removals:
        by_reason.setdefault(removal.why, []).append(removal)
    lines = []
    for why, found in by_reason.items():
        lines.append(f"{why}:")
        lines += [f"  {size_text(item.n_bytes):>10}  {shown_path(item.path)}" for item in found[:SHOWN]]
        if len(found) > SHOWN:
            rest = sum(item.n_bytes for item in found[SHOWN:])
            lines.append(f"  {size_text(rest):>10}  ...{and_more(len(found), SHOWN)}")
    total = size_text(sum(removal.n_bytes for removal in cleaning.removals))
    what = f"{counted(len(cleaning.removals), 'item')}, {total}"
    lines += [f"note: {note}" for note in cleaning.notes]
    if not cleaning.removals:
        return [*lines, f"{shown_path(view.results.path)}: nothing to delete"]
    return [*lines, f"{what} deleted" if deleted else f"{what}; nothing was deleted yet: --yes deletes"]


def _needed(view: ResultsView) -> set[Path] | None:
    """The jobs that the grid, or anything unfinished of an active run or on a cluster, refers to; None where that is
    unknown.
    """
    if grid_entries(view.results) is None:
        return None
    needed: set[Path] = set()
    for item in view.experiments:
        is_open = _is_open(view, view.standings.of_experiment(item))
        if not item.in_grid and not is_open:
            continue
        if not item.stages:
            return None
        needed |= {folder.path for folder in item.jobs().values()}
        needed |= set() if item.baseline is None else {item.baseline.path}
        needed |= {folder.path for folder in item.exports}
        needed |= _started_from(view.results, item.config, item.folder)
    for _, folder in view.jobs():
        if _is_open(view, view.standings.of(folder)):
            needed |= {folder.path, *_inputs(folder)}
    return needed


def _is_open(view: ResultsView, standing: Standing) -> bool:
    """Whether something may be written or read for what stands so, by a run that is active or on a cluster."""
    return standing.state in UNDER_WAY or (view.holder is not None and standing.state not in FINISHED)


def _inputs(folder: JobFolder) -> Iterator[Path]:
    try:
        record = read_job(folder.job)
    except (OSError, ValueError, TypeError):
        return
    found = (record.input_folder(name, folder.path) for name in record.inputs)
    yield from (path for path in found if path is not None)


def _started_from(results: ResultsFolder, config: Mapping[str, Any], folder: JobFolder) -> set[Path]:
    """The training of this results folder whose adapter an experiment starts from."""
    model = config.get("model")
    adapter = model.get("adapter") if isinstance(model, Mapping) else None
    if not isinstance(adapter, str):
        return set()
    record = read_json_or_none(folder.config)
    written = record.get("config_folder") if isinstance(record, dict) else None
    places = [*([Path(written)] if isinstance(written, str) else []), Path.cwd()]
    found = {(place / adapter).resolve() for place in places}
    trainings = results.job_folders("train")
    return {job.path for job in trainings for path in found if path.is_relative_to(job.path.resolve())}


def _leftovers(view: ResultsView, gone: set[Path]) -> list[Path]:
    """Scratch folders of tries, what grew in tries of stages that are done, temporary files elsewhere."""
    folders = []
    for _, folder in view.jobs():
        is_idle = view.standings.of(folder).state not in UNDER_WAY
        if folder.path not in gone and is_within(view.results, folder.job) and is_idle:
            folders += [attempt.work for attempt in folder.attempts() if _holds_something(attempt.work)]
            has_ended = view.standings.of(folder).state in (*FINISHED, "pruned")
            grown = (folder.checkpoints, *(attempt.out for attempt in folder.attempts()))
            folders += [path for path in grown if has_ended and path.exists()]
    covered = (*folders, *gone)
    return [*folders, *(path for path in temporary_files(view.results) if not any(map(path.is_relative_to, covered)))]


def _holds_something(work: Path) -> bool:
    """Whether a scratch folder is not as its process left it at a regular end, which is empty."""
    return work.is_symlink() or (work.is_dir() and any(work.iterdir()))


def _spent_trainings(view: ResultsView) -> Iterator[JobFolder]:
    """The trainings whose every experiment, of the grid or not, is done and exported, and from which none starts."""
    users: dict[Path, list[ListedExperiment]] = {}
    started_from: set[Path] = set()
    for item in view.experiments:
        started_from |= _started_from(view.results, item.config, item.folder)
        for training in item.trainings:
            users.setdefault(training.path, []).append(item)
    for folder in view.results.job_folders("train"):
        experiments = users.get(folder.path, [])
        ends = [end for item in experiments for end in (item.folder, *item.exports)]
        all_done = all(view.standings.of(end).state == "done" for end in ends)
        if experiments and all_done and folder.path not in started_from and folder.adapter.exists():
            yield folder


def _prune(view: ResultsView, folder: JobFolder) -> None:
    """Record first that the adapter goes on purpose: a crash in between leaves a training that is pruned or whole."""
    status = view.standings.of(folder).status or StatusRecord("done", "train")
    pruned = dataclasses.replace(status, state="pruned", error=None)
    write_record(folder.status, pruned)
    job = folder.path.relative_to(view.results.path).as_posix()
    EventLog(view.results.events).append(job, "train", "pruned", pruned.attempt, None)
    for path in (folder.adapter, folder.kept):
        if path.exists():
            delete(view.results, path)
