"""A Slurm of one node on this machine, of Debian's packages, as root and without systemd; in a folder of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
SECONDS = 30.0

CONFIG = """\
ClusterName=sft
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={next_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
ReturnToService=2
KillWait=5
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES DefMemPerCPU=1000 MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What a machine lacks for a Slurm of its own."""
    return [name for name in PROGRAMS if shutil.which(name) is None] + ([] if os.geteuid() == 0 else ["root"])


@contextlib.contextmanager
def slurm(folder: Path, port: int) -> Iterator[dict[str, str]]:
    """Start it, and end it with the block; gives the variables that its commands need.

    Args:
        folder: empty; everything of it lies there.
        port: of the controller; the node has the next one.
    """
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, port=port, next_port=port + 1))
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    places = {f"--{name}-file": folder / f"munge.{name}" for name in ("pid", "log", "seed")}
    words = [f"{option}={place}" for option, place in places.items()]
    _run(["munged", f"--key-file={key}", f"--socket={folder}/munge.sock", *words], environment)
    try:
        _run(["slurmctld", "-c"], environment)
        _run(["slurmd", "-N", "localhost"], environment)
        _await_idle(environment)
        yield environment
    finally:
        for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            _end(folder / name)


def _run(command: list[str], environment: dict[str, str]) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SFT_")}
    ended = subprocess.run(command, env=own | environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]}: {ended.stderr or ended.stdout}")
    return ended.stdout


def _await_idle(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + SECONDS
    while _run(["sinfo", "--noheader", "--format=%T"], environment).strip() != "idle":
        if time.monotonic() > deadline:
            raise RuntimeError("the node of Slurm did not become idle")
        time.sleep(0.05)


def _end(file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        pid = int(file.read_text("utf-8"))
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
