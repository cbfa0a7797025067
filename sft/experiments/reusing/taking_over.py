"""Takes finished stages of other results folders into this one, where `--reuse` names them."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sft.experiments.reusing.other_results import FoundStage, OtherResults
from sft.pipeline.jobs import PlannedJob
from sft.runs.atomic import flush, write_json
from sft.runs.deletion import set_aside
from sft.runs.file_systems import make_folder
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import SCHEMA, ListedFile, difference, finished_files
from sft.runs.records import State, StatusRecord, read_status, write_record
from sft.wording import counted, shown_path

LINKED_FROM = 1 << 20
"""Bytes from which on a file is not copied but gets a second name, where the file system can."""

Say = Callable[[str], None]

Record = Callable[[JobFolder, StatusRecord], None]
"""Writes the status of a job."""


def take_over(
    jobs: Iterable[PlannedJob], others: OtherResults, results: ResultsFolder, record: Record, say: Say
) -> None:
    """Give jobs that are not done the results of the same stages elsewhere, as far as these are what was written.

    Nothing is changed there. A job's status names where its results come from.

    Args:
        jobs: each once.
        others: where finished stages are looked for.
        results: the results folder of the jobs, whose lock the caller holds.
        record: writes the new status of a job.
        say: shows a line to the user.

    Raises:
        OSError: a file could not be copied.
    """
    taken: Counter[tuple[Path, str]] = Counter()
    for job in jobs:
        found = None if job.is_done else others.find(job)
        if found is None:
            continue
        listed = finished_files(found.folder)  # once: a run may write there meanwhile
        wrong = _damage(found, listed)
        if wrong is None:
            _take(job, found, listed, results, record)
            taken[found.results.path, job.record.stage] += 1
        else:
            say(f"warning: --reuse: {shown_path(found.folder.path)}/{wrong}; the stage is not taken from there")
    for place in dict.fromkeys(place for place, _ in taken):
        told = [counted(number, f"{stage} stage") for (other, stage), number in taken.items() if other == place]
        say(f"reused of {shown_path(place)}: {', '.join(told)}")


def _damage(found: FoundStage, listed: Mapping[str, ListedFile]) -> str | None:
    """The first file that is not as its stage wrote it, and what is wrong with it; None where all are."""
    if not listed:
        return f"{found.folder.manifest.name} is gone"
    wrong = ((name, difference(found.folder.path / name, file)) for name, file in listed.items())
    return next((f"{name} {what}" for name, what in wrong if what is not None), None)


def _take(
    job: PlannedJob, found: FoundStage, listed: Mapping[str, ListedFile], results: ResultsFolder, record: Record
) -> None:
    """Copy the results, the manifest last; what stands in their place goes to the trash."""
    folder = job.folder
    for top in dict.fromkeys(Path(name).parts[0] for name in listed):
        if os.path.lexists(folder.path / top):
            set_aside(results, folder.path / top)
    for name, file in listed.items():
        _place(found.folder.path / name, folder.path / name, is_large=file.size >= LINKED_FROM)
    for parent in {parent for name in listed for parent in (folder.path / name).parents}:
        if parent.is_relative_to(folder.path):
            flush(parent)
    write_record(folder.job, job.record)
    stage = job.record.stage
    is_whole = stage != "evaluate" or folder.metrics.exists()
    known = read_status(found.folder.status) or StatusRecord("done", stage)
    state: State = "done" if is_whole else "predicted"
    status = StatusRecord(
        state,
        stage,
        started=known.started,
        ended=known.ended,
        seconds=known.seconds,
        device=known.device,
        start=known.start,
        gpus=known.gpus,
        memory_step=known.memory_step,
        reused_from=str(found.folder.path),
    )
    files = {name: {"size": file.size, "sha256": file.sha256} for name, file in listed.items()}
    write_json(folder.manifest, {"schema": SCHEMA, "files": files})
    record(folder, status)


def _place(source: Path, place: Path, *, is_large: bool) -> None:
    """A file under a second name, or its copy; a link of a file system is no other file that an edit could reach."""
    make_folder(place.parent)
    if is_large:
        try:
            os.link(os.path.realpath(source), place)
        except OSError:  # another file system, or one without links: a copy serves as well
            pass
        else:
            return
    shutil.copyfile(source, place)
    flush(place)
