"""What OpenMP's waiting threads cost on an idle machine and beside a busy core, by the variables that govern them.

Each setting is a process of its own, because OpenMP reads its variables once, when it is loaded. The processes work by
turns on the same steps; the others sleep meanwhile.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.commands import DEMO
from benchmarks.report import Figure

SETTINGS = {
    "as OpenMP comes": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
}
LOADS = {"nothing beside": 0, "one busy core beside": 1}
THREADS = 2
ROUNDS = 5
WORK = """
import json, sys, time
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
generator = torch.Generator().manual_seed(0)
ids = torch.randint(0, 40_000, (8, 64), generator=generator)
def score():
    with torch.inference_mode():
        model(input_ids=ids, logits_to_keep=4)
def decode():
    with torch.inference_mode():
        for _ in range(8):
            model(input_ids=ids[:1, :1])
def train():
    model.zero_grad()
    model(input_ids=ids[:2], labels=ids[:2]).loss.backward()
steps = {"score": score, "decode": decode, "train": train}
for step in steps.values():
    step()
print("ready", flush=True)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    steps[line.strip()]()
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""
STEPS = {
    "score": "a pass over 8 x 64 tokens",
    "decode": "8 passes over 1 token",
    "train": "a training step on 2 x 64 tokens",
}


def figures(_folder: Path) -> Iterator[Figure]:
    """Median seconds of each kind of step, every setting in its turn."""
    with _workers() as workers:
        for load, n_busy in LOADS.items():
            took: dict[tuple[str, str], list[list[float]]] = {}
            with _busy(n_busy):
                for _ in range(ROUNDS):
                    for step in STEPS:
                        for name, worker in workers.items():
                            took.setdefault((step, name), []).append(_ask(worker, step))
            for (step, name), times in took.items():
                wall, cpu = (median(column) for column in zip(*times, strict=True))
                note = f"{cpu:.3f} s on the CPU, {THREADS} threads, median of {ROUNDS}"
                yield Figure(f"{load}: {STEPS[step]}, {name}", wall, "s", note)


@contextmanager
def _workers() -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    workers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WORK, str(DEMO / "SmolLM2-135M-Instruct")],
            env=environment | variables | {"OMP_NUM_THREADS": str(THREADS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, variables in SETTINGS.items()
    }
    try:
        for worker in workers.values():
            if worker.stdout is None or worker.stdout.readline().strip() != "ready":
                raise RuntimeError("a worker of the benchmark did not start")
        yield workers
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


def _ask(worker: "subprocess.Popen[str]", step: str) -> list[float]:
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("a worker of the benchmark has no pipes")
    worker.stdin.write(f"{step}\n")
    worker.stdin.flush()
    wall, cpu = json.loads(worker.stdout.readline())
    return [wall, cpu]


@contextmanager
def _busy(n_processes: int) -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_processes)]
    try:
        time.sleep(0.5 if busy else 0)
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
