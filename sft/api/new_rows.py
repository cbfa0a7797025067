"""What takes a finished experiment elsewhere: to rows that it has not seen, or out of its results folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sft.config.training import SaveMethod
from sft.exceptions import UserError
from sft.experiments.upkeep.results_view import find_experiment, unknown, view_of
from sft.leaderboard.building import leading_id
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder
from sft.terminal.streams import write_err

if TYPE_CHECKING:
    from sft.deployment.exporting.command import Exported
    from sft.deployment.new_rows.asking import NewAnswers


def predict_new(
    experiment: str,
    new_rows: str | Path,
    output: str | Path | None = None,
    results_path: str | Path = DEFAULT_RESULTS,
    *,
    read: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: write_err(f"{line}\n"),
) -> "NewAnswers":
    """Answer the rows of a file as a finished experiment answered its test rows; they need no gold.

    Its model, adapter, prompt, in-context examples, normalisation and fitted calibration are taken as they are, in a
    process of its own. Answers are appended to the output, as lines of `predictions.jsonl`; the same call goes on
    where an earlier one was stopped or killed.

    Args:
        experiment: its name, the beginning of its id, or `best`.
        new_rows: a csv, tsv, JSON, JSON Lines, Parquet or xlsx file with the columns that the prompts read.
        output: a file that ends in `.jsonl`; default: beside the input, `new.csv` gives `new.predictions.jsonl`.
        results_path: the folder that holds the experiment.
        read: keys of `dataset.read` (`encoding`, `sep`, `quote`, `field`, `sheet`), over those of the experiment.
        say: shows a line about how it goes; default: on stderr.

    Raises:
        UserError: experiment, file, columns, cells or output are not as they must be; nothing is started then.
        FolderInUse: another process writes to the output.
        SftError: the rows could not be answered; the answers before stay.
    """
    from sft.deployment.new_rows.asking import answer_file
    from sft.deployment.new_rows.finished import find_finished

    results = ResultsFolder(Path(results_path).resolve())
    found = find_finished(results, experiment, lambda: leading_id(results))
    place = None if output is None else Path(output)
    return answer_file(found, Path(new_rows), place, read or {}, say)


def export(
    experiment: str, to: str | Path, results_path: str | Path = DEFAULT_RESULTS, *, form: str = "adapter"
) -> "Exported":
    """Write what an experiment trained to a folder of one's own, with its tokenizer; nothing is trained.

    Args:
        experiment: its name, the beginning of its id, or `best`.
        to: a folder that is not there yet, or empty; of folds each has a folder `foldN` in it.
        results_path: the folder that holds the experiment.
        form: `adapter`, or one model with the adapter in its weights: `merged`, `safetensors`, `state_dict` or
            `full_model`, as `training.save_method`.

    Raises:
        UserError: none, or several, are meant; it trains nothing; the form is none or cannot be made; something is in
            the folder.
        SftError: the export failed; nothing of it is left.
    """
    from sft.deployment.exporting.command import export_experiment

    forms: tuple[SaveMethod, ...] = get_args(SaveMethod)
    chosen = next((known for known in forms if known == form), None)
    if chosen is None:
        raise UserError(f"--as {form}: no such form; there are {', '.join(forms)}")
    results = ResultsFolder(Path(results_path).resolve())
    view = view_of(results)
    found = find_experiment(view, experiment, lambda: leading_id(results))
    if found is None:
        raise unknown(view, experiment)
    return export_experiment(found, Path(to), chosen)
