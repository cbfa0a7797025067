"""`sft export ID --to DIR`: what a training left, in a folder of the user's own, by the job that grids export with."""

import contextlib
import dataclasses
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.adapters.support import unmergeable
from sft.config.canonical import key_of
from sft.config.training import SaveMethod
from sft.deployment.guarded import failure, run_guarded
from sft.deployment.new_rows.finished import require_whole
from sft.exceptions import MachineError, UserError
from sft.experiments.executors.guarded_process import worker_command
from sft.experiments.planning.checks.model_files import known_config
from sft.experiments.running.trained_adapters import copy_tokenizers
from sft.models.tokenizer_files import WantedTokenizer
from sft.pipeline.exports import fields_of
from sft.runs.experiments import ListedExperiment
from sft.runs.file_systems import copy_folder
from sft.runs.files import ID_DIGITS, JobFolder
from sft.runs.manifest import is_done
from sft.runs.records import JobRecord, read_error, read_job, write_record
from sft.wording import one_line, shown_path

KILLED = "the export was ended by {}; nothing was written, and the same command begins anew"


@dataclass(frozen=True)
class Exported:
    """What became of an export.

    Attributes:
        experiment: name and beginning of the id.
        folders: that were written, of each fold one.
        stopped_by: the signal that ended it early.
    """

    experiment: str
    folders: tuple[Path, ...]
    stopped_by: signal.Signals | None = None


def export_experiment(experiment: ListedExperiment, to: Path, form: SaveMethod) -> Exported:
    """Write the adapter of an experiment, or the model that it makes of its base, with the tokenizer.

    Args:
        experiment: one of a results folder.
        to: a folder that is not there yet, or empty; of folds each has a folder `foldN` in it.
        form: as `training.save_method`.

    Raises:
        UserError: it trains nothing, its adapter cannot be merged, or something is in the folder.
        DataError: its training is not finished, or that or the export of its grid is not whole any more.
        MachineError: its tokenizer is not cached and the hub does not answer, or the folder cannot be written.
        SftError: the export failed; nothing of it is left.
    """
    title = f"{one_line(experiment.name)} [{experiment.key[:ID_DIGITS]}]"
    trainings = experiment.trainings
    if not trainings:
        raise UserError(f"{title} trains nothing, so it has nothing to export")
    _require_room(to)
    require_whole(*trainings)
    written: list[Path] = []
    with _all_or_nothing(to.absolute()):
        for training in trainings:
            record = _record(experiment, training)
            _require_mergeable(record, form, title)
            place = to.absolute() if record.fold is None else to.absolute() / f"fold{record.fold}"
            stopped_by = _export(experiment, training, record, place, form)
            if stopped_by is not None:
                return Exported(title, tuple(written), stopped_by)
            written.append(place)
    return Exported(title, tuple(written))


@contextlib.contextmanager
def _all_or_nothing(to: Path) -> Iterator[None]:
    """Leave a folder, which is empty or not there, as it was where something fails.

    Raises:
        MachineError: it cannot be written.
    """
    was_there = to.is_dir()
    try:
        yield
    except Exception as error:
        shutil.rmtree(to, ignore_errors=True)
        if was_there:
            to.mkdir(exist_ok=True)
        if isinstance(error, OSError):
            text = f"--to {shown_path(to)}: cannot be written ({error.strerror or error}); name another folder"
            raise MachineError(text) from error
        raise


def _require_room(to: Path) -> None:
    """Refuse a place where something is, and one below a file, where no folder can be made."""
    advice = "name a folder that is new"
    if to.is_dir() and any(to.iterdir()):
        raise UserError(f"--to {to}: is not empty; {advice}")
    if to.is_file():
        raise UserError(f"--to {to}: is a file; {advice}")
    above = next(folder for folder in to.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UserError(f"--to {to}: {above} is a file; {advice}")


def _record(experiment: ListedExperiment, training: JobFolder) -> JobRecord:
    """The training's job with the config of this experiment: another one may have been the first to need it."""
    first = read_job(training.job)
    if not experiment.folder.job.is_file():
        return first
    own = read_job(experiment.folder.job)
    return dataclasses.replace(
        first, name=own.name, config=own.config, config_folder=own.config_folder, fingerprints=own.fingerprints
    )


def _require_mergeable(record: JobRecord, form: SaveMethod, title: str) -> None:
    """Refuse what the plan of `training.save_method` refuses."""
    if form == "adapter":
        return
    config = record.experiment
    reason = unmergeable(config, known_config(config.model.name, Path(record.config_folder)))
    if reason is not None:
        raise UserError(f"--as {form}: {title}: {reason}; write --as adapter", kind="model")


def _export(
    experiment: ListedExperiment, training: JobFolder, record: JobRecord, place: Path, form: SaveMethod
) -> signal.Signals | None:
    """Write one training; the signal that ended it early."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if form == "adapter":
        config, commits = record.experiment, record.fingerprints["revisions"]
        copy_folder(training.adapter, place)
        failures = copy_tokenizers({place: WantedTokenizer.of(config.model, commits, Path(record.config_folder))})
        if failures:
            raise MachineError(f"{shown_path(place)}: {failures[0]}")
        return None
    fields = fields_of(training.path.name, form)
    done = experiment.results.stage("export", key_of(fields))
    if is_done(done):
        require_whole(done)
        copy_folder(done.exported, place)
        return None
    return _merged(training, record, fields, place)


def _merged(training: JobFolder, record: JobRecord, fields: Mapping[str, Any], place: Path) -> signal.Signals | None:
    """Run the job of the export beside its place, and move there what it wrote."""
    section = {**(record.config.get("training") or {}), "save_method": fields["save_method"]}
    with tempfile.TemporaryDirectory(prefix=".sft-export-", dir=place.parent) as scratch:
        job = JobFolder(Path(scratch))
        asked = dataclasses.replace(
            record,
            stage="export",
            key=key_of(fields),
            key_fields=dict(fields),
            config={**record.config, "training": section},
            inputs={"train": os.path.relpath(training.path, job.path)},
            memory_step=0,
            folder=str(job.path),
        )
        write_record(job.job, asked)
        ended = run_guarded(worker_command(str(job.path)), job.path / "output.log", lambda: None)
        if isinstance(ended, signal.Signals):
            return ended
        if ended.code != 0:
            raise failure(ended, read_error(job.attempts()[-1].error) if job.attempts() else None, KILLED)
        if place.is_dir():
            place.rmdir()
        job.exported.rename(place)
    return None
