"""What can be named in a config, by registry, with what each entry supports; nothing heavy is imported."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator
from sft.evaluation.metrics import metric_registry
from sft.evaluation.selection import entry_of
from sft.initialization.initializers import initializer_registry
from sft.registry import Registry, import_object
from sft.tasks import task_registry
from sft.tasks.task import Task

INDENT = "  "


def method_lines() -> list[str]:
    """One block per registry, one line per entry."""
    return [
        "Tasks (dataset.task_type)",
        *_tasks(),
        "",
        "Adapters (adapter.method; lora also as `lora: {...}`)",
        *_documented(adapter_registry),
        "",
        "Initialisers (lora.init_lora_weights; also any name PEFT knows, peft:NAME, and file.py:function)",
        *_documented(initializer_registry),
        "",
        "Metrics (evaluation.metrics, the first ranks; also any name of the evaluate library, and file.py:function)",
        *_metrics(),
        "",
        "Calibrators (inference.calibration_args.calibration_fn; also file.py:function)",
        *_calibrators(),
    ]


def _tasks() -> list[str]:
    """With the metrics that are measured where a config names none."""
    tasks: dict[str, Task] = {name: import_object(target) for name, target in task_registry.items()}
    return [f"{INDENT}{name:<20} default metrics: {' '.join(task.default_metrics)}" for name, task in tasks.items()]


def _metrics() -> list[str]:
    lines = []
    for name in metric_registry:
        entry = entry_of(name)
        direction = "higher is better" if entry.higher_is_better else "lower is better"
        options = ", ".join(entry.options.model_fields)
        needs = f"; needs {entry.package.install}" if entry.package else ""
        tasks = "/".join(sorted(entry.task_types))
        lines.append(f"{INDENT}{name:<20} {tasks}; {direction}{f'; arguments: {options}' if options else ''}{needs}")
    return lines


def _calibrators() -> list[str]:
    lines = []
    for name, target in calibration_registry.items():
        entry: Calibrator[Any] = import_object(target)
        row_sets = ", ".join(entry.row_sets(entry.options()))
        options = ", ".join(entry.options.model_fields)
        looks = "; looks at all evaluated rows" if entry.uses_evaluated_rows else ""
        needs = f"; row sets: {row_sets}" if row_sets else ""
        lines.append(f"{INDENT}{name:<20} {entry.summary}{looks}{needs}{f'; options: {options}' if options else ''}")
    return lines


def _documented(registry: Registry) -> list[str]:
    """Name and first docstring line of each entry's file, read without importing it."""
    return [f"{INDENT}{name:<20} {_first_line(target)}" for name, target in registry.items()]


def _first_line(target: str) -> str:
    package, _, module = target.partition(":")[0].rpartition(".")
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(place) / f"{module}.py" for place in places]
    source = next((file for file in files if file.is_file()), None)
    text = ast.get_docstring(ast.parse(source.read_text("utf-8"))) if source else None
    return (text or "").split("\n")[0]
