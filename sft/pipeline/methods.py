"""What can be named in a config, by registry, with what each entry supports; nothing heavy is imported."""

import ast
import importlib.util
import inspect
import math
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.lora.peft_initializers import PEFT_INITIALIZERS
from sft.adapters.method import adapter_method
from sft.adapters.peft.method import PeftMethod
from sft.adapters.support import support_matrix, unexportable
from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator
from sft.evaluation.metrics import metric_registry
from sft.evaluation.selection import entry_of
from sft.initialization.initializers import MOVING, initializer_registry, needed_by
from sft.objectives import objective_named, objective_registry
from sft.registry import import_object
from sft.tasks import task_registry
from sft.tasks.task import Task

Entries = list[dict[str, Any]]


def methods_record() -> dict[str, Entries]:
    """The entries of each registry, in its order; docs/json.md says what the keys mean."""
    tasks: dict[str, Task] = {name: import_object(target) for name, target in task_registry.items()}
    return {
        "tasks": [_task(name, task) for name, task in tasks.items()],
        "adapters": [_adapter(name) for name in adapter_registry],
        "initialisers": [*_initialisers(), *_initialisers_of_peft()],
        "metrics": [_metric(name) for name in metric_registry],
        "calibrators": [_calibrator(name, import_object(target)) for name, target in calibration_registry.items()],
    }


def matrix_record() -> list[dict[str, Any]]:
    """For each way of answering, which method trains a base whose weights are stored how, and makes one model with it.

    docs/json.md says what the keys mean.
    """
    return [
        {
            "objective": objective,
            "methods": [
                {
                    "name": name,
                    "trains": trains,
                    "merges": {kind: unexportable(name, {}, kind) for kind in trains},
                }
                for name, trains in support_matrix(objective_named(objective)).items()
            ],
        }
        for objective in objective_registry
    ]


def _task(name: str, task: Task) -> dict[str, Any]:
    return {
        "name": name,
        "objectives": list(task.objectives),
        "default_metrics": list(task.default_metrics),
        "baselines": list(task.baselines),
    }


def _metric(name: str) -> dict[str, Any]:
    entry = entry_of(name)
    return {
        "name": name,
        "tasks": sorted(entry.task_types),
        "higher_is_better": entry.higher_is_better,
        "range": [end if end is not None and math.isfinite(end) else None for end in entry.range],
        "arguments": list(entry.options.model_fields),
        "install": None if entry.package is None else entry.package.install,
    }


def _calibrator(name: str, entry: Calibrator[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": entry.summary,
        "uses_evaluated_rows": entry.uses_evaluated_rows,
        "row_sets": list(entry.row_sets(entry.options())),
        "arguments": list(entry.options.model_fields),
    }


def _adapter(name: str) -> dict[str, Any]:
    """What a method says of itself, where one file holds several, else the first line of its file."""
    method = adapter_method(name)
    return {
        "name": name,
        "summary": getattr(method, "summary", None) or _first_line(adapter_registry[name]),
        "library": "peft" if isinstance(method, PeftMethod) else None,
        "initialisers": None if method.initialisers is None else method.initialisers._asdict(),
    }


def _initialisers() -> Entries:
    """The project's own, from their files."""
    return [
        {
            "name": name,
            "summary": _first_line(target),
            "looks_at": _needed(target) or "weights",
            "moves_base": name in MOVING,
            "library": None,
        }
        for name, target in initializer_registry.items()
    ]


def _initialisers_of_peft() -> Entries:
    """By the names that reach them whatever the project's own are called."""
    return [
        {
            "name": f"peft:{name}",
            "summary": entry.summary,
            "looks_at": entry.looks_at,
            "moves_base": entry.moves_base,
            "library": "peft",
        }
        for name, entry in PEFT_INITIALIZERS.items()
    ]


def _needed(target: Any) -> str | None:
    """What of the training rows an initialiser of the registry looks at."""
    if not isinstance(target, str):
        return getattr(target, "needs", None)
    functions = [node for node in _tree(target).body if isinstance(node, ast.FunctionDef)]
    return next((needed_by(node) for node in functions if node.name == target.rpartition(":")[2]), None)


def _first_line(target: Any) -> str:
    """The first line of the docstring of an entry's file, read without importing it; of an object its own."""
    text = ast.get_docstring(_tree(target)) if isinstance(target, str) else inspect.getdoc(target)
    return (text or "").split("\n")[0]


def _tree(target: str) -> ast.Module:
    """The parsed file of an entry, which is empty where it has none."""
    package, _, module = target.partition(":")[0].rpartition(".")
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(place) / f"{module}.py" for place in places]
    source = next((file for file in files if file.is_file()), None)
    return ast.parse(source.read_text("utf-8") if source else "")
