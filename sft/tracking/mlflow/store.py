"""Where MLflow keeps its runs: the store that the environment names, else a file in the results folder."""

import contextlib
import fcntl
import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sft.exceptions import PackageMissing, UserError
from sft.processes.variables import variables
from sft.runs.file_systems import flock
from sft.runs.files import ResultsFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
NO_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
TRIES, FEW_TRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"
INSTALL = "pip install 'sft-grid[tracking]'"
DATABASE_PACKAGES = ("sqlalchemy", "alembic")
"""What a store needs that is a database, such as a local file; mlflow-skinny comes without."""

SQLITE = "sqlite:///"
_WITH_PATH = re.compile(r"(sqlite:///|file:)?(?![A-Za-z][A-Za-z0-9+.-]*:)([^/].*)", re.DOTALL)


def require_mlflow(needed_for: str) -> None:
    """Check that the packages are there, without importing them.

    Raises:
        PackageMissing: one is not, with the command that installs all.
    """
    is_server = os.environ.get(STORE, "").startswith(("http:", "https:"))
    for package in ("mlflow", *(() if is_server else DATABASE_PACKAGES)):
        if importlib.util.find_spec(package) is None:
            raise PackageMissing(package, needed_for, INSTALL)


def local_store(results: ResultsFolder) -> str:
    """The tracking URI of the store in a results folder."""
    return f"{SQLITE}{results.mlflow_store.absolute()}"


def absolute_store(uri: str, folder: Path) -> str:
    """A tracking URI that means the same wherever a process runs.

    Args:
        uri: as written.
        folder: what a relative path in it is relative to.
    """
    found = _WITH_PATH.fullmatch(uri)
    return uri if found is None or uri.startswith("databricks") else f"{found[1] or ''}{folder / found[2]}"


def open_store(uri: str) -> "MlflowClient":
    """A client of a store that has its tables; processes that open a new one at the same time take turns.

    MLflow's own lock does not keep one of them from a database whose tables another is still changing.
    """
    from mlflow import MlflowClient

    with alone(uri, "open"):
        return MlflowClient(uri)


@contextlib.contextmanager
def alone(uri: str, doing: str) -> Iterator[None]:
    """Hold a lock beside the file of a store, for one kind of work; a store that is no such file has none."""
    if not uri.startswith(SQLITE):
        yield
        return
    database = Path(uri.removeprefix(SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.{doing}.lock").open("a") as lock:
        flock(lock.fileno(), fcntl.LOCK_EX, database.parent)
        yield


def open_experiment(client: "MlflowClient", name: str, results: ResultsFolder | None) -> str:
    """The id of the experiment with a name; it is made where it is not there.

    Args:
        client: of the store.
        name: of the experiment.
        results: the results folder that takes the files of a new one; None where the store decides.

    Raises:
        UserError: it was deleted there.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        place = None if results is None else results.mlflow_artifacts.absolute().as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:  # else another process made it just now
                raise
    if found.lifecycle_stage != "active":
        raise UserError(f"the experiment {name!r} was deleted there; restore it, or name another with {EXPERIMENT}")
    return str(found.experiment_id)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without telemetry, which goes over the network, without news of tables that are made, and not for minutes.

    Telemetry is begun when mlflow is imported, and asked for again at each call. A server that does not answer is
    given up after some 20 seconds, unless the user says otherwise, instead of four minutes.
    """
    with variables({NO_TELEMETRY: "true", TRIES: os.environ.get(TRIES) or FEW_TRIES}):
        import mlflow  # noqa: F401  sets the levels of its loggers

        loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
