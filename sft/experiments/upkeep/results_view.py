"""A results folder as status, logs, verify and clean see it; read only, also while a grid runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sft.config.reading import BEST
from sft.exceptions import UserError
from sft.registry import nearest
from sft.runs.experiments import ListedExperiment, Standings, listed_experiments
from sft.runs.files import ID_DIGITS, JobFolder, ResultsFolder
from sft.runs.lock import lock_holder
from sft.runs.records import JOB_STAGES, StageName, StatusRecord, read_job, read_json_or_none
from sft.runs.states import UNDER_WAY, executor_of
from sft.wording import shown_path, some

SHOWN = 10


@dataclass(frozen=True)
class ResultsView:
    """What a results folder holds at this moment."""

    results: ResultsFolder
    holder: str | None
    """Who runs a grid in it."""
    experiments: tuple[ListedExperiment, ...]
    """Those of the grid in its order, then the others."""
    standings: Standings

    @cached_property
    def source(self) -> str | None:
        """Where the grid was written."""
        grid = read_json_or_none(self.results.grid)
        source = grid.get("source") if isinstance(grid, dict) else None
        return source if isinstance(source, str) else None

    @cached_property
    def owners(self) -> Mapping[Path, ListedExperiment]:
        """Job folder -> the first experiment that has the job."""
        return {folder.path: item for item in reversed(self.experiments) for folder in item.jobs().values()}

    def jobs(self) -> list[tuple[StageName, JobFolder]]:
        """Every job there is, whether an experiment needs it or not."""
        return [(stage, folder) for stage in JOB_STAGES for folder in self.results.job_folders(stage)]

    def running(self) -> list[tuple[StageName, JobFolder, StatusRecord]]:
        """The jobs that were submitted and have not ended."""
        found = ((stage, folder, self.standings.of(folder)) for stage, folder in self.jobs())
        return [
            (stage, folder, standing.status)
            for stage, folder, standing in found
            if standing.state in UNDER_WAY and standing.status is not None
        ]

    def on_clusters(self) -> dict[Path, str]:
        """Folders of jobs that a cluster has though no run is active, each with its executor."""
        if self.holder is not None:
            return {}
        found = {folder.path: executor_of(folder) for _, folder, _ in self.running()}
        return {path: executor for path, executor in found.items() if executor is not None}

    def baselines(self) -> list[JobFolder]:
        """Those of the grid's experiments, each once."""
        found = (item.baseline for item in self.experiments if item.in_grid and item.baseline)
        return list({folder.path: folder for folder in found}.values())

    def exports(self) -> list[JobFolder]:
        """Those that the grid's experiments asked for, each once."""
        found = (folder for item in self.experiments if item.in_grid for folder in item.exports)
        return list({folder.path: folder for folder in found}.values())

    def unreadable(self) -> list[JobFolder]:
        """The jobs whose status cannot be read, and that are judged by their manifest."""
        return [folder for _, folder in self.jobs() if self.standings.of(folder).is_unreadable]


def view_of(results: ResultsFolder, *, holds_lock: bool = False) -> ResultsView:
    """Read a results folder.

    Args:
        results: the folder.
        holds_lock: whether the caller itself holds its lock, so that no run does.

    Raises:
        UserError: there is no such folder.
        MachineError: a newer version wrote it.
    """
    if not results.path.is_dir():
        raise UserError(f"{results.path}: no such results folder")
    holder = None if holds_lock else lock_holder(results)
    standings = Standings(is_locked=holder is not None)
    return ResultsView(results, holder, tuple(listed_experiments(results)), standings)


def name_of(folder: JobFolder) -> str:
    """The experiment that a job was first run for, the folder's name where its record cannot be read."""
    try:
        return read_job(folder.job).name
    except (OSError, ValueError, TypeError):
        return folder.path.name


def title_of(folder: JobFolder) -> str:
    """The same for people: of an export with the form that it writes, `tweets/lora as merged`."""
    record = read_json_or_none(folder.job)
    fields = record.get("key_fields") if isinstance(record, dict) else None
    form = fields.get("save_method") if isinstance(fields, dict) else None
    return name_of(folder) if form is None else f"{name_of(folder)} as {form}"


def find_experiment(view: ResultsView, wanted: str, best: Callable[[], str | None]) -> ListedExperiment | None:
    """The experiment that a user means, None where there is none.

    Args:
        view: the results folder.
        wanted: a name, the beginning of an id, or `best`; an exact name counts before an id.
        best: tells the id of the experiment that leads the leaderboard.

    Raises:
        UserError: several are meant, or `best` while none is ranked.
    """
    if wanted == BEST:
        leader = best()
        if leader is None:
            joined = "" if view.experiments else "; it holds no experiments: name the folder in which they ran"
            raise UserError(f"{view.results.path}: no experiment is ranked yet{joined}")
        wanted = leader
    named = [item for item in view.experiments if item.name == wanted]
    found = named or [item for item in view.experiments if wanted and item.key.startswith(wanted)]
    in_grid = [item for item in found if item.in_grid]
    meant = in_grid if named and in_grid else found
    if len({item.key for item in meant}) > 1:
        raise UserError(f"{wanted!r} may be {_listed(meant)}; write more of the id")
    return meant[0] if meant else None


def unknown(view: ResultsView, wanted: str) -> UserError:
    """What a user is told who names something that is not there."""
    near = nearest(wanted, [item.name for item in view.experiments])
    there = f"; there are: {_listed(view.experiments)}" if view.experiments else ""
    hint = f" (did you mean {near}?)" if near else there
    return UserError(f"{view.results.path}: no experiment is called {wanted!r}, and no id begins so{hint}")


def _listed(experiments: Sequence[ListedExperiment]) -> str:
    names = list(dict.fromkeys(f"{item.name} [{item.key[:ID_DIGITS]}]" for item in experiments))
    return some(names, SHOWN)


def unreadable_warnings(view: ResultsView) -> list[str]:
    """What a reader says of statuses that it cannot read."""
    bad = view.unreadable()
    if not bad:
        return []
    files = some([shown_path(folder.status) for folder in bad], shown=1)
    return [f"warning: {files} cannot be read; judged by manifest and lock (the next run moves it aside)"]
