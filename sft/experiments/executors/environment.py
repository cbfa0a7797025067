"""The environment variables of a worker: places that do not depend on where it runs, and its share of the machine."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sft.experiments.executors.protocol import Lease
from sft.processes.cpus import usable_cpus
from sft.processes.isolation import isolated
from sft.processes.visible_gpus import VISIBLE_GPUS
from sft.tracking.mlflow.store import STORE, absolute_store

PLACES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_DATASETS_CACHE",
    "HF_ASSETS_CACHE",
    "HF_MODULES_CACHE",
    "HF_TOKEN_PATH",
    "HUGGINGFACE_HUB_CACHE",
    "TRANSFORMERS_CACHE",
    "XDG_CACHE_HOME",
    "TORCH_HOME",
    "TMPDIR",
    "TENSORBOARD_LOGGING_DIR",
    "WANDB_DIR",
)
"""Paths that a worker would otherwise look for in its own folder when they are relative."""

THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

FIXED = {
    # Its threads would come on top of torch's and make the order of sums depend on the machine.
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    # Asking whether there is a GPU must not start CUDA: a process that did cannot be forked.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # The order that the driver's tools number GPUs in; CUDA's own begins with the fastest.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    # BLEURT's TensorFlow would else take all memory of a GPU that it may share.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


def worker_environment(base: Mapping[str, str], folder: Path, lease: Lease) -> dict[str, str]:
    """The variables of a worker.

    Args:
        base: those of the runner; what would decide what a stage computes is left out.
        folder: the runner's working folder, which relative paths are resolved against.
        lease: the worker's share of the machine; where it leaves the threads open, the environment decides, and
            where that is silent, each usable CPU gets one.
    """
    environment = isolated(base) | FIXED
    for name in PLACES:
        value = environment.get(name)
        if value and not value.startswith("~"):
            environment[name] = str(folder / value)
    if environment.get(STORE):
        environment[STORE] = absolute_store(environment[STORE], folder)
    # A worker imports from the working folder last, wherever that is written.
    written = [folder / entry for entry in base.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environment["PYTHONPATH"] = os.pathsep.join(str(place) for place in written if place != folder)
    usable = usable_cpus()
    threads = lease.threads or base.get(THREAD_COUNTS[0]) or min(len(lease.cores) or usable, usable)
    environment |= {name: str(threads) for name in THREAD_COUNTS}
    if not any(name in environment for name in WAITING):
        # Threads that wait for each other in a loop take the core of the thread they wait for where the machine has
        # other work: benchmarks/README.md has the times of both.
        environment["OMP_WAIT_POLICY"] = "passive"
    if lease.gpus is not None:
        environment[VISIBLE_GPUS] = ",".join(lease.gpus)
    return environment


def server_environment(base: Mapping[str, str], folder: Path, gpus: Sequence[str] | None) -> dict[str, str]:
    """The variables of the server of warm starts, which forks for jobs with any GPU of the machine and with none.

    Args:
        base: those of the runner.
        folder: the runner's working folder.
        gpus: all that jobs are given; None where they are not managed.
    """
    environment = worker_environment(base, folder, Lease(threads=1, gpus=None if gpus is None else ()))
    if gpus:
        # The name of a part of a GPU would make torch start CUDA when it is asked whether there is a GPU.
        del environment[VISIBLE_GPUS]
    return environment
