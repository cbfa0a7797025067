"""What a stage is likely to cost, from the measured seconds of stages like it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.experiments.planning.plan import PlannedExperiment
from sft.experiments.running.stage_size import RowCounts, StageWork, assumed_rows, planned_rows, stage_work
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import (
    JOB_STAGES,
    LOADING_STAGES,
    JobRecord,
    StatusRecord,
    read_job,
    read_json_or_none,
    read_status,
)
from sft.runs.states import FINISHED

READ_PER_STAGE = 400
"""Finished stages that are read of a results folder; more would tell nothing new and take seconds to read."""


@dataclass
class _Measured:
    """A straight line through sizes and seconds, kept as sums."""

    n: int = 0
    size: float = 0.0
    seconds: float = 0.0
    size_squared: float = 0.0
    product: float = 0.0

    def add(self, size: float, seconds: float) -> None:
        self.n += 1
        self.size += size
        self.seconds += seconds
        self.size_squared += size * size
        self.product += size * seconds

    def at(self, size: float) -> float:
        """Start-up plus a share per size where sizes differ enough to tell them apart, else in proportion."""
        spread = self.size_squared - self.size * self.size / self.n
        if spread > 1e-9 * self.size_squared:
            slope = (self.product - self.size * self.seconds / self.n) / spread
            start = (self.seconds - slope * self.size) / self.n
            if slope >= 0 and start >= 0:
                return start + slope * size
            if slope < 0:
                return self.seconds / self.n
        return self.product / self.size_squared * size if self.size_squared else self.seconds / self.n


class StageCosts:
    """Learns from finished stages what others like them will take.

    What this run measured counts before what stood in the results folder, which may come from another machine.
    """

    def __init__(self, rows: Mapping[str, RowCounts] | None = None) -> None:
        """
        Args:
            rows: experiment name -> its rows, as the plan found them; without, the config's caps are taken.
        """
        self._rows = rows or {}
        self._works: dict[Path, StageWork] = {}
        self._now: dict[tuple[str, ...], _Measured] = {}
        self._earlier: dict[tuple[str, ...], _Measured] = {}

    def seconds(self, job: PlannedJob) -> float | None:
        """What the job will take by the nearest like stage; None where none of its stage and model is measured."""
        return self.seconds_of(self.described(job))

    def seconds_of(self, work: StageWork) -> float | None:
        """What a described stage will take."""
        least = 2 if work.stage in LOADING_STAGES else 1
        for length in range(len(work.likeness), least - 1, -1):
            for known in (self._now, self._earlier):
                measured = known.get(work.likeness[:length])
                if measured is not None:
                    return measured.at(work.size)
        return None

    def work(self, job: PlannedJob) -> float:
        """A rough size without unit, comparable between all stages: longest first while nothing is measured."""
        return self.described(job).size

    def cost(self, job: PlannedJob) -> float:
        """Seconds where they are known, else the size at the rate of what was measured: to order jobs by."""
        work = self.described(job)
        known = self.seconds_of(work)
        return work.size * self._rate(work.stage) if known is None else known

    def described(self, job: PlannedJob) -> StageWork:
        """What the job has to do; worked out once per folder."""
        path = job.folder.path
        if path not in self._works:
            self._works[path] = stage_work(job.record, planned_rows(job.record, self._rows.get(job.record.name)))
        return self._works[path]

    def learn(self, job: PlannedJob, status: StatusRecord) -> None:
        """Take in a stage that ended in this run; one that did not finish tells nothing."""
        if status.state in FINISHED and status.seconds is not None:
            _add(self._now, self.described(job), status.seconds)

    def learn_from(self, results: ResultsFolder) -> None:
        """Take in the finished stages of a results folder, of very many only some."""
        for folder in _job_folders(results):
            status = read_status(folder.status)
            if status is None or status.state not in FINISHED or status.seconds is None:
                continue
            try:
                record = read_job(folder.job)
            except (OSError, ValueError, TypeError):
                continue
            _add(self._earlier, stage_work(record, _rows_of(folder, record)), status.seconds)

    def _rate(self, stage: str) -> float:
        """Seconds per size of a stage, else of any; 1 where nothing is measured."""
        known = {**self._earlier, **self._now}
        measured = [item for key, item in known.items() if key == (stage,)] or [
            item for key, item in known.items() if len(key) == 1 and item.size
        ]
        size = sum(item.size for item in measured)
        return sum(item.seconds for item in measured) / size if size else 1.0


def _rows_of(folder: JobFolder, record: JobRecord) -> RowCounts:
    """The rows that a finished stage counted, else the config's."""
    assumed = assumed_rows(record)
    train, evaluated = assumed.train, assumed.evaluated
    if record.stage == "train":
        found = _json(folder.training).get("n_rows")
        train = found if isinstance(found, int) else train
    else:
        infer = folder.path if record.stage == "infer" else record.input_folder("infer", folder.path)
        found = _json(JobFolder(infer).inference).get("rows") if infer is not None else None
        evaluated = sum(found.values()) if isinstance(found, dict) else evaluated
    return RowCounts(train, evaluated)


def _add(known: dict[tuple[str, ...], _Measured], work: StageWork, seconds: float) -> None:
    for length in range(1, len(work.likeness) + 1):
        known.setdefault(work.likeness[:length], _Measured()).add(work.size, seconds)


def _job_folders(results: ResultsFolder) -> Iterator[JobFolder]:
    """Of every stage at most `READ_PER_STAGE`, evenly."""
    for folders in map(results.job_folders, JOB_STAGES):
        yield from folders[:: -(-len(folders) // READ_PER_STAGE)] if folders else ()


def _json(path: Path) -> Mapping[str, Any]:
    record = read_json_or_none(path)
    return record if isinstance(record, dict) else {}


def row_counts(experiments: Iterable[PlannedExperiment]) -> dict[str, RowCounts]:
    """The rows of planned experiments by name."""
    return {
        planned.experiment.name: RowCounts(planned.data.n_train, planned.data.n_test + (planned.data.n_dev or 0))
        for planned in experiments
    }
