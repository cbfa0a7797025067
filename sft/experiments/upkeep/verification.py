"""`sft verify`: whether the results are still what their stages wrote, and the metrics those of the predictions."""

from dataclasses import dataclass

from sft.evaluation.recomputing import wrong_metrics
from sft.experiments.upkeep.results_view import ResultsView, name_of, unreadable_warnings
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import difference, listed_files
from sft.runs.records import StatusRecord
from sft.runs.states import FINISHED


@dataclass(frozen=True)
class DamagedJob:
    """A stage whose results are not those that it wrote.

    Attributes:
        name: of the first experiment that it belongs to.
        key: of the stage.
        status: its last recorded state; None where there is none.
    """

    folder: JobFolder
    name: str
    key: str
    status: StatusRecord | None
    files: tuple[str, ...]
    """Each bad file and what is wrong with it."""


@dataclass(frozen=True)
class Verification:
    """What was compared, and what differs."""

    results: ResultsFolder
    jobs: int
    files: int
    n_bytes: int
    damaged: tuple[DamagedJob, ...]
    warnings: tuple[str, ...]
    """Experiments that could not be looked at, one line each."""


def verify(view: ResultsView) -> Verification:
    """Compare every result file in a results folder with its manifest, and metrics with predictions.

    Nothing is written.
    """
    jobs = files = n_bytes = 0
    damaged = []
    for _, folder in view.jobs():
        listed = listed_files(folder)
        wrong = _wrong_files(view, folder)
        if wrong:
            owner = view.owners.get(folder.path)
            name, key = (name_of(folder), folder.path.name) if owner is None else (owner.name, owner.key)
            damaged.append(DamagedJob(folder, name, key, view.standings.of(folder).status, tuple(wrong)))
        if listed:
            jobs, files = jobs + 1, files + len(listed)
            n_bytes += sum(file.size for file in listed.values())
    return Verification(view.results, jobs, files, n_bytes, tuple(damaged), tuple(unreadable_warnings(view)))


def _wrong_files(view: ResultsView, folder: JobFolder) -> list[str]:
    """What is wrong with a job's results; nothing with one that is being written, or was never finished."""
    standing = view.standings.of(folder)
    listed = listed_files(folder)
    if listed is None:
        claims_end = standing.status is not None and standing.status.state in FINISHED
        # Without a manifest nothing can be compared; while a run is active the stage may just be starting anew.
        is_gone = not folder.manifest.exists()
        if not claims_end or (is_gone and view.holder is not None):
            return []
        return [f"{folder.manifest.name} {'is missing' if is_gone else 'cannot be read'}"]
    if standing.state == "pruned":
        removed = tuple(f"{path.name}/" for path in (folder.adapter, folder.kept))
        listed = {name: file for name, file in listed.items() if not name.startswith(removed)}
    found = ((name, difference(folder.path / name, file)) for name, file in listed.items())
    wrong = [f"{name} {what}" for name, what in found if what is not None]
    if not wrong:
        return wrong_metrics(folder)
    return wrong if listed_files(folder) is not None else []
