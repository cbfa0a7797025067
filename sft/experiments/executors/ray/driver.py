"""`python -m sft.experiments.executors.ray.driver SOCKET`: asks Ray for a run, in a process of its own.

Ray's library takes over signals, starts threads, and ends the process that uses it when a cluster is lost; none of
that may happen to a runner. One line of JSON with a question comes in, one with the answer goes out.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from sft.experiments.executors import guard
from sft.experiments.executors.ray import task
from sft.processes.signals import STOP_SIGNALS

STORE_BYTES = 80_000_000
"""For objects of Ray, of which there are none: the least that it takes."""
FORCE_SECONDS = 5.0
"""After the grace of a task that was cancelled, until Ray kills the process that runs it."""
LEAVE_SECONDS = 3.0

Answers = Mapping[str, Callable[[Any], Any]]


class Driver:
    """Tasks of one run."""

    def __init__(self) -> None:
        self._tasks: dict[str, Any] = {}
        """Those that have not been seen to end, by id."""
        self._graces: dict[str, float] = {}
        self._force_at: dict[str, float] = {}
        self._ends: dict[str, dict[str, Any]] = {}
        self._remote: Any = None

    @property
    def answers(self) -> Answers:
        """What can be asked, by name."""
        return {
            "start": self.start,
            "nodes": lambda _: self.nodes(),
            "submit": self.submit,
            "look": self.look,
            "cancel": self.cancel,
            "leave": lambda _: self.leave(),
        }

    def start(self, told: Mapping[str, Any]) -> None:
        """Connect to the cluster at an address, or start one."""
        # What Ray starts inherits what is ignored here, and it cancels by SIGINT.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import ray

        where = {"address": told["address"]}
        if told["address"] is None:
            where = {
                "address": "local",
                "num_cpus": told["cpus"],
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": told["folder"],
            }
        ray.init(**where, configure_logging=False, log_to_driver=False)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        ray.cloudpickle.register_pickle_by_value(task)
        self._remote = ray.remote(max_calls=1, max_retries=0)(task.run_guarded)

    def nodes(self) -> list[dict[str, float]]:
        """What each living node has, in Ray's words."""
        import ray

        return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]

    def submit(self, told: Mapping[str, Any]) -> str:
        """Start a task; its id."""
        words = [sys.executable, "-I", "-S", guard.__file__, "", *told["command"]]
        variables = {name: value for name, value in os.environ.items() if not name.startswith(task.OF_A_NODE)}
        options = self._remote.options(
            name=told["name"], num_cpus=told["cpus"], num_gpus=told["gpus"], memory=told["memory"]
        )
        sees_gpus = told["gpus"] > 0
        found = options.remote(words, variables, told["log"], told["grace"], guard.STOP, sees_gpus)
        identity = str(found.task_id().hex())
        self._tasks[identity] = found
        self._graces[identity] = told["grace"]
        return identity

    def look(self, told: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
        """How tasks ended, None of those that have not; ends that are not asked for any more are forgotten."""
        import ray

        refs = {ref: identity for identity, ref in self._tasks.items()}
        ended = ray.wait(list(refs), num_returns=len(refs), timeout=0)[0] if refs else []
        for ref in ended:
            self._ends[refs[ref]] = _end_of(ref)
            del self._tasks[refs[ref]]
        asked = set(told["ids"])
        self._ends = {identity: end for identity, end in self._ends.items() if identity in asked}
        return {**self._ends, **dict.fromkeys(asked.intersection(self._tasks))}

    def cancel(self, told: Mapping[str, Any]) -> None:
        """Have tasks end; where one was asked before, and has not, with force."""
        import ray

        now = time.monotonic()
        for identity in told["ids"]:
            if identity in self._tasks:
                force_at = self._force_at.setdefault(identity, now + self._graces[identity] + FORCE_SECONDS)
                ray.cancel(self._tasks[identity], force=now >= force_at)

    def leave(self) -> None:
        """Let go of the cluster; what still runs is killed."""
        import ray

        for ref in self._tasks.values():
            ray.cancel(ref, force=True)
        if self._tasks:
            ray.wait(list(self._tasks.values()), num_returns=len(self._tasks), timeout=LEAVE_SECONDS)
        ray.shutdown()


def _end_of(ref: Any) -> dict[str, Any]:
    import ray

    try:
        return {"code": ray.get(ref)}
    except ray.exceptions.RayTaskError as error:
        return _told(error.cause)
    except ray.exceptions.RayError as error:
        return _told(error)


def _told(error: BaseException) -> dict[str, Any]:
    names = [kind.__name__ for kind in type(error).__mro__]
    return {"error": names, "text": str(error), "cause": str(error.__cause__ or error.__context__ or "")}


def main(arguments: list[str]) -> int:
    """Answer questions until the other end closes.

    Without a farewell the runner has died, and this process ends as if it were killed: a driver of Ray that leaves by
    itself gives back the places of its tasks while they run.
    """
    guard.end_with_parent(int(os.environ.pop(guard.GUARD_PID)))
    answers = Driver().answers
    with socket.socket(fileno=int(arguments[0])) as runner, runner.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            what, told = json.loads(line)
            try:
                reply = {"answer": answers[what](told)}
            except Exception as error:  # noqa: BLE001  the runner says what it means
                reply = {**_told(error), "trace": traceback.format_exc()}
            lines.write(f"{json.dumps(reply)}\n")
            lines.flush()
            if what == "leave":
                return 0
    os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
