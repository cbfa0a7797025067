"""What a user may say of the Ray tasks of a run: `--executor-option NAME=VALUE`."""

import re

from pydantic import Field, ValidationInfo, field_validator

from sft.experiments.executors.chains.options import ClusterOptions

SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
POWERS = {letter: 1024**power for power, letter in enumerate(("", "K", "M", "G", "T"))}


class RayOptions(ClusterOptions):
    """Options of the executor `ray`."""

    address: str | None = None
    """Of a cluster that this machine is a node of, as HOST:PORT, or auto; local for one of its own on this machine,
    which ends with the run; default RAY_ADDRESS, else local."""

    gpus: float | None = Field(default=None, ge=0)
    """GPUs of a job with a model: a part such as 0.5, or the most that one job can be given; default those of the node
    that has most, of which a job gets one unless it asks for more."""

    memory: str | None = None
    """Memory that a job takes of its node, such as 16G: places are counted by it, nothing is limited."""

    autoscaling: bool = False
    """Whether the cluster starts further nodes: a job that no node has room for then waits, and is not refused. Needs
    `gpus`, as the nodes that are there say nothing of later ones."""

    @field_validator("address")
    @classmethod
    def _has_no_scheme(cls, address: str | None) -> str | None:
        if address is not None and "://" in address:
            raise ValueError("Ray's client is not used; run on a node of the cluster, with HOST:PORT or auto")
        if address is not None and address not in ("auto", "local") and not re.fullmatch(r".+:\d+", address):
            raise ValueError("write HOST:PORT, auto or local")
        return address

    @field_validator("gpus")
    @classmethod
    def _is_a_part_or_whole(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError("more than one GPU is a whole number")
        return gpus

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, memory: str | None) -> str | None:
        if memory is not None and SIZE.fullmatch(memory) is None:
            raise ValueError("write a number of bytes, or one with K, M, G or T")
        return memory

    @field_validator("autoscaling")
    @classmethod
    def _is_with_gpus(cls, autoscaling: bool, known: ValidationInfo) -> bool:
        if autoscaling and known.data.get("gpus") is None:
            raise ValueError("set gpus too, because the nodes that are there say nothing of later ones")
        return autoscaling

    @property
    def memory_bytes(self) -> int | None:
        """`memory` in bytes."""
        found = None if self.memory is None else SIZE.fullmatch(self.memory)
        return None if found is None else int(float(found[1]) * POWERS[found[2].upper()])
