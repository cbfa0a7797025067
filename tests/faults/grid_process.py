"""`python grid_process.py RESULTS SPEC.json`: runs stub jobs as `sft run-experiments` does, in a process of its own.

Tests start it, send it signals or kill it, and look at what it left. The spec is JSON: `experiments` (name -> jobs in
the order of their stages, each `{stage, key, config}`), `settings` (of `RunSettings`; the executor `processes` is a
cluster of processes), `around` (of `Surroundings`), `machine`, `ladder` (steps that a stage can need less memory by),
`board` (the program, in Python, that refreshes it).
"""

import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sft.cli.run_commands import close
from sft.exceptions import SftError
from sft.experiments.executors import make_executor
from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.executors.local.leases import Machine
from sft.experiments.running.board_refresh import GuardedBoard, StartBoard
from sft.experiments.running.log_files import LogSize
from sft.experiments.running.recovery import sweep
from sft.experiments.running.run_plan import RunOutcome
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.pipeline.jobs import PlannedJob
from sft.processes.memory import memory_limit, oom_counter
from sft.runs.events import EventLog
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import locked
from sft.runs.records import JobRecord, StatusRecord, read_status
from sft.terminal.live.lines import display_for
from sft.terminal.streams import steady_streams, write_err

QUICK: dict[str, Any] = {"tick_seconds": 0.05, "backoff_seconds": 0.05, "board_seconds": 0.0}
PATIENCE = 180.0


def main() -> None:
    results = ResultsFolder(Path(sys.argv[1]).resolve())
    spec = json.loads(Path(sys.argv[2]).read_text("utf-8"))
    if "barrier" in spec:
        _meet(Path(spec["barrier"]))
    try:
        with locked(results):
            outcome = _run(results, spec)
    except SftError as error:
        write_err(f"{error}\n")
        sys.exit(error.exit_code)
    close(outcome, results, "sft again")


def _meet(folder: Path) -> None:
    """Wait until the test says go, so that several runners start at the same moment."""
    (folder / f"here-{os.getpid()}").touch()
    deadline = time.monotonic() + PATIENCE
    while not (folder / "go").exists() and time.monotonic() < deadline:
        pass  # a sleep would spread them


def _run(results: ResultsFolder, spec: dict[str, Any]) -> RunOutcome:
    experiments = {name: planned(results, name, jobs) for name, jobs in spec["experiments"].items()}
    settings = RunSettings(**spec.get("settings", {}))
    display = display_for()
    work = workload(experiments)
    sweep(results, [job.folder for job in work.needed.values()], display.say)
    executor = _executor(results, spec, settings, list(work.needed.values()))
    began = time.monotonic()
    summary = Runner(results, executor, display, _board(spec), settings, _around(spec)).run(work)
    ends = {name: jobs[-1].folder for name, jobs in experiments.items()}
    statuses = {name: summary.failed[end.path] for name, end in ends.items() if end.path in summary.failed}
    return RunOutcome(summary, ends, statuses, work, time.monotonic() - began)


def _executor(results: ResultsFolder, spec: dict[str, Any], settings: RunSettings, jobs: list[PlannedJob]) -> Any:
    say = display_for().say
    if settings.executor in (None, "local"):
        return LocalExecutor(settings, say, _machine(spec))
    if settings.executor == "processes":
        sys.path.append(str(Path(__file__).resolve().parents[2]))  # this file is run by its path
        from tests.support.process_cluster import process_executor

        made = process_executor(results.path.parent / "submitted.jsonl", settings, say)
    else:
        made = make_executor(settings, say)
    made.expect(jobs)
    return made


def planned(results: ResultsFolder, name: str, jobs: Sequence[dict[str, Any]]) -> list[PlannedJob]:
    """The jobs of an experiment, each of which needs all before it, or those whose keys its `needs` lists."""
    made: list[PlannedJob] = []
    for job in jobs:
        folder = folder_of(results, job)
        record = JobRecord(job["stage"], job["key"], name, job["config"], str(results.path), {})
        needed = [item for item in made if item.record.key in job.get("needs", [item.record.key])]
        made.append(PlannedJob(folder, record, tuple(item.folder.path for item in needed)))
    return made


def folder_of(results: ResultsFolder, job: dict[str, Any]) -> JobFolder:
    is_experiment = job["stage"] == "evaluate"
    return JobFolder(results.experiments / job["key"]) if is_experiment else results.stage(job["stage"], job["key"])


def _board(spec: dict[str, Any]) -> StartBoard:
    return lambda: GuardedBoard([sys.executable, "-c", spec["board"]]) if "board" in spec else None


def _around(spec: dict[str, Any]) -> Surroundings:
    given = dict(spec.get("around", {}))
    if "log_size" in given:
        given["log_size"] = LogSize(*given["log_size"])
    ladder = spec.get("ladder", 0)
    return Surroundings(has_memory_step=lambda _record, step: step <= ladder, **(QUICK | given))


def _machine(spec: dict[str, Any]) -> Machine:
    given = {"cores": tuple(sorted(os.sched_getaffinity(0))), "n_cores": 2, "jobs": 1} | spec.get("machine", {})
    counter = Path(given.pop("oom_counter")) if "oom_counter" in given else oom_counter()
    shared = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Machine(oom_counter=counter, memory_limit=memory_limit(), **shared)


class Grid:
    """What a test says and sees of one results folder."""

    def __init__(self, folder: Path, config: Callable[..., dict[str, Any]]) -> None:
        self._folder = folder
        self._config = config
        self._started = 0
        self._processes: list[Any] = []
        self.results = ResultsFolder(folder / "results")
        self.experiments: dict[str, list[dict[str, Any]]] = {}
        self.spec: dict[str, Any] = {}

    def add(self, name: str, do: str = "succeed", *, stages: Sequence[str] = ("infer",), **options: Any) -> JobFolder:
        """An experiment whose first stage does this, and whose others succeed; the folder of the first."""
        jobs = [{"stage": stage, "key": f"{name}-{stage}", "config": self._config("succeed")} for stage in stages]
        jobs[0]["config"] = self._config(do, **options)
        self.experiments[name] = jobs
        return folder_of(self.results, jobs[0])

    def folder(self, name: str, stage: int = -1) -> JobFolder:
        """The folder of a stage of an experiment."""
        return folder_of(self.results, self.experiments[name][stage])

    def status(self, name: str, stage: int = -1) -> StatusRecord:
        found = read_status(self.folder(name, stage).status)
        assert found is not None, name
        return found

    def states(self) -> dict[str, str | None]:
        """Experiment -> state of its goal."""
        found = {name: read_status(self.folder(name).status) for name in self.experiments}
        return {name: None if status is None else status.state for name, status in found.items()}

    def events(self) -> list[tuple[str, str]]:
        """Folder name and state, in order."""
        return [(Path(event.job).name, event.state) for event in EventLog(self.results.events).read().events]

    def start(
        self,
        *,
        output: Any = None,
        terminal: int | None = None,
        environment: Any = None,
        below: Sequence[str] = (),
        **settings: Any,
    ) -> Any:
        """Start the runner in a process group of its own; what it writes is in `output()`.

        Args:
            output: a descriptor that it writes to instead.
            terminal: the same, a terminal that becomes its own: in a session of its own, it is told when it closes.
            environment: further variables.
            below: the words of a command that starts it.
            settings: of the run.
        """
        self._started += 1
        spec = self._folder / f"spec-{self._started}.json"
        spec.write_text(json.dumps(self.spec | {"experiments": self.experiments, "settings": settings}))
        with (self._folder / f"run-{self._started}.log").open("wb") as log:
            written_to = next((place for place in (terminal, output) if place is not None), log)
            own_terminal = terminal if terminal is None else lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            process = subprocess.Popen(
                [*below, sys.executable, __file__, str(self.results.path), str(spec)],
                stdin=subprocess.DEVNULL,
                stdout=written_to,
                stderr=written_to,
                env=os.environ | (environment or {}),
                start_new_session=True,
                preexec_fn=own_terminal,
            )
        self._processes.append(process)
        return process

    def output(self, number: int | None = None) -> str:
        """What a run wrote, the last one if none is named."""
        return (self._folder / f"run-{number or self._started}.log").read_text("utf-8", "replace")

    def run(self, *, environment: dict[str, str] | None = None, **settings: Any) -> int:
        """Run to the end; the exit code."""
        return int(self.start(environment=environment, **settings).wait(PATIENCE))

    def close(self) -> None:
        """Kill the runners that a test left; nothing of them survives that."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    with steady_streams():
        main()
