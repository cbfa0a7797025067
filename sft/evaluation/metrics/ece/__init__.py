"""Expected calibration error of the predicted label's probability, 0 to 1; lower is better.

Rows fall into bins of equal width by the probability of their most probable label; a bin's gap is the distance between
its accuracy and its mean probability. `l1`: mean gap over rows (Guo et al., 2017); `l2`: root of the mean squared gap;
`max`: the largest gap.
"""

from typing import Annotated, Literal

from pydantic import Field

from sft.config.section import Section
from sft.evaluation.metrics.entry import CLASSIFICATION, MetricEntry


class Options(Section):
    """Arguments of `ece`."""

    ece_bins: Annotated[int, Field(ge=1)] = 10
    """Number of bins of equal width between 0 and 1; default 10."""

    ece_norm: Literal["l1", "l2", "max"] = "l1"
    """How the bins' gaps become one number; default l1."""


METRIC = MetricEntry(
    results=("ece",),
    module="sft.evaluation.metrics.ece.module:ExpectedCalibrationError",
    needs="probabilities",
    task_types=CLASSIFICATION,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.ece.row_sums:ece_sums",
    higher_is_better=False,
    options=Options,
)
