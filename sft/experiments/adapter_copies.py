"""The copies of trained adapters that users asked for with `trainer_args.output_dir`."""

from collections.abc import Sequence
from pathlib import Path

from sft.experiments.plan import PlannedExperiment
from sft.runs.file_systems import copy_folder
from sft.runs.files import ID_DIGITS, ResultsFolder, slug
from sft.runs.manifest import is_done


def copy_adapters(experiments: Sequence[PlannedExperiment], results: ResultsFolder) -> list[str]:
    """Give the user the copies; of a grid in a subfolder per experiment.

    Returns:
        What could not be copied, one line each; the others were.
    """
    failures: list[str] = []
    for planned in experiments:
        subfolder = f"{slug(planned.experiment.name)}-{planned.keys.experiment_id[:ID_DIGITS]}"
        try:
            _copy(planned, results, subfolder if len(experiments) > 1 else None)
        except OSError as error:
            failures.append(f'"{planned.experiment.name}": its adapter could not be copied: {_one_line(error)}')
    return failures


def _copy(planned: PlannedExperiment, results: ResultsFolder, subfolder: str | None) -> None:
    training = planned.experiment.config.training
    output = training.trainer_args.get("output_dir") if training else None
    if output is None or planned.keys.train is None:
        return
    source = results.stage("train", planned.keys.train)
    if is_done(source):
        target = Path(output) / subfolder if subfolder else Path(output)
        copy_folder(source.adapter, target)


def _one_line(error: OSError) -> str:
    return f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
