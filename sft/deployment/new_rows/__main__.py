"""`python -m sft.deployment.new_rows OUTPUT WORK MEMORY_STEP`: answers new rows into OUTPUT.

WORK is a folder with the origin of the answers that are wanted, and for its progress, its error and what is passed
between stages. It ends with the exit code of the error
that it leaves there, and with 4 and a traceback where it has a bug.
"""

import dataclasses
import os
import sys
import traceback
from itertools import islice
from pathlib import Path

from sft.deployment.new_rows.answers_file import AnswersFile, opened
from sft.deployment.new_rows.finished import FinishedExperiment
from sft.deployment.new_rows.origin import Origin, origin_in_force, origin_path, read_origin
from sft.deployment.new_rows.work_files import WorkFolder
from sft.exceptions import DataError, InternalError, LoadingOutOfMemory, MachineError, SftError, machine_kind
from sft.experiments.executors.guard import GUARD_PID, end_with_parent
from sft.models.model_args import spreads_over_gpus
from sft.processes.visible_gpus import VISIBLE_GPUS, first_only
from sft.runs.files import JobFolder
from sft.runs.manifest import sha256_of
from sft.runs.records import ErrorRecord


def main(arguments: list[str]) -> int:
    """Answer the rows; the exit code says how that went."""
    guard = os.environ.pop(GUARD_PID, None)
    if guard is not None:
        end_with_parent(int(guard))
    output, work, memory_step = Path(arguments[0]), WorkFolder(Path(arguments[1])), int(arguments[2])
    try:
        _answer(output, work, memory_step)
    except Exception as error:  # noqa: BLE001  whoever started this process tells of it
        traceback.print_exc()
        return _failed(work, error)
    return 0


def _answer(output: Path, work: WorkFolder, memory_step: int) -> None:
    wanted = read_origin(work.wanted)
    if wanted is None:
        raise DataError(f"{origin_path(work.wanted)}: is not there, or cannot be read")
    with opened(output) as answers:  # from here on no other process changes the answers or their origin
        _answer_into(answers, origin_in_force(output, wanted), work, memory_step)


def _answer_into(answers: AnswersFile, origin: Origin, work: WorkFolder, memory_step: int) -> None:
    experiment = FinishedExperiment(JobFolder(Path(origin.folder)))
    if not spreads_over_gpus(experiment.record.config.get("model", {}).get("model_args", {})):
        os.environ[VISIBLE_GPUS] = first_only(os.environ.get(VISIBLE_GPUS))
    from sft.deployment.new_rows.answering import answered, load_answerer  # may import what looks for GPUs

    if sha256_of(Path(origin.input)) != origin.sha256:
        raise DataError(f"{origin.input} changed since it was checked; run the same command again")
    answerer = load_answerer(experiment, work.path, memory_step)
    together = origin.rows_at_once or answerer.rows_at_once  # as when the file was begun
    dataclasses.replace(origin, rows_at_once=together).write(answers.path)
    before = answers.keep_whole(together, origin.n_rows)
    rows = islice(origin.file.rows(), before, None)
    work.tell(before)
    for records in answered(answerer, rows, before, together, work.tell):
        answers.append(records)


def _failed(work: WorkFolder, error: Exception) -> int:
    """Leave the error for the process that started this one; its exit code."""
    kind = machine_kind(error)
    if isinstance(error, SftError):
        work.fail(ErrorRecord(error.kind, str(error), at_loading=isinstance(error, LoadingOutOfMemory)))
        return error.exit_code
    if kind is not None:
        work.fail(ErrorRecord(kind, " ".join(f"{type(error).__name__}: {error}".split())))
        return MachineError.exit_code
    return InternalError.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
