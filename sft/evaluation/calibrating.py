"""Calibration of one split: the row sets that a calibrator named, as it wants them, and a record of what it did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores
from sft.calibration.selection import PER_ROW, calibrator_of, options_in_force
from sft.data.rows import rows_at
from sft.evaluation.normalization import SavedScores, Scores, ScoringRule
from sft.exceptions import StageFailure, UserError
from sft.runs.records import EVAL
from sft.tasks.examples import TRAIN
from sft.tasks.inputs import Inputs
from sft.tasks.row_sets import RowSet

SEEN = "seen"
"""Stands among saved scores for those of the test rows of a finished experiment, when other rows are calibrated as
these were.
"""

ROWS_PER_LABEL = 10
"""With fewer evaluated rows than this for each label, what they have in common is much of what they are."""


@dataclass(frozen=True)
class CalibratedSplit:
    """Scores of one split as the calibrator gave them back, and what `details` says of it."""

    scores: Scores
    record: dict[str, Any]


@dataclass(frozen=True)
class Calibration:
    """The calibrator of an experiment with its options in force."""

    name: str
    calibrator: Calibrator[Any]
    options: Options
    inputs: Inputs

    @classmethod
    def of(cls, inputs: Inputs, folder: Path) -> "Calibration | None":
        """That of an experiment; None where there is none. An own one is imported from `folder`."""
        config = inputs.config
        if config.calibration == "none":
            return None
        calibrator = calibrator_of(config.calibration, folder)
        return cls(config.calibration, calibrator, calibrator.options(**options_in_force(config)), inputs)

    @property
    def row_sets(self) -> tuple[str, ...]:
        """The row sets it reads beside the evaluated rows."""
        return tuple(name for name in self.calibrator.row_sets(self.options) if name != EVAL)

    def require_applicable(self) -> None:
        """Make sure that what was fitted can be applied to rows that were not there then.

        Raises:
            UserError: it looks at all evaluated rows at once, and nothing says what it finds in them.
        """
        if self.calibrator.uses_evaluated_rows and self.calibrator.calibrate_new is None:
            raise UserError(
                f"calibration_fn {self.name!r} looks at all evaluated rows at once, so it cannot be applied to new "
                "ones; if it looks at each row alone, say so in its file: FUNCTION.uses_evaluated_rows = False"
            )

    def run(self, split: str, saved: Mapping[str, SavedScores], rule: ScoringRule) -> CalibratedSplit:
        """Calibrate the evaluated rows of a split.

        Args:
            split: `dev` or `test`.
            saved: the scores of each row set; under `SEEN` those of the rows that a calibrator of all evaluated rows
                looks at in place of the split's own.
            rule: how they are compared, the same for all of them.

        Raises:
            StageFailure: a row set holds other rows than this experiment's.
        """
        scores = rule.scores(saved[EVAL].of_split(split))
        found = {name: self._row_set(RowSet.parse(name), split, saved, rule) for name in self.row_sets}
        seen = saved.get(SEEN)
        if seen is None or self.calibrator.calibrate_new is None:
            calibrated = self.calibrator.calibrate(scores, found, self.options)
        else:
            before = rule.scores(seen.of_split("test"))
            calibrated = self.calibrator.calibrate_new(scores, before, found, self.options)
        return CalibratedSplit(calibrated.scores, self._record(calibrated, found, saved))

    def _row_set(
        self, row_set: RowSet, split: str, saved: Mapping[str, SavedScores], rule: ScoringRule
    ) -> RowSetScores:
        own = saved[row_set.name]
        if row_set.kind == "train":
            return RowSetScores(rule.scores(own), self._gold(own))
        if not row_set.per_row:
            return RowSetScores(rule.scores(own))
        own, owners = own.of_split(split), saved[EVAL].of_split(split).source_index
        if own.source_index.tolist() != np.repeat(owners, row_set.size).tolist():
            raise StageFailure(f"row set {row_set.name!r} holds prompts of other {split} rows", kind="no_result")
        scores = rule.scores(own)
        return RowSetScores(scores.reshape(len(owners), row_set.size, scores.shape[-1]))

    def _gold(self, saved: SavedScores) -> Any:
        """Positions of the gold labels of rows of the pool."""
        labels, column = self.inputs.labels, self.inputs.config.prompting.output_column
        if labels is None:
            raise ValueError("calibration needs a label set")
        indices = saved.source_index.tolist()
        by_index = rows_at(self.inputs.selection.pool, indices)
        missing = [index for index in indices if index not in by_index]
        if missing:
            raise StageFailure(f"train rows {missing[:5]} were scored and are not in the pool", kind="no_result")
        gold = [labels.index(by_index[index].text(column)) for index in indices]
        return np.array(gold, dtype=np.int64)

    def _record(
        self, calibrated: Calibrated, found: Mapping[str, RowSetScores], saved: Mapping[str, SavedScores]
    ) -> dict[str, Any]:
        labelled = [name for name in found if RowSet.parse(name).kind == TRAIN]
        return {
            "calibration_fn": self.name,
            "options": self.options.model_dump(mode="json"),
            "row_sets": {name: int(np.prod(rows.scores.shape[:-1])) for name, rows in found.items()},
            "train_indices": {name: saved[name].source_index.tolist() for name in labelled},
            "trained_on": self.inputs.config.trains if labelled else None,
            "uses_evaluated_rows": self.calibrator.uses_evaluated_rows,
            "fitted": calibrated.details,
            "warnings": list(self._warnings(calibrated, bool(labelled))),
        }

    def _warnings(self, calibrated: Calibrated, labelled: bool) -> Iterator[str]:
        """What a reader must know of the numbers; alike texts are told once on a board."""
        rows, labels = calibrated.scores.shape
        if self.calibrator.uses_evaluated_rows:
            yield "calibration looks at the scores of all evaluated rows at once (not at their labels)"
            if rows < ROWS_PER_LABEL * labels:
                yield f"calibration has fewer than {ROWS_PER_LABEL} evaluated rows per label to look at"
        if labelled and self.inputs.config.trains:
            yield "calibration was fitted on rows that were also trained on, which look easier than new ones"
        if self.inputs.config.draws_examples_per_row and getattr(self.options, PER_ROW, None) is False:
            yield f"each row has examples of its own, and the prior is that of one fixed set ({PER_ROW}: true)"
