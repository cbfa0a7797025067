"""What a training reports to MLflow by itself (`report_to`): into the same store, and written whole."""

import contextlib
import logging
import os
from collections.abc import Iterator

from sft.processes.signals import StopRequested
from sft.processes.variables import variables
from sft.runs.files import ResultsFolder
from sft.tracking.mlflow.store import EXPERIMENT, STORE, local_store, open_experiment, open_store, quiet

TRAININGS = "trainings"
"""The experiment of such runs in the store of a results folder, beside those of its grids."""

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def trainer_store(results: ResultsFolder) -> Iterator[None]:
    """Let the trainer's callback find its store, and end its run as the training ended.

    The callback writes from a thread, which dies with the process: what it still holds is written before that. Where
    that fails, points of a curve are missing; the training is as good as it was.
    """
    with quiet(), _store(results):
        try:
            yield
        except BaseException as error:
            _end_run("KILLED" if isinstance(error, StopRequested) else "FAILED")
            raise
        finally:
            _write_rest()


@contextlib.contextmanager
def _store(results: ResultsFolder) -> Iterator[None]:
    """That of the results folder, unless the user names one; the files of its runs go there too."""
    if os.environ.get(STORE):
        open_store(os.environ[STORE])
        yield
        return
    store, name = local_store(results), os.environ.get(EXPERIMENT) or TRAININGS
    open_experiment(open_store(store), name, results)
    with variables({STORE: store, EXPERIMENT: name}):
        yield


def _end_run(status: str) -> None:
    import mlflow

    try:
        mlflow.end_run(status)
    except Exception as error:  # noqa: BLE001  how the training failed is what is to be known
        logger.warning("mlflow did not take the end of the training: %s: %s", type(error).__name__, error)


def _write_rest() -> None:
    import mlflow

    try:
        mlflow.flush_async_logging()
    except Exception as error:  # noqa: BLE001  the adapter counts, not what is shown of its training
        logger.warning("mlflow did not take all of the loss curve: %s: %s", type(error).__name__, error)
