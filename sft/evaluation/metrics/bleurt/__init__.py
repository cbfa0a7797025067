"""BLEURT, the mean over rows (Sellam et al., 2020): needs the `bleurt` package (TensorFlow) and a checkpoint."""

import math

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry, RequiredPackage


class Options(Section):
    """Arguments of `bleurt`."""

    bleurt_checkpoint: str | None = None
    """Folder of a BLEURT checkpoint, such as an unpacked BLEURT-20; default the small one inside the package."""


METRIC = MetricEntry(
    results=("bleurt",),
    module="sft.evaluation.metrics.bleurt.module:Bleurt",
    needs="texts",
    task_types=WRITTEN,
    range=(-math.inf, None),
    row_sums="sft.evaluation.metrics.row_sums:mean_of_rows",
    options=Options,
    paths=("bleurt_checkpoint",),
    package=RequiredPackage("bleurt", "pip install git+https://github.com/google-research/bleurt.git"),
    on_gpu=True,
)
