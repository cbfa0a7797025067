import os
import sys
from pathlib import Path

import pytest

from sft.experiments.executors.environment import server_environment, worker_environment
from sft.experiments.executors.guarded_process import worker_command
from sft.experiments.executors.protocol import Lease

HERE = Path("/runs/here")


def test_relative_places_are_made_absolute_and_others_stay() -> None:
    base = {"HF_HOME": "cache", "HF_HUB_CACHE": "/abs", "HF_DATASETS_CACHE": "~/data", "TMPDIR": "", "OTHER": "x"}
    made = worker_environment(base, HERE, Lease())
    assert made["HF_HOME"] == "/runs/here/cache"
    assert (made["HF_HUB_CACHE"], made["HF_DATASETS_CACHE"]) == ("/abs", "~/data")
    assert (made["TMPDIR"], made["OTHER"]) == ("", "x")


def test_written_places_of_imports_stay_but_for_the_working_folder() -> None:
    base = {"PYTHONPATH": f"mine{os.pathsep}.{os.pathsep}/abs{os.pathsep}/runs/here{os.pathsep}"}
    assert worker_environment(base, HERE, Lease())["PYTHONPATH"] == f"/runs/here/mine{os.pathsep}/abs"


def test_what_a_launcher_left_reaches_no_worker() -> None:
    base = {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "ACCELERATE_MIXED_PRECISION": "bf16", "OMP_PROC_BIND": "true"}
    assert not base.keys() & worker_environment(base, HERE, Lease()).keys()


@pytest.mark.parametrize("entry", ["", "/"])
def test_a_working_folder_that_is_imported_from_is_one_for_workers(
    monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", [entry, "/lib"])
    assert worker_command("job")[3:] == ["/", "sft.worker", "job"]
    monkeypatch.setattr(sys, "path", ["/lib"])
    assert worker_command("job")[3:] == ["", "sft.worker", "job"]


@pytest.mark.parametrize(
    ("base", "policy"),
    [
        ({}, "passive"),
        ({"OMP_WAIT_POLICY": "active"}, "active"),
        ({"GOMP_SPINCOUNT": "1000"}, None),
        ({"KMP_BLOCKTIME": "200"}, None),
    ],
)
def test_threads_sleep_while_they_wait_unless_told_otherwise(base: dict[str, str], policy: str | None) -> None:
    assert worker_environment(base, HERE, Lease()).get("OMP_WAIT_POLICY") == policy


@pytest.mark.parametrize(
    ("base", "lease", "threads"),
    [
        ({}, Lease(threads=3), "3"),
        ({"OMP_NUM_THREADS": "5"}, Lease(threads=3), "3"),
        ({"OMP_NUM_THREADS": "5"}, Lease(), "5"),
        ({}, Lease(cores=(1, 4)), "2"),
        ({}, Lease(), str(len(os.sched_getaffinity(0)))),
    ],
)
def test_threads_are_always_decided(base: dict[str, str], lease: Lease, threads: str) -> None:
    made = worker_environment(base, HERE, lease)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    assert [made[name] for name in names] == [threads] * 3
    assert (made["OPENBLAS_NUM_THREADS"], made["TOKENIZERS_PARALLELISM"], made["TQDM_DISABLE"]) == ("1", "false", "1")


@pytest.mark.parametrize(
    ("gpus", "visible"), [(None, "2,3"), ((), ""), (("GPU-a",), "GPU-a"), (("GPU-a", "GPU-b"), "GPU-a,GPU-b")]
)
def test_a_lease_of_gpus_names_the_visible_ones(gpus: tuple[str, ...] | None, visible: str) -> None:
    base = {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert worker_environment(base, HERE, Lease(gpus=gpus))["CUDA_VISIBLE_DEVICES"] == visible
    assert base == {"CUDA_VISIBLE_DEVICES": "2,3"}


@pytest.mark.parametrize(
    ("gpus", "visible"), [(("GPU-a",), None), (("MIG-x", "GPU-a"), None), ((), ""), (None, "MIG-y")]
)
def test_the_server_sees_the_gpus_of_all_jobs_and_names_none(
    gpus: tuple[str, ...] | None, visible: str | None
) -> None:
    made = server_environment({"CUDA_VISIBLE_DEVICES": "MIG-y", "OMP_NUM_THREADS": "4"}, HERE, gpus)
    assert made.get("CUDA_VISIBLE_DEVICES") == visible
    job = worker_environment({"CUDA_VISIBLE_DEVICES": "MIG-y"}, HERE, Lease(threads=1, gpus=gpus))
    assert {name: made.get(name) for name in job if name != "CUDA_VISIBLE_DEVICES"} == {
        name: value for name, value in job.items() if name != "CUDA_VISIBLE_DEVICES"
    }


def test_numbers_of_gpus_are_those_of_the_drivers_tools() -> None:
    base = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    assert worker_environment(base, HERE, Lease())["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_stores_of_what_a_training_reports_do_not_lie_where_the_worker_runs() -> None:
    base = {"MLFLOW_TRACKING_URI": "sqlite:///mine.db", "TENSORBOARD_LOGGING_DIR": "boards", "WANDB_DIR": "w"}
    made = worker_environment(base, HERE, Lease())
    assert made["MLFLOW_TRACKING_URI"] == "sqlite:////runs/here/mine.db"
    assert (made["TENSORBOARD_LOGGING_DIR"], made["WANDB_DIR"]) == ("/runs/here/boards", "/runs/here/w")
    assert worker_environment({"MLFLOW_TRACKING_URI": ""}, HERE, Lease())["MLFLOW_TRACKING_URI"] == ""
