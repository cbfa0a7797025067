"""MLflow: a grid is an experiment there, and an experiment a run with params, metrics, curves and files.

A run is known by its tag `sft.id`. What was logged before and still holds is left alone; what changed is added to its
run, and where something would have to be taken back, which MLflow does not do, a new run takes its place.
"""

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sft.runs.files import ResultsFolder
from sft.tracking.mlflow.store import (
    EXPERIMENT,
    STORE,
    alone,
    local_store,
    open_experiment,
    open_store,
    quiet,
    require_mlflow,
)
from sft.tracking.tracker import Point, TrackedExperiment, TrackedGrid

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


TAG = "sft."
"""What the names of our tags begin with."""

ID, CONTENT = f"{TAG}id", f"{TAG}content"

STATUSES: Mapping[str, str] = {
    "done": "FINISHED",
    "predicted": "FINISHED",
    "running": "RUNNING",
    "interrupted": "KILLED",
    "preempted": "KILLED",
    "lost": "KILLED",
}
"""By state; the others have failed."""

PARAMS_AT_ONCE, POINTS_AT_ONCE, RUNS_AT_ONCE = 100, 800, 1000
"""In one request, which holds at most 1,000 of all."""

Item = TypeVar("Item")

MAX_KEY, MAX_PARAM, MAX_TAG, MAX_NAME = 250, 6000, 5000, 500
"""Characters; that of tags is 8,000 since MLflow 3, and 5,000 before."""

_FORBIDDEN = re.compile(r"[^\w./ -]")

_DIGITS = 8

Value = TypeVar("Value")


class Mlflow:
    """The tracker `mlflow`."""

    def require(self) -> None:
        """Check that mlflow or mlflow-skinny is there, and what its store needs."""
        require_mlflow("--tracker mlflow")

    def log(self, grid: TrackedGrid, folder: Path) -> str:
        """Bring the runs of a grid up to date in the store that is in force."""
        results = ResultsFolder(folder)
        is_local = not os.environ.get(STORE)
        uri = local_store(results) if is_local else os.environ[STORE]
        name = os.environ.get(EXPERIMENT) or name_text(grid.name)
        with quiet(), alone(uri, "log"):
            client = open_store(uri)
            experiment = open_experiment(client, name, results if is_local else None)
            known = _known_runs(client, experiment)
            done = [_log(client, experiment, item, known.get(item.id)) for item in grid.experiments]
        told = ", ".join(f"{done.count(what)} {what}" for what in dict.fromkeys(done)) or "no run yet"
        return f"mlflow: experiment {name!r}: {told}; in {uri}"


def _known_runs(client: "MlflowClient", experiment: str) -> dict[str, "Run"]:
    """The runs there are by the id of what they show, the oldest of each."""
    found: dict[str, Run] = {}
    token = None
    while True:
        oldest_first = ["attributes.start_time ASC"]
        page = client.search_runs([experiment], max_results=RUNS_AT_ONCE, order_by=oldest_first, page_token=token)
        for run in page:
            found.setdefault(run.data.tags.get(ID, ""), run)
        token = page.token
        if not token:
            return found


def _log(client: "MlflowClient", experiment: str, item: TrackedExperiment, known: "Run | None") -> str:
    """Log one experiment; what was done, in a word. The mark that all of it is there comes last."""
    content = _content(item)
    if known is not None and known.data.tags.get(CONTENT) == content:
        return "unchanged"
    if known is not None and _contradicts(client, known, item):
        client.delete_run(known.info.run_id)
        known = None
    run = known or client.create_run(experiment, start_time=_milliseconds(item.started), run_name=name_text(item.name))
    _log_values(client, run, item)
    for path in item.artifacts:
        client.log_artifact(run.info.run_id, str(path))
    _set_status(client, run, item)
    client.set_tag(run.info.run_id, CONTENT, content)
    return "new" if known is None else "updated"


def _contradicts(client: "MlflowClient", run: "Run", item: TrackedExperiment) -> bool:
    """Whether a run holds params, metrics or points of a curve that are others, or none, now."""
    params, curves = _params(item), allowed_keys(item.curves)
    if any(params.get(key) != value for key, value in run.data.params.items()):
        return True
    if run.data.metrics.keys() - allowed_keys(item.metrics).keys() - curves.keys():
        return True
    for key in run.data.metrics.keys() & curves.keys():
        logged = {Point(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)}
        if not logged <= set(curves[key]):
            return True
    return False


def _log_values(client: "MlflowClient", run: "Run", item: TrackedExperiment) -> None:
    """Tags in place of those that the run has of us; params, metrics and curves as far as it has not got them."""
    from mlflow.entities import Metric, Param, RunTag

    run_id, time = run.info.run_id, _milliseconds(item.ended) or run.info.start_time
    metrics = {k: v for k, v in allowed_keys(item.metrics).items() if run.data.metrics.get(k) != v}
    points = [Metric(key, value, time, 0) for key, value in metrics.items()]
    for key, curve in allowed_keys(item.curves).items():
        points += [Metric(key, value, time, step) for step, value in curve]
    tags = {ID: item.id} | {f"{TAG}{key}": tag_text(text) for key, text in item.tags.items()}
    for key in run.data.tags:
        if key.startswith(TAG) and key not in tags:
            client.delete_tag(run_id, key)
    rest = [RunTag(key, text) for key, text in tags.items()]
    params = [Param(key, value) for key, value in _params(item).items()]
    # As few requests as the limits allow: each is a transaction of its own.
    requests = zip_longest(_parts(params, PARAMS_AT_ONCE), _parts(points, POINTS_AT_ONCE), fillvalue=())
    for some_params, some_points in [*requests] or [((), ())]:
        client.log_batch(run_id, params=some_params, metrics=some_points, tags=rest)
        rest = []


def _set_status(client: "MlflowClient", run: "Run", item: TrackedExperiment) -> None:
    status, name = STATUSES.get(item.state, "FAILED"), name_text(item.name)
    if status == "RUNNING" or run.info.run_name != name:
        client.update_run(run.info.run_id, status=status, name=name)
    if status != "RUNNING":
        client.set_terminated(run.info.run_id, status, _milliseconds(item.ended))


def _params(item: TrackedExperiment) -> dict[str, str]:
    return {key: param_text(value) for key, value in allowed_keys(item.params).items()}


def _content(item: TrackedExperiment) -> str:
    """A fingerprint of all that is logged of an experiment."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in item.artifacts]
    values: list[Any] = [item.name, item.state, item.params, item.metrics, item.tags, item.curves, files]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _parts(values: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    yield from (values[first : first + size] for first in range(0, len(values), size))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def allowed_keys(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values under keys that MLflow takes: letters, digits, `_`, `-`, `.`, `/` and spaces, at most 250 of them.

    Any other character becomes `_`. A key that is too long, that is no plain path, or that would be the one of
    another value, ends in the beginning of its hash.
    """
    found: dict[str, Value] = {}
    for key, value in values.items():
        allowed = _FORBIDDEN.sub("_", key)
        taken = allowed in found or (allowed != key and allowed in values)
        if taken or len(allowed) > MAX_KEY or not _is_plain_path(allowed):
            digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
            allowed = f"{allowed.lstrip('.').replace('/', '_')[: MAX_KEY - _DIGITS - 1]}_{digest}"
        found[allowed] = value
    return found


def param_text(value: Any) -> str:
    """A setting as text, at most 6,000 characters: text as it is, anything else as JSON; the end gives way."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = _without_surrogates(text)
    if len(text) <= MAX_PARAM:
        return text
    mark = f"... ({len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()})"
    return text[: MAX_PARAM - len(mark)] + mark


def tag_text(text: str) -> str:
    """A text as the value of a tag; the end gives way."""
    return _without_surrogates(text)[:MAX_TAG]


def name_text(text: str) -> str:
    """The name of an experiment or a run; the end gives way."""
    return _without_surrogates(text)[:MAX_NAME]


def _without_surrogates(text: str) -> str:
    """Lone surrogates, which JSON can bring in and no database takes, as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_plain_path(key: str) -> bool:
    """Whether a key, which MLflow's file store makes a path of, stays within its folder and is spelled one way."""
    return key != "." and not key.startswith(("/", "..")) and posixpath.normpath(key) == key
