import os
import sys
from pathlib import Path

import pytest

import sft
from sft.experiments.executors.environment import worker_environment
from sft.experiments.executors.executor import Lease

HERE = Path("/runs/here")


def test_relative_places_are_made_absolute_and_others_stay() -> None:
    base = {"HF_HOME": "cache", "HF_HUB_CACHE": "/abs", "HF_DATASETS_CACHE": "~/data", "TMPDIR": "", "OTHER": "x"}
    made = worker_environment(base, HERE, Lease())
    assert made["HF_HOME"] == "/runs/here/cache"
    assert (made["HF_HUB_CACHE"], made["HF_DATASETS_CACHE"]) == ("/abs", "~/data")
    assert (made["TMPDIR"], made["OTHER"]) == ("", "x")


def test_the_package_is_found_from_anywhere() -> None:
    made = worker_environment({"PYTHONPATH": f"mine{os.pathsep}/abs{os.pathsep}"}, HERE, Lease())
    places = made["PYTHONPATH"].split(os.pathsep)
    assert places[:2] == ["/runs/here/mine", "/abs"]
    root = str(Path(sft.__file__).resolve().parents[1])
    assert root in places or root in sys.path


@pytest.mark.parametrize("entry", ["", "/runs/here"])
def test_a_working_folder_that_is_imported_from_stays_one(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", [entry, "/lib"])
    folder = Path("/") if not entry else HERE
    assert str(folder) in worker_environment({}, folder, Lease())["PYTHONPATH"].split(os.pathsep)
    monkeypatch.setattr(sys, "path", ["/lib"])
    assert str(HERE) not in worker_environment({}, HERE, Lease())["PYTHONPATH"].split(os.pathsep)


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


def test_stores_of_what_a_training_reports_do_not_lie_where_the_worker_runs() -> None:
    base = {"MLFLOW_TRACKING_URI": "sqlite:///mine.db", "TENSORBOARD_LOGGING_DIR": "boards", "WANDB_DIR": "w"}
    made = worker_environment(base, HERE, Lease())
    assert made["MLFLOW_TRACKING_URI"] == "sqlite:////runs/here/mine.db"
    assert (made["TENSORBOARD_LOGGING_DIR"], made["WANDB_DIR"]) == ("/runs/here/boards", "/runs/here/w")
    assert worker_environment({"MLFLOW_TRACKING_URI": ""}, HERE, Lease())["MLFLOW_TRACKING_URI"] == ""
