"""The copies of what trainings left that users asked for with `trainer_args.output_dir`; where adapters are found."""

import filecmp
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sft.adapters.own_method import METHOD_FILE
from sft.adapters.peft.folder import CONFIG
from sft.exceptions import MachineError, UserError
from sft.experiments.planning.checks.child_answers import answer_of
from sft.experiments.planning.new_rows_hints import finished_trainings, new_rows_hints
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.models.hashes import files_sha256
from sft.models.tokenizer_files import WantedTokenizer
from sft.pipeline.exports import export_keys
from sft.runs.file_systems import copy_folder
from sft.runs.files import DEFAULT_RESULTS, ID_DIGITS, JobFolder, ResultsFolder, slug
from sft.runs.manifest import is_done, listed_files, size_of
from sft.runs.notices import say_once
from sft.training.options import trainer_args_of
from sft.wording import listed

TOKENIZER_SECONDS = 300
ADAPTERS = (METHOD_FILE, CONFIG)
"""Files by which an adapter is found in a folder."""
MODELS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt")
"""Files in which an exported model may have its weights."""


def copy_adapters(experiments: Sequence[PlannedExperiment], results: ResultsFolder) -> list[str]:
    """Give the user the copies: adapter, tokenizer, kept checkpoints and exported model.

    Of a grid they go to a subfolder per experiment, of folds to one per fold. A file that is there already, with the
    size and content that its stage's manifest lists, is not written again.

    Returns:
        What could not be copied, one line each; the others were.
    """
    failures: list[str] = []
    copied: dict[Path, WantedTokenizer] = {}
    for planned in experiments:
        subfolder = f"{slug(planned.experiment.name)}-{planned.keys.experiment_id[:ID_DIGITS]}"
        places = _places(planned, subfolder if len(experiments) > 1 else None)
        try:
            for target, source in _trained(planned, results, places).items():
                _copy(planned, source, target)
                copied[target] = WantedTokenizer.of(
                    planned.experiment.config.model,
                    planned.experiment.fingerprints.revisions,
                    planned.experiment.folder,
                )
            _copy_exports(planned, results, places)
        except OSError as error:
            failures.append(f'"{planned.experiment.name}": its adapter could not be copied: {_reason(error)}')
    return [*failures, *copy_tokenizers(copied)]


def _places(planned: PlannedExperiment, subfolder: str | None) -> dict[int | None, Path]:
    """Fold -> where the copies of its training go; empty where they are not asked for."""
    output = trainer_args_of(planned.experiment.config).get("output_dir")
    if output is None:
        return {}
    target = Path(output) / subfolder if subfolder else Path(output)
    return {fold: target if fold is None else target / f"fold{fold}" for fold in planned.keys.trainings}


def _trained(
    planned: PlannedExperiment, results: ResultsFolder, places: Mapping[int | None, Path]
) -> dict[Path, JobFolder]:
    """Where the copies go -> the training they are of, of those that are done."""
    trainings = {place: results.stage("train", planned.keys.trainings[fold]) for fold, place in places.items()}
    return {place: source for place, source in trainings.items() if is_done(source)}


def _copy_exports(planned: PlannedExperiment, results: ResultsFolder, places: Mapping[int | None, Path]) -> None:
    """Beside each copied adapter, in a folder of its own, the model that was exported."""
    for item, key in export_keys(planned.experiment, planned.keys).items():
        export = results.stage("export", key)
        if item.fold in places and is_done(export):
            _copy_over(export, export.exported, places[item.fold] / export.exported.name, MODELS)


def _copy_over(job: JobFolder, source: Path, target: Path, read: Sequence[str]) -> None:
    """Copy over an earlier copy, of which nothing stays by a name that would be read in place of what is new."""
    for path in [path for pattern in read for path in target.glob(pattern)]:
        if not (source / path.name).exists():
            path.unlink()
    copy_folder(source, target, _is_copied(job))


def _is_copied(job: JobFolder) -> Callable[[Path, Path], bool]:
    """Whether a copy of a result of a job is what its manifest lists; the hash of a large one is remembered."""
    listed = listed_files(job) or {}

    def is_same(path: Path, place: Path) -> bool:
        file = listed.get(path.relative_to(job.path).as_posix())
        return file is not None and size_of(place) == file.size and files_sha256(place) == file.sha256

    return is_same


def _copy(planned: PlannedExperiment, source: JobFolder, target: Path) -> None:
    _copy_over(source, source.adapter, target, ADAPTERS)
    if source.kept.is_dir():
        copy_folder(source.kept, target, _is_copied(source))
    elif trainer_args_of(planned.experiment.config).get("save_strategy") != "no":
        text = f"{target} gets no checkpoints: the training was done before they were asked for"
        say_once(str(target), f"{text} (a stage whose folder is deleted runs again: {source.path})")


def _is_equal(path: Path, place: Path) -> bool:
    return place.is_file() and filecmp.cmp(path, place, shallow=False)


def copy_tokenizers(copied: Mapping[Path, WantedTokenizer]) -> list[str]:
    """Write beside each adapter the files of its tokenizer, each of which is read once.

    Args:
        copied: where an adapter was copied to -> its tokenizer.

    Returns:
        What could not be copied, one line.
    """
    if not copied:
        return []
    with tempfile.TemporaryDirectory() as place:
        written = {wanted: Path(place) / str(number) for number, wanted in enumerate(dict.fromkeys(copied.values()))}
        asked = [(asdict(wanted), str(folder)) for wanted, folder in written.items()]
        try:
            answer_of("sft.models.tokenizer_files", asked, "they could not be read", TOKENIZER_SECONDS)
            for target, wanted in copied.items():
                copy_folder(written[wanted], target, _is_equal)
        except (UserError, MachineError) as error:
            return [f"no tokenizers beside the copied adapters: {error}"]
        except OSError as error:
            return [f"no tokenizers beside the copied adapters: {_reason(error)}"]
    return []


def _reason(error: OSError) -> str:
    return f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")


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
    hints = (new_rows_hints(wanted, finished_trainings(place), place) for place in places)
    found = [command for commands in hints for command in commands.values()]
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
