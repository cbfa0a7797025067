"""A stage that does what `record.config["stub"]["do"]` says; runs in place of every stage (`SFT_TEST_FAULTS`).

It tells how far it is by marker files in the job folder and waits for the marker `go`, so that tests need no sleeps.
"""

import contextlib
import faulthandler
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sft.exceptions import LoadingOutOfMemory, StageFailure
from sft.processes import signals
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord

if os.environ.get("SFT_TEST_TORCH"):
    import torch  # noqa: F401  the state of a process that has it is reported too

PATIENCE = 60.0
CHILD = "import time; time.sleep(600)"


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


class Work:
    """One run of the stub."""

    def __init__(self, job: JobFolder, record: JobRecord, progress: Progress) -> None:
        self.job = job
        self.record = record
        self.progress = progress
        self.said: dict[str, Any] = record.config.get("stub", {})

    def mark(self, name: str, text: object = "") -> None:
        """Write a marker at once."""
        path = self.job.path / f"marker-{name}"
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(str(text))
        temporary.replace(path)

    def wait(self) -> None:
        """Until the marker `go` is there."""
        deadline = time.monotonic() + self.said.get("seconds", PATIENCE)
        while not (self.job.path / "marker-go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def finish(self) -> None:
        """Write what the stage is to make, and the manifest."""
        job = self.job
        wanted = job.metrics if self.record.stage == "evaluate" and self.record.with_metrics else None
        result = wanted or job.path / "result.json"
        write_json(result, {"id": self.record.key, "results": {"accuracy": 0.5}, "stub": self.said})
        self.progress(1, 1)
        write_manifest(job, [result])


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """The stage."""
    work = Work(job, record, progress)
    work.mark("started", os.getpid())
    ACTIONS[work.said.get("do", "succeed")](work)


def _sleep(work: Work) -> None:
    work.wait()
    work.finish()


def _ignore_term(work: Work) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    work.mark("ignoring")
    _sleep(work)


def _save_on_term(work: Work) -> None:
    """As a training does: goes on to the next moment at which its work can be kept."""
    with signals.deferred():
        work.mark("working")
        deadline = time.monotonic() + PATIENCE
        while not signals.stop_requested() and time.monotonic() < deadline:
            time.sleep(0.01)
        work.mark("saved")


def _child(new_session: bool, **streams: Any) -> int:
    return subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=new_session, **streams).pid


def _spawn_setsid_grandchild(work: Work) -> None:
    work.mark("child", _child(False))
    work.mark("grandchild", _child(True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    _sleep(work)


def _keep_log_open(work: Work) -> None:
    """A child with the log as its output outlives the stage."""
    work.mark("grandchild", _child(True))
    work.finish()


def _print_megabytes(work: Work) -> None:
    block = work.said.get("text", "x" * 999 + "\n").encode() * 1000
    for _ in range(work.said.get("megabytes", 50)):
        sys.stdout.buffer.write(block)
        sys.stderr.buffer.write(b"\xff\xfe\n")
    sys.stdout.flush()
    work.mark("printed")
    ACTIONS[work.said.get("then", "succeed")](work)


def _write_relative(work: Work) -> None:
    Path("relative.txt").write_text("x")
    work.mark("place", Path.cwd())
    if "chdir" in work.said:
        os.chdir(work.said["chdir"])
    work.finish()


def _fail_times(work: Work) -> None:
    tries = len(list(work.job.path.glob("marker-try-*"))) + 1
    work.mark(f"try-{tries}")
    if tries <= work.said["times"]:
        raise StageFailure(f"try {tries} fails", kind=work.said.get("kind", "network"))
    work.finish()


def _raise(work: Work) -> None:
    raise StageFailure(work.said.get("message", "no"), kind=work.said.get("kind", "exception"))


def _oom(work: Work) -> None:
    """Until the runner has raised the memory step to `until`."""
    if work.record.memory_step >= work.said.get("until", 99):
        work.finish()
        return
    kinds: dict[str, Exception] = {
        "gpu": OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        "host": MemoryError(),
        "loading": LoadingOutOfMemory("GPU memory ran out while model 'x' was loaded", kind="oom_gpu"),
        "allocator": RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    }
    raise kinds[work.said.get("kind", "gpu")]


def _disk_full(work: Work) -> None:
    """Files of this process may not grow beyond some bytes."""
    size = work.said.get("bytes", 20_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    write_json(work.job.path / "result.json", "x" * 2 * size)
    work.finish()


def _progress_then_hang(work: Work) -> None:
    work.progress(1, 10)
    work.mark("hanging")
    _sleep(work)


def _leak(work: Work) -> None:
    text = work.said.get("text") or os.environ[work.said["variable"]]
    print(f"on stdout: {text}", flush=True)
    raise ValueError(f"refused: {text}")


def _report(work: Work) -> None:
    """What a process passes on without being asked to."""
    write_json(work.job.path / "report.json", report())
    work.finish()


def report() -> dict[str, Any]:
    """The state of this process that could differ from that of another job's."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR2, signal.SIGHUP)
    open_files = {}
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            open_files[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
    return {
        "environment": dict(os.environ),
        "cwd": os.getcwd(),
        "path": sys.path,
        "umask": f"{os.umask(0o022):o}",
        "signals": [_name_of(signal.getsignal(number)) for number in numbers],
        "blocked": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "files": {str(number): place for number, place in sorted(open_files.items())},
        "leads_session": os.getsid(0) == os.getpgid(0) == os.getpid(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "threads": threading.active_count(),
        "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)],
        "draws": _draws(),
        "main": sys.modules["__main__"].__spec__.name,
        **_torch_report(),
    }


def _name_of(handler: Any) -> str:
    return str(getattr(handler, "__name__", handler))


def _draws() -> dict[str, float]:
    """What chance gives: never the same in two processes that did not set a seed."""
    drawn = {"random": random.random()}
    if (numpy := sys.modules.get("numpy")) is not None:
        drawn["numpy"] = float(numpy.random.random())
    if (torch := sys.modules.get("torch")) is not None:
        drawn["torch"] = float(torch.rand(1))
    return drawn


def _torch_report() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    return {
        "torch_threads": torch.get_num_threads(),
        "torch_dtype": str(torch.get_default_dtype()),
        "cuda_started": torch.cuda.is_initialized(),
        "gradients": torch.is_grad_enabled(),
    }


def _spoil(work: Work) -> None:
    """Changes all that a process could pass on to the next."""
    os.environ["SPOILED"] = "yes"
    random.seed(1)
    os.umask(0o077)
    os.chdir("/")
    sys.path.insert(0, "/spoiled")
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(99)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
    work.finish()


ACTIONS: dict[str, Callable[[Work], None]] = {
    "succeed": Work.finish,
    "sleep": _sleep,
    "exit0": lambda _: os._exit(0),
    "exit": lambda work: os._exit(work.said["code"]),
    "segfault": lambda _: faulthandler._sigsegv(),
    "kill_self": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "ignore_term": _ignore_term,
    "save_on_term": _save_on_term,
    "spawn_setsid_grandchild": _spawn_setsid_grandchild,
    "keep_log_open": _keep_log_open,
    "print_megabytes": _print_megabytes,
    "write_relative": _write_relative,
    "fail_times": _fail_times,
    "raise": _raise,
    "oom": _oom,
    "disk_full": _disk_full,
    "progress_then_hang": _progress_then_hang,
    "leak": _leak,
    "report": _report,
    "spoil": _spoil,
}


def config(do: str, **options: Any) -> dict[str, Any]:
    """The config of a job that does this."""
    return {"stub": {"do": do, **options}}


def faults(**more: Any) -> str:
    """The value of `SFT_TEST_FAULTS` under which this stage runs."""
    return json.dumps({"stage": f"{Path(__file__).resolve()}:run", **more})
