"""Options that all clusters take."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sft.exceptions import UserError
from sft.experiments.executors.options import ExecutorOptions
from sft.runs.files import ResultsFolder

FEW_AT_ONCE = 100
PER_JOB = 4


class ClusterOptions(BaseModel):
    """Options of a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpus_per_task: int = Field(default=1, ge=1)
    """CPUs of a job, and threads of its computations: results are byte-equal for equal numbers of threads alone."""

    max_pending: int | None = Field(default=None, ge=1)
    """Submissions that wait or run at the same time; default four times --jobs, without that 100, or all with
    --detach."""

    results_path: Path | None = None
    """Where nodes see the results folder, where that is another path than here."""

    @field_validator("results_path")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError("write the whole path, as nodes see it")
        return path

    def at_once(self, jobs: int | None, *, detach: bool = False) -> float:
        """Submissions that may wait or run.

        Args:
            jobs: how many may run at the same time, where the user says.
            detach: whether nobody stays to submit more.
        """
        few = float("inf") if detach else FEW_AT_ONCE
        return self.max_pending or (few if jobs is None else PER_JOB * jobs)


def refuse_local_options(executor: str, options: ExecutorOptions) -> None:
    """Refuse what shares out this machine.

    Args:
        executor: name of the cluster.
        options: what the user chose.

    Raises:
        UserError: an option has no meaning there.
    """
    for name, value, default in (("--gpus", options.gpus, "all"), ("--jobs-per-gpu", options.jobs_per_gpu, 1)):
        if value != default:
            raise UserError(
                f"{name} {value}: shares out the GPUs of this machine; with --executor {executor} jobs get what "
                "its options ask for (docs/scale.md)"
            )


def seen_from_nodes(file: Path, results: ResultsFolder, written: Mapping[str, str]) -> Path:
    """The path under which nodes see a file of a results folder.

    Args:
        file: its path here.
        results: the folder.
        written: the options, of which all clusters have `results_path`.
    """
    here = Path(os.path.abspath(results.path))
    return Path(written.get("results_path", here)) / Path(os.path.abspath(file)).relative_to(here)
