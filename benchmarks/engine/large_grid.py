"""A run in a folder of 10,000 finished experiments: what a signal waits for while the board is written, and the start.

CPU seconds of the runner, as the machine may be busy. The stages are stubs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.reporting.board_10000 import make
from sft.experiments.running.bookkeeping import Ledger
from sft.experiments.running.log_files import mask_log
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings, masking
from sft.pipeline.jobs import PlannedJob
from sft.processes.fault_injection import VARIABLE
from sft.runs.atomic import write_json
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, JobRecord, StatusRecord, write_record
from sft.terminal.live.lines import LineDisplay

COUNT, N_ROWS = 10_000, 200
BOARD_CPU_SECONDS = 2.0
"""Of the board when the signal is sent: it is in its midst."""
PATIENCE = 600.0
MIB = 1 << 20
PROGRAM = Path(__file__).with_name("large_grid_run.py")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def figures(folder: Path) -> Iterator[Figure]:
    """The signal, earlier failures, a long log."""
    yield from _signal(folder)
    yield Figure(f"taking {COUNT:,} earlier failures", _earlier_failures(folder / "failed"), "CPU s")
    yield Figure("masking a log of 20 MB with a URL in each line", _masking(folder / "log"), "CPU s")


def _signal(folder: Path) -> Iterator[Figure]:
    results = ResultsFolder(folder / "results")
    make(results, COUNT, N_ROWS)
    waiting = results.stage("infer", "waiting").path
    runner = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(results.path)],
        env=os.environ | {VARIABLE: json.dumps({"stage": f"{PROGRAM}:stage"})},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for((waiting / "started").exists)
        began = _board_cpu(runner.pid)
        _wait_for(lambda: _board_cpu(runner.pid) - began > BOARD_CPU_SECONDS)
        memory = max(map(_peak_bytes, _boards(runner.pid)))
        before = _cpu(runner.pid)
        runner.send_signal(signal.SIGTERM)
        _wait_for((waiting / "signalled").exists)
        spent = _cpu(runner.pid) - before
    finally:
        runner.wait()
    note = "CPU seconds of the runner from SIGTERM to the job's answer"
    yield Figure(f"SIGTERM while the board of {COUNT:,} is written", spent, "CPU s", note)
    yield Figure("memory of the process that writes the board, so far", memory / MIB, "MiB")


def _earlier_failures(path: Path) -> float:
    results, error = ResultsFolder(path), ErrorRecord("exception", "it broke")
    status = StatusRecord("failed", "infer", attempt=1, error=error)
    experiments = {}
    for number in range(COUNT):
        record = JobRecord("infer", f"{number}", f"e{number}", {}, "", {})
        job = PlannedJob(results.stage("infer", record.key), record, ())
        write_json(job.folder.job, {}, durable=False)
        write_record(job.folder.status, status)
        experiments[record.name] = [job]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        ledger = Ledger(results, LineDisplay(nowhere), RunSettings(), Surroundings(), lambda: None)
        began = time.process_time()
        ledger.begin(workload(experiments))
        return time.process_time() - began


def _masking(log: Path) -> float:
    line = "GET https://hub.example/api/models/{} of hf_hub\n"
    log.write_text("".join(line.format(number) for number in range(400_000)))
    began = time.process_time()
    mask_log(log, masking({"HF_TOKEN": "hf_" + "a" * 30}))
    return time.process_time() - began


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the run did not get so far")
        time.sleep(0.01)


def _boards(runner: int) -> list[int]:
    """The processes that write the board; where there is none, the runner does."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and b"\0sft.reporting.refresh\0" in _read(entry / "cmdline"):
            found.append(int(entry.name))
    return found or [runner]


def _board_cpu(runner: int) -> float:
    return sum(map(_cpu, _boards(runner)))


def _cpu(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND if fields else 0.0


def _peak_bytes(pid: int) -> int:
    found = re.search(rb"VmHWM:\s*(\d+) kB", _read(Path(f"/proc/{pid}/status")))
    return int(found[1]) * 1024 if found else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
