"""`trainer_args.report_to`: which reporting integrations there are, what they need, where they write.

They belong to transformers. A stage runs in a scratch folder that is emptied when it has ended, so those that write
files get a place in the results folder, unless the user names one.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sft.exceptions import PackageMissing
from sft.processes.variables import variables
from sft.registry import unknown_name
from sft.runs.files import ID_DIGITS, JobFolder, results_of, slug
from sft.tracking.mlflow.store import require_mlflow
from sft.tracking.mlflow.training import trainer_store

KEY = "report_to"
NONE, ALL, MLFLOW = "none", "all", "mlflow"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "azure_ml": ("azureml",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "comet_ml": ("comet_ml",),
    "dagshub": ("dagshub",),
    "dvclive": ("dvclive",),
    "flyte": ("flytekit",),
    "kubeflow": (),
    MLFLOW: ("mlflow",),
    "neptune": ("neptune",),
    "swanlab": ("swanlab",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""Integration -> modules, one of which it needs."""
TENSORBOARD, WANDB = "TENSORBOARD_LOGGING_DIR", "WANDB_DIR"


def integrations(value: Any) -> list[str]:
    """The integrations that a value of `report_to` names, `all` among them; empty for none."""
    names = [] if value is None else value if isinstance(value, list) else [value]
    return [] if names == [NONE] else names


def check_report_to(value: Any) -> list[str]:
    """What is wrong with a value of `report_to`."""
    known = [NONE, ALL, *PACKAGES]
    names = integrations(value)
    if not all(isinstance(name, str) for name in names):
        return [f"must be a name or a list of names, got {value!r}; known: {', '.join(known)}"]
    if len(names) > 1 and {NONE, ALL} & set(names):
        return [f"{NONE} and {ALL} stand alone, got {value!r}"]
    return [unknown_name("integration", name, known) for name in names if name not in known]


def require_report_to(value: Any) -> None:
    """Check that the packages of a sound value are installed, without importing them.

    Raises:
        PackageMissing: one is not, with the command that installs it.
    """
    for name in integrations(value):
        needed_for = f"training.trainer_args.{KEY} {name!r}"
        if name == MLFLOW:
            require_mlflow(needed_for)
        modules = PACKAGES.get(name, ())
        if modules and not any(importlib.util.find_spec(module) for module in modules):
            raise PackageMissing(modules[0], needed_for, f"pip install {modules[0].replace('_', '-')}")


@contextlib.contextmanager
def reporting(trainer_args: Mapping[str, Any], job: JobFolder, name: str) -> Iterator[dict[str, Any]]:
    """The trainer's arguments with a name for its runs, while integrations find their places.

    Args:
        trainer_args: in force.
        job: the folder of the train stage.
        name: of the experiment.
    """
    names = integrations(trainer_args.get(KEY))
    if not names:
        yield dict(trainer_args)
        return
    results = results_of(job)
    own = f"{slug(name)}-{job.path.name[:ID_DIGITS]}"
    places = {
        TENSORBOARD: os.path.join(os.environ.get(TENSORBOARD) or str(results.tensorboard), own),
        WANDB: os.environ.get(WANDB) or str(results.path),
    }
    uses_mlflow = MLFLOW in names or (ALL in names and importlib.util.find_spec("mlflow") is not None)
    with variables(places), trainer_store(results) if uses_mlflow else contextlib.nullcontext():
        yield {**trainer_args, "run_name": trainer_args.get("run_name") or name}
