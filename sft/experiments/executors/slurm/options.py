"""What a user may say of the Slurm jobs of a run: `--executor-option NAME=VALUE`."""

import re

from pydantic import Field

from sft.experiments.executors.chains.options import ClusterOptions


class SlurmOptions(ClusterOptions):
    """Options of the executor `slurm`; those without a word of their own are those of `sbatch`."""

    partition: str | None = None
    """Partition, or several separated by commas; default the cluster's."""

    account: str | None = None
    """Account that is charged."""

    qos: str | None = None
    """Quality of service."""

    time: str | None = None
    """Time limit of a job, as sbatch takes it; default three times what its stages took before, where that is known,
    else the partition's."""

    mem: str | None = None
    """Memory of a job, such as 16G; default the partition's."""

    gres: str | None = None
    """What a job with a model gets beside CPUs, such as gpu:1 or gpu:a100:1; default nothing."""

    constraint: str | None = None
    """Features that a node must have."""

    prefix: str | None = None
    """Words before the command on the node, such as those of a container."""

    setup: str | None = None
    """Line of shell that runs before the command, such as `module load cuda`."""

    max_pending: int | None = Field(default=None, ge=1)
    """Jobs that may wait or run at the same time; default four times --jobs, without that 100."""

    @property
    def gpus(self) -> int:
        """GPUs that `gres` names."""
        found = re.search(r"(?:^|,)gpu(?::[^:,(]+)?(?::(\d+))?(?:\([^)]*\))?(?:,|$)", self.gres or "")
        return 0 if found is None else int(found[1] or 1)

    def gres_for(self, gpus: int) -> str | None:
        """`gres` of a job that asks for so many GPUs; None where it asks for nothing."""
        if self.gres is None or gpus == 0:
            return None
        number = re.compile(r"((?:^|,)gpu(?::[^:,(]+)?)(?::\d+)?(?=$|,|\()")
        return number.sub(rf"\g<1>:{gpus}", self.gres)
