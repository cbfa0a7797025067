"""What is wrong with the metrics and metric arguments a user wrote, found without importing what computes them."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sft.config.findings import PathMessage
from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.hub import arguments_key, is_path
from sft.evaluation.selection import entries_of, entry_of, result_name, source_of, stands_beside
from sft.exceptions import PackageMissing, UserError
from sft.registry import nearest, own_code_tree

_METRICS = "evaluation.metrics"


def check_metrics(
    metrics: Sequence[str], task_type: str, extra_options: Mapping[str, Any], folder: Path
) -> list[PathMessage]:
    """Dotted path and message of each fault.

    Args:
        metrics: names as written, the first ranks.
        task_type: of the data set.
        extra_options: the keys of `evaluation` that are no field of its own: arguments of the metrics.
        folder: the folder of the grid file, for own code.
    """
    findings: list[PathMessage] = []
    known: list[str] = []
    for name in metrics:
        message = _fault_of(name, task_type, folder)
        if message is None:
            known.append(name)
        else:
            findings.append((_METRICS, message))
    return [*findings, *_repeated(known), *_without_rank(metrics), *_option_faults(known, extra_options)]


def require_packages(metrics: Sequence[str]) -> None:
    """Check that optional packages are there.

    Raises:
        PackageMissing: one is not, with the command that installs it.
    """
    for entry in entries_of(metrics):
        if entry.package is not None and importlib.util.find_spec(entry.package.name) is None:
            raise PackageMissing(entry.package.name, f"metric {entry.results[0]}", entry.package.install)


def _fault_of(name: str, task_type: str, folder: Path) -> str | None:
    try:
        source = source_of(name)
        if source == "own":
            own_code_tree(name, folder)
    except UserError as error:
        return str(error)
    if source == "hub" and is_path(name) and not (folder / Path(name).expanduser()).exists():
        return f"{name!r}: no such file or folder; paths are relative to the config"
    if source == "registry" and task_type not in entry_of(name).task_types:
        fitting = [other for other in metric_registry if task_type in entry_of(other).task_types]
        return f"{name!r} is not defined for task_type {task_type!r}; its metrics: {', '.join(fitting)}"
    return None


def _repeated(metrics: Sequence[str]) -> list[PathMessage]:
    names = [result_name(name) for name in metrics]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    found = [(_METRICS, f"two metrics give a result called {name!r}; leave one out or rename one") for name in twice]
    ours = [name for name in names if stands_beside(name)]
    return found + [
        (_METRICS, f"a result called {name!r} is one of the program's; rename the metric") for name in ours
    ]


def _without_rank(metrics: Sequence[str]) -> list[PathMessage]:
    first = metrics[0] if metrics else ""
    if first not in metric_registry or entry_of(first).results:
        return []
    return [(_METRICS, f"{first!r} gives no number to rank by; put another metric first")]


def _option_faults(metrics: Sequence[str], written: Mapping[str, Any]) -> list[PathMessage]:
    entries = entries_of(metrics)
    owner = {key: entry for entry in entries for key in entry.options.model_fields}
    hub_keys = {arguments_key(result_name(name)) for name in metrics if source_of(name) == "hub"}
    findings: list[PathMessage] = []
    for key, value in written.items():
        path = f"evaluation.{key}"
        if key in hub_keys:
            if not isinstance(value, Mapping):
                findings.append((path, f"must be a map of arguments, not {value!r}"))
        elif key in owner:
            findings.extend((path, message) for message in _value_faults(owner[key].options, key, value))
        else:
            findings.append((path, _unknown_option(key, metrics, [*owner, *hub_keys])))
    return findings


def _value_faults(options: Any, key: str, value: Any) -> list[str]:
    try:
        options(**{key: value})
    except ValidationError as error:
        return [f"{fault['msg']}, not {value!r}" for fault in error.errors()]
    return []


def _unknown_option(key: str, metrics: Sequence[str], options: Sequence[str]) -> str:
    fields = ("metrics", "tokenizer_name", "baseline_encoder", "slices", "strict_leaks")
    hint = nearest(key, [*fields, *options])
    owners = [name for name in metric_registry if key in entry_of(name).options.model_fields]
    if owners:
        return f"is an argument of {', '.join(owners)}, which is not among the metrics"
    meant = f" (did you mean {hint}?)" if hint else ""
    return (
        f"no chosen metric takes {key!r}{meant}; metrics: {', '.join(metrics)}; "
        f"their arguments: {', '.join(options) or 'none'}"
    )
