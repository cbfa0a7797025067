"""Ray as a cluster for chains of jobs: one task for each chain."""

import importlib.util
import math
import os
import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.exceptions import MachineError, PackageMissing
from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.options import ExecutorOptions, options_of
from sft.experiments.executors.protocol import Request, to_stderr
from sft.experiments.executors.ray.connection import Connection, Lost, Refused
from sft.experiments.executors.ray.ends import first_line, seen_of
from sft.experiments.executors.ray.options import RayOptions
from sft.processes.cpus import usable_cpus

START_SECONDS, CONNECT_SECONDS = 120.0, 60.0
ANSWER_SECONDS = 60.0
PROBE_SECONDS = 5.0
AUTHENTICATION = "AuthenticationError"
ADDRESS = "RAY_ADDRESS"
INSTALL = "pip install 'sft-grid[ray]'"


class RayCluster:
    """A cluster that is there, or one of its own on this machine."""

    name = "ray"
    look_seconds = 2.0
    outlives_runner = False

    def __init__(self, options: RayOptions, jobs: int | None) -> None:
        """Nothing is started yet.

        Args:
            options: what the user chose.
            jobs: how many may run at the same time, where the user says.
        """
        self._options = options
        self._address = None if options.address == "local" else options.address
        self.places: Mapping[str, str] | None = None if self._address is None else {"address": self._address}
        self.threads = options.cpus_per_task
        self.at_once = options.at_once(jobs)
        self._gpus = None if options.gpus is None else math.ceil(options.gpus)
        self._connection: Connection | None = None
        self._names: dict[str, str] = {}

    @property
    def gpus(self) -> int:
        """The most GPUs that a job can be given; where the user does not say, the cluster is asked."""
        if self._gpus is None:  # asked for again and again while a grid runs
            self._gpus = int(max((node.get("GPU", 0) for node in self._nodes()), default=0))
        return self._gpus

    def check(self, requests: Collection[Request]) -> None:
        """Connect, and see whether some node has what each asks for."""
        nodes = self._nodes()
        if self._options.autoscaling:
            return
        for request in sorted(requests, key=lambda request: -request.gpus):
            asked = self._resources(request)
            if not any(all(node.get(name, 0) >= number for name, number in asked.items()) for node in nodes):
                has = "; ".join(sorted({_shown(node) for node in nodes})) or "nothing"
                raise MachineError(
                    f"no node of the Ray cluster has what a job asks for: {_shown(asked)}; the nodes have: {has}. "
                    "Set the executor options cpus_per_task, gpus or memory, or autoscaling=true where the cluster "
                    "starts further nodes"
                )

    def submit(self, name: str, command: Sequence[str], log: Path, request: Request, grace: float) -> str:
        """Start a task."""
        asked = self._resources(request)
        told = {"name": name, "command": list(command), "log": str(log.absolute()), "grace": grace}
        resources = {"cpus": asked["CPU"], "gpus": asked.get("GPU", 0), "memory": self._options.memory_bytes}
        identity = str(self._ask("submit", {**told, **resources}))
        self._names[name] = identity
        return identity

    def find(self, name: str) -> str | None:
        """Among the tasks of this run, because those of others have ended with them."""
        return self._names.get(name)

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        """One question for all."""
        told = self._ask("look", {"ids": list(ids)})
        return {identity: seen_of(end) for identity, end in told.items()}

    def cancel(self, ids: Collection[str]) -> None:
        """Have Ray interrupt them: SIGTERM to the chain, SIGKILL to all its processes after the grace."""
        if self._connection is not None and not self._connection.is_lost:  # a lost cluster has ended them
            self._ask("cancel", {"ids": list(ids)})

    def close(self) -> None:
        """End all that still runs, and the cluster where it is its own."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # asking

    def _nodes(self) -> list[dict[str, float]]:
        if self._connection is None:
            self._connect()
        nodes: list[dict[str, float]] = self._ask("nodes", {})
        return nodes

    def _ask(self, what: str, told: dict[str, Any]) -> Any:
        if self._connection is None:
            raise RuntimeError("the Ray cluster was not checked before")
        try:
            return self._connection.ask(what, told, ANSWER_SECONDS)
        except Refused as error:
            if not {"RayError", "OSError"}.intersection(error.names):
                raise RuntimeError(f"Ray could not be asked to {what}:\n{error.trace}") from None
            raise MachineError(f"Ray: {first_line(str(error))}") from None
        except Lost as error:
            raise MachineError(
                f"the Ray cluster was lost ({error}); finished results are safe, and the same command goes on"
            ) from None

    def _connect(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise PackageMissing("ray", "--executor ray", INSTALL)
        if self._address is not None:
            _require_answer(self._address)
        connection = Connection(self._address is None)
        told = {"address": self._address, "cpus": usable_cpus(), "folder": connection.folder}
        try:
            connection.ask("start", told, START_SECONDS if self._address is None else CONNECT_SECONDS)
        except (Refused, Lost) as error:
            connection.close()
            raise MachineError(_why_not(error, self._address)) from None
        self._connection = connection

    def _resources(self, request: Request) -> dict[str, float]:
        """What a task asks for, in Ray's words."""
        asked: dict[str, float] = {"CPU": self._options.cpus_per_task}
        if request.alone:
            asked["CPU"] = max([asked["CPU"], *(node.get("CPU", 0) for node in self._nodes())])
        part = self._options.gpus
        if request.gpus:
            is_part = part is not None and part < 1 and request.gpus == 1 and not request.own_gpus
            asked["GPU"] = part if part is not None and is_part else request.gpus
        if self._options.memory_bytes is not None:
            asked["memory"] = self._options.memory_bytes
        return asked


def _require_answer(address: str) -> None:
    """Ray itself would look for a cluster that is not there for long."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise MachineError(f"there is no Ray cluster at {address}: {error}") from None


def _why_not(error: Refused | Lost, address: str | None) -> str:
    """Why there is no connection, in one line."""
    line = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
    if address is None:
        return f"Ray could not be started on this machine: {line}"
    if isinstance(error, Refused) and AUTHENTICATION in (*error.names, *re.findall(r"\w+", error.cause)):
        return (
            f"the Ray cluster at {address} refused the token: give the cluster's in RAY_AUTH_TOKEN, or in the file "
            "that RAY_AUTH_TOKEN_PATH names, with RAY_AUTH_MODE=token"
        )
    if isinstance(error, Refused) and "ConnectionError" in error.names:
        return f"there is no Ray cluster at {address}: {line}"
    return f"Ray at {address}: {line}"


def _shown(resources: Mapping[str, float]) -> str:
    """CPUs, GPUs and memory, as a user writes them."""
    parts = [f"{resources.get('CPU', 0):g} CPU"]
    if resources.get("GPU"):
        parts.append(f"{resources['GPU']:g} GPU")
    if "memory" in resources:
        parts.append(f"{resources['memory'] / 1024**3:.1f}G memory")
    return ", ".join(parts)


class RayExecutor(ChainExecutor):
    """Runs jobs as chains in tasks of Ray."""

    def __init__(self, options: ExecutorOptions | None = None, say: Callable[[str], None] = to_stderr) -> None:
        """Nothing is asked or started yet.

        Args:
            options: what the user chose.
            say: called with a line for the user.

        Raises:
            UserError: an option of Ray is none.
        """
        chosen = options or ExecutorOptions()
        of_environment = {"address": os.environ[ADDRESS]} if os.environ.get(ADDRESS) else {}
        of_ray = options_of(RayOptions, {**of_environment, **chosen.executor_options})
        super().__init__(RayCluster(of_ray, chosen.jobs), chosen, say)
