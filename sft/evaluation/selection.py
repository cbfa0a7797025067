"""From the metric names a user wrote to the entries, names and options behind them; imports nothing heavy."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.hub import HUB_METRICS, hub_direction, is_hub_metric
from sft.evaluation.metrics.own import own_result_name
from sft.exceptions import UserError
from sft.registry import import_object, is_own_code, unknown_name

if TYPE_CHECKING:
    from sft.evaluation.metrics.entry import MetricEntry, Range

Source = Literal["registry", "own", "hub"]

DEV = "dev_"
"""Before a metric's name in `results`: of the dev rows."""
UNCALIBRATED = "uncalibrated_"
"""Before a metric's name in `results`: the same without the calibrator."""
LABEL_MASS = "label_mass"
"""In `results`: the mean over rows of the probability that falls on any label."""


def source_of(name: str) -> Source:
    """Where a metric comes from.

    Raises:
        UserError: nobody knows the name.
    """
    if name in metric_registry:
        return "registry"
    if is_own_code(name):
        return "own"
    if is_hub_metric(name):
        return "hub"
    raise UserError(unknown_name("metric", name, [*metric_registry, *HUB_METRICS]))


def entry_of(name: str) -> "MetricEntry":
    """The entry of a metric of the registry."""
    entry: MetricEntry = import_object(metric_registry[name])
    return entry


def entries_of(names: Sequence[str]) -> list["MetricEntry"]:
    """The entries behind those names that are in the registry, each once, in order."""
    return list(dict.fromkeys(entry_of(name) for name in names if name in metric_registry))


def result_name(name: str) -> str:
    """The key under `results` that a metric's number has; several numbers stand as `<key>.<their name>`."""
    if name in metric_registry:
        return name
    return own_result_name(name) if is_own_code(name) else name.rstrip("/").rpartition("/")[2]


def stands_beside(key: str) -> bool:
    """Whether a key of `results` (its `dev_` taken off) is a number beside the metrics, which never ranks."""
    return key == LABEL_MASS or key.startswith(UNCALIBRATED)


def ranking_key(metric: str, results: Mapping[str, Any]) -> str | None:
    """The key of `results` by which a board ranks when `metric` stands first; None where there is no such result."""
    name = result_name(metric)
    if name in results:
        return name
    return next((key for key in results if key.startswith(f"{name}.")), None)


def higher_is_better(name: str) -> bool | None:
    """The direction of a metric by its name; None for own code, which tells only when it runs."""
    if name in metric_registry:
        return entry_of(name).higher_is_better
    return None if is_own_code(name) else hub_direction(name)


def split_prefix(result: str, details: Mapping[str, Any]) -> str:
    """`DEV` where a key of `results` is of the dev rows, else nothing; `details` tells a metric that is called so."""
    return DEV if result.startswith(DEV) and result not in details.get("higher_is_better", {}) else ""


def range_of(result: str, details: Mapping[str, Any]) -> "Range | None":
    """The range of a result; None where nothing says it.

    Args:
        result: a key of `results`, with whatever stands before the metric's name.
        details: beside it in `metrics.json`, which holds the ranges of metrics that are not ours.
    """
    written: Mapping[str, Any] = details.get("range", {})
    name = _known_name(result, written)
    if name in written:
        return None if written[name] is None else (written[name][0], written[name][1])
    if name == LABEL_MASS:
        return 0.0, 1.0
    return entry_of(name).range if name in metric_registry else None


def step_of(result: str, details: Mapping[str, Any], n_rows: int) -> float:
    """By how much about a result moves when one row turns right or wrong; 0 where it does not move in steps.

    It is the range by the number of rows: exactly so of shares, about so of F1 and correlation with balanced labels.

    Args:
        result: as in `range_of`.
        details: likewise.
        n_rows: rows of the split, at least one.
    """
    written: Mapping[str, Any] = details.get("range", {})
    name = _known_name(result, written)
    if name in written or name not in metric_registry or not (entry := entry_of(name)).in_steps:
        return 0.0
    low, high = entry.range
    return 0.0 if high is None else (high - low) / n_rows


def _known_name(result: str, known: Container[str]) -> str:
    """A key of `results` without what stands before the name of its metric: of the longest forms a known one."""
    forms = [result]
    for prefix in (DEV, UNCALIBRATED):
        forms.append(forms[-1].removeprefix(prefix))
    return next((form for form in forms if form in known), forms[-1])


def on_gpu(names: Sequence[str]) -> bool:
    """Whether one of these metrics computes with a model on a GPU; own code and hub metrics do not say so."""
    return any(entry.on_gpu for entry in entries_of(names))


def options_of(entry: "MetricEntry", written: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """All arguments of a metric: what is written for it over its defaults, paths that exist in `folder` absolute."""
    own = {key: value for key, value in written.items() if key in entry.options.model_fields}
    options = entry.options(**own).model_dump()
    for key in entry.paths:
        if options[key] is not None and (path := folder / Path(options[key]).expanduser()).exists():
            options[key] = str(path.resolve())
    return options


def local_files(metrics: Sequence[str], written: Mapping[str, Any], folder: Path) -> list[str]:
    """The files and folders, as written, that the metrics are or read: modules of `evaluate`, checkpoints, models."""
    modules = [name for name in metrics if source_of(name) == "hub"]
    arguments = [written.get(key) for entry in entries_of(metrics) for key in entry.paths]
    named = [name for name in (*modules, *arguments) if isinstance(name, str)]
    return [name for name in named if (folder / Path(name).expanduser()).exists()]
