"""What a user may say of the Slurm jobs of a run: `--executor-option NAME=VALUE`."""

import re

from pydantic import field_validator

from sft.experiments.executors.chains.options import ClusterOptions

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?", re.ASCII)
_ENDLESS = ("infinite", "unlimited")
_MEMORY = re.compile(r"\d+(?:[KMGT]B?)?", re.ASCII | re.IGNORECASE)
TIMES = (
    "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds, or "
    "unlimited"
)


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

    @field_validator("time")
    @classmethod
    def _is_time(cls, limit: str | None) -> str | None:
        if limit is not None and _TIME.fullmatch(limit) is None and limit.lower() not in _ENDLESS:
            raise ValueError(f"is no time limit of sbatch; write {TIMES}, such as 90 or 1:30:00")
        return limit

    @field_validator("mem")
    @classmethod
    def _is_memory(cls, memory: str | None) -> str | None:
        if memory is not None and _MEMORY.fullmatch(memory) is None:
            raise ValueError("is no memory of sbatch; write a whole number of K, M, G or T, such as 16G (alone: M)")
        return memory

    @property
    def places(self) -> dict[str, str]:
        """Those that decide on which nodes jobs run, and how."""
        names = ("partition", "qos", "constraint", "gres", "prefix", "setup")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def gpus(self) -> int:
        """GPUs that `gres` names."""
        return sum(int(words[-1]) if words[-1].isdecimal() else 1 for words in self._resources if words[0] == "gpu")

    def gres_for(self, gpus: int) -> str | None:
        """`gres` of a job that asks for so many GPUs; None where it asks for nothing."""
        if gpus == 0 or not self._resources:
            return None
        kinds = [[*(words[:-1] if words[-1].isdecimal() else words), str(gpus)] for words in self._resources]
        written = [kind if words[0] == "gpu" else words for words, kind in zip(self._resources, kinds, strict=True)]
        return ",".join(":".join(words) for words in written)

    @property
    def _resources(self) -> list[list[str]]:
        """`gres` as the words of each of its parts."""
        return [part.split(":") for part in (self.gres or "").split(",") if part]


def seconds_of(limit: str) -> float | None:
    """A time limit as Slurm writes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours and so on.

    None for one that is none, such as `infinite` or, as Slurm has it, 0, or that is not understood.
    """
    found = _TIME.fullmatch(limit.strip())
    if found is None:
        return None
    first, second, third = (int(found[name] or 0) for name in ("first", "second", "third"))
    if found["days"] is not None:  # with days the first number is of hours
        seconds = ((int(found["days"]) * 24 + first) * 60 + second) * 60.0 + third
    elif found["third"] is not None:
        seconds = (first * 60 + second) * 60.0 + third
    else:
        seconds = first * 60.0 + second
    return seconds or None
