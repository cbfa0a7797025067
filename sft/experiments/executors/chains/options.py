"""Options of clusters, as they are written on the command line."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sft.exceptions import UserError
from sft.experiments.executors.protocol import ExecutorOptions
from sft.registry import unknown_name

FEW_AT_ONCE = 100
PER_JOB = 4
Options = TypeVar("Options", bound="ClusterOptions")


class ClusterOptions(BaseModel):
    """What all clusters take."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpus_per_task: int = Field(default=1, ge=1)
    """CPUs of a job, and threads of its computations: results are byte-equal for equal numbers of threads alone."""

    max_pending: int | None = Field(default=None, ge=1)
    """Submissions that wait or run at the same time; default four times --jobs, without that 100."""

    def at_once(self, jobs: int | None) -> int:
        """Submissions that may wait or run.

        Args:
            jobs: how many may run at the same time, where the user says.
        """
        return self.max_pending or (FEW_AT_ONCE if jobs is None else PER_JOB * jobs)


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
                "--executor-option asks for (docs/scale.md)"
            )


def options_of(kind: type[Options], written: Mapping[str, str]) -> Options:
    """The options of a cluster.

    Args:
        kind: their class.
        written: name -> value as text.

    Raises:
        UserError: there is no such option, or its value is none.
    """
    for name in written:
        if name not in kind.model_fields:
            raise UserError(f"--executor-option {unknown_name('option', name, kind.model_fields)}")
    try:
        return kind.model_validate(dict(written))
    except ValidationError as error:
        first = error.errors()[0]
        name, told = str(first["loc"][0]), first["msg"].removeprefix("Value error, ")
        raise UserError(f"--executor-option {name}={written[name]}: {told}") from None
