"""What a calibrator is, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Scores = NDArray[np.float64]


class Options(BaseModel):
    """Base of the options of a calibrator: strict, frozen, unknown ones refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class RowSetScores:
    """The normalised label scores of a row set that a calibrator named.

    Attributes:
        scores: (rows, labels), in nats; of a `per_row` set (evaluated rows, prompts of each, labels).
        gold: (rows,) position of each row's gold label; None of prompts without content.
    """

    scores: Scores
    gold: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Calibrated:
    """What a calibrator gives back.

    Attributes:
        scores: (rows, labels); their softmax over the labels are the calibrated probabilities.
        details: what was fitted (a temperature, a strength, the prior), as JSON values.
    """

    scores: Scores
    details: dict[str, Any] = field(default_factory=dict)


Calibrate = Callable[[Scores, Mapping[str, RowSetScores], OptionsT], Calibrated]
"""Pure: (rows, labels) scores of the evaluated rows of one split, the named row sets, and the options."""


CalibrateNew = Callable[[Scores, Scores, Mapping[str, RowSetScores], OptionsT], Calibrated]
"""Pure: (new rows, labels) scores, (rows, labels) scores of the evaluated rows, the named row sets, the options."""


@dataclass(frozen=True)
class Calibrator(Generic[OptionsT]):
    """An entry of the registry.

    Attributes:
        options: its options, each with a docstring.
        row_sets: names of the row sets that it needs beside the evaluated rows (`sft.tasks.row_sets`).
        calibrate: the calibration itself.
        uses_evaluated_rows: whether it looks at the scores of all evaluated rows at once (transductive).
        summary: one line for `sft methods`.
        calibrate_new: of one that looks at all evaluated rows: what it found in them, applied to other rows; None
            where it cannot be, or where `calibrate` looks at each row alone.
    """

    options: type[OptionsT]
    row_sets: Callable[[OptionsT], tuple[str, ...]]
    calibrate: Calibrate[OptionsT]
    summary: str
    uses_evaluated_rows: bool = False
    calibrate_new: CalibrateNew[OptionsT] | None = None
