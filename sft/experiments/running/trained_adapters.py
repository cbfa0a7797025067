"""The copies of trained adapters that users asked for with `trainer_args.output_dir`."""

from collections.abc import Sequence
from pathlib import Path

from sft.errors import UserError
from sft.experiments.planning.new_rows_hints import new_rows_hints
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.runs.file_systems import copy_folder
from sft.runs.files import DEFAULT_RESULTS, ID_DIGITS, JobFolder, ResultsFolder, slug
from sft.runs.manifest import is_done
from sft.wording import listed


def copy_adapters(experiments: Sequence[PlannedExperiment], results: ResultsFolder) -> list[str]:
    """Give the user the copies; of a grid in a subfolder per experiment, of folds in one per fold.

    Returns:
        What could not be copied, one line each; the others were.
    """
    failures: list[str] = []
    for planned in experiments:
        subfolder = f"{slug(planned.experiment.name)}-{planned.keys.experiment_id[:ID_DIGITS]}"
        try:
            _copy(planned, results, subfolder if len(experiments) > 1 else None)
        except OSError as error:
            reason = f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
            failures.append(f'"{planned.experiment.name}": its adapter could not be copied: {reason}')
    return failures


def _copy(planned: PlannedExperiment, results: ResultsFolder, subfolder: str | None) -> None:
    training = planned.experiment.config.training
    output = training.trainer_args.get("output_dir") if training else None
    if output is None:
        return
    target = Path(output) / subfolder if subfolder else Path(output)
    for fold, key in planned.keys.trainings.items():
        source = results.stage("train", key)
        if is_done(source):
            copy_folder(source.adapter, target if fold is None else target / f"fold{fold}")


def find_adapters(planned: PlannedExperiment, results: ResultsFolder) -> dict[str, JobFolder] | None:
    """Key -> folder of each train stage of an experiment, finished in its own results folder, else in `results/`.

    None where one of them is finished in neither.
    """
    places = (results, ResultsFolder(DEFAULT_RESULTS))
    found = {}
    for key in planned.keys.trainings.values():
        folder = next((place.stage("train", key) for place in places if is_done(place.stage("train", key))), None)
        if folder is None:
            return None
        found[key] = folder
    return found


def require_adapters(plan: GridPlan, results: ResultsFolder) -> None:
    """Refuse experiments whose adapter no folder holds, with the command that trains it.

    Raises:
        UserError: an adapter is not trained yet.
    """
    for planned in plan.experiments:
        if find_adapters(planned, results) is None:
            keys = listed(f"train/{key}" for key in planned.keys.trainings.values())
            hints = _hints(planned, results)
            raise UserError(
                f"{planned.experiment.name}: its adapter is not trained yet (no finished stage "
                f"{keys} in {results.path}/ or {DEFAULT_RESULTS}/); "
                f"run: sft train {plan.source} --results-path {results.path}{hints}",
                kind="model",
            )


def _hints(planned: PlannedExperiment, results: ResultsFolder) -> str:
    """How an experiment that is trained answers the rows, where other rows are all that is wanted."""
    wanted = {planned.experiment.name: planned.keys.fields.get(planned.keys.train or "", {})}
    places = (results, ResultsFolder(DEFAULT_RESULTS))
    found = [command for place in places for command in new_rows_hints(wanted, place).values()]
    return f", or, if only the rows to answer are new: {found[0]}" if found else ""


def require_training(plan: GridPlan) -> None:
    """Refuse experiments that train nothing, where an adapter is what is wanted.

    Raises:
        UserError: one trains nothing.
    """
    for planned in plan.experiments:
        if not planned.keys.trainings:
            raise UserError(
                f"{planned.experiment.name} trains nothing: give it `lora: {{}}` or another adapter, and shots above 0"
            )
