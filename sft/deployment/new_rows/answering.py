"""Answers new rows with a finished experiment, a few at a time, through the very stages that answered its own rows."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sft.data.rows import Row, Split, Splits
from sft.data.selection import Selection
from sft.deployment.new_rows.finished import FinishedExperiment
from sft.evaluation.calibrating import SEEN, Calibration
from sft.evaluation.outputs import read_outputs
from sft.evaluation.predictions import prediction_records
from sft.exceptions import ChangedInput, DataError
from sft.inference.answering import Asked, answering_of
from sft.inference.options import is_sampling, sampling_batch_size
from sft.inference.stage import Ready, load_ready
from sft.labels.label_set import LabelSet
from sft.registry import run_snapshots
from sft.runs.files import JobFolder
from sft.runs.records import EVAL
from sft.tasks.examples import InferenceExamples
from sft.tasks.inputs import Inputs, planned_inputs, task_of
from sft.tasks.row_sets import RowSet

TEST = "test"
"""New rows take the place of the test rows: row 7 of a file has the draws of test row 7."""
ROWS_AT_ONCE: Mapping[str, int] = {"cpu": 32}
ROWS_AT_ONCE_ELSEWHERE = 512
"""Rows whose answers are written together: few enough that a kill costs little, enough to fill forward passes."""


@dataclass(frozen=True)
class Answerer:
    """A finished experiment with its model loaded."""

    experiment: FinishedExperiment
    inputs: Inputs
    ready: Ready
    scratch: Path
    """A folder for what the stages hand on."""

    @property
    def rows_at_once(self) -> int:
        """How many rows are best answered together; where texts are drawn at random, whole batches.

        What finds the nearest training rows is made anew for each group, which is worth many rows.
        """
        inference = self.inputs.config.inference
        device = "any" if inference.icl_selection == "nearest" else self.ready.model.device.type
        rows = ROWS_AT_ONCE.get(device, ROWS_AT_ONCE_ELSEWHERE)
        batch = sampling_batch_size(inference.batch_size) if is_sampling(inference.generation_args) else 1
        return -(-rows // batch) * batch

    def records(self, rows: Sequence[Row], first: int, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """The answers to some rows, as lines of `predictions.jsonl`.

        Args:
            rows: consecutive rows.
            first: how many rows were answered before.
            progress: called with the rows done and all rows.

        Raises:
            DataError: a row is too long after all cuts.
        """
        inputs = _asked_about(self.inputs, rows)
        infers, shown = self._infers(inputs, first, progress)
        folder = Path(self.experiment.record.config_folder)
        output = read_outputs(infers, inputs, folder)[TEST]
        examples = shown if inputs.config.draws_examples_per_row else None
        return prediction_records(rows, output, None, inputs.config.prompting.output_column, examples, first)

    def _infers(
        self, inputs: Inputs, first: int, progress: Callable[[int, int], None]
    ) -> tuple[dict[str, JobFolder], list[Sequence[int]]]:
        """The infer stage of each row set: the experiment's own, but of rows; and the examples of each row."""
        found = {**self.experiment.infers, SEEN: self.experiment.infers[EVAL]}
        examples: list[Sequence[int]] = []
        for number, name in enumerate(self.experiment.infers):
            if name != EVAL and not RowSet.parse(name).per_row:
                continue
            job = JobFolder(self.scratch / str(number))
            prompted = self.ready.prompted(inputs, name)
            shown = progress if name == EVAL else _untold
            asked = Asked(inputs, self.ready.maker, self.ready.model, prompted, self.ready.pass_limits, shown, first)
            answering_of(inputs.config).answer(asked, job)
            found[name] = job
            if name == EVAL:
                examples = [row.examples for row in prompted[TEST]]
        return found, examples


def load_answerer(experiment: FinishedExperiment, scratch: Path, memory_step: int) -> Answerer:
    """Load what a finished experiment answered its rows with.

    Raises:
        DataError: data, model or own code changed since, or the examples of this version would be others.
        UserError: its calibrator cannot be applied to other rows.
    """
    try:
        return _loaded(experiment, scratch, memory_step)
    except ChangedInput as error:
        raise DataError(
            f"{error.name} is not what it was when {experiment.title} ran, and new rows are answered with what it "
            "was then; put it back, or run the grid again"
        ) from error


def _loaded(experiment: FinishedExperiment, scratch: Path, memory_step: int) -> Answerer:
    inputs = _inputs(experiment)
    folder = Path(experiment.record.config_folder)
    calibration = Calibration.of(inputs, folder)
    if calibration is not None:
        calibration.require_applicable()
    _check_examples(inputs, experiment)
    job = dataclasses.replace(experiment.model_job, memory_step=memory_step)
    return Answerer(experiment, inputs, load_ready(inputs, experiment.infers[EVAL], job), scratch)


def answered(
    answerer: Answerer, rows: Iterator[Row], first: int, size: int, progress: Callable[[int], None]
) -> Iterator[list[dict[str, Any]]]:
    """The answers to rows, some at a time.

    Args:
        answerer: of the experiment.
        rows: those that are still to be answered.
        first: how many were answered before.
        size: rows that are answered together.
        progress: called with the rows done so far.
    """
    while together := tuple(islice(rows, size)):
        yield answerer.records(together, first, _counted_from(first, progress))
        first += len(together)


def _counted_from(first: int, progress: Callable[[int], None]) -> Callable[[int, int], None]:
    """Progress among rows that are answered together, as progress among all."""
    return lambda done, _total: progress(first + done)


def _inputs(experiment: FinishedExperiment) -> Inputs:
    """The experiment's rows where its training rows are needed, else its labels alone."""
    record = experiment.record
    config, folder = record.experiment, Path(record.config_folder)
    run_snapshots(record.code, folder)
    if experiment.reads_pool:
        return planned_inputs(config, folder, record.fingerprints)
    pairs = record.fingerprints.get("labels")
    labels = LabelSet(*(tuple(part) for part in zip(*pairs, strict=True))) if pairs else None
    nothing = Splits(None, None, Split(TEST, (), ()), {})
    return Inputs(config, task_of(config), labels, nothing, Selection((), (), None, ()))


def _asked_about(inputs: Inputs, rows: Sequence[Row]) -> Inputs:
    """The experiment with new rows for its test rows, and no dev rows."""
    splits = dataclasses.replace(inputs.splits, test=Split(TEST, tuple(rows[0].values), rows), dev=None)
    return dataclasses.replace(
        inputs, splits=splits, selection=dataclasses.replace(inputs.selection, test=rows, dev=None)
    )


def _check_examples(inputs: Inputs, experiment: FinishedExperiment) -> None:
    """Compare the in-context examples of the first test row with those that were recorded.

    Raises:
        DataError: they are others.
    """
    recorded = experiment.inference.get("examples", {}).get(TEST)
    if not inputs.config.inference.icl_examples or not recorded or not inputs.selection.test:
        return
    rounds = InferenceExamples(inputs).of(TEST, inputs.selection.test[0])
    drawn = [row.source_index for examples in rounds for row in examples]
    if drawn[len(drawn) - len(recorded[0]) :] != recorded[0]:  # what is cut stood in front
        raise DataError(
            f"{experiment.title}: its in-context examples were rows {recorded[0]}, and this version of sft would show "
            f"{drawn}; run its grid again into a new results folder"
        )


def _untold(_done: int, _total: int) -> None:
    """The progress of prompts beside the rows, of which nobody is told."""
