"""What the commands and `import sft` offer; every command calls one function of this package."""

from sft.api.folders import clean, leaderboard, logs, results, status, status_record, track, verify
from sft.api.grids import GridRun, inspect, methods, new, plan, run, run_one, schema
from sft.api.new_rows import export, predict_new
from sft.api.wrong_rows import errors, suspects
from sft.experiments.grids.loading import GridOptions
from sft.experiments.running.settings import RunRequest, RunSettings
from sft.leaderboard.views.view import ViewRequest
from sft.pipeline.methods import matrix_record, methods_record
from sft.reporting.tracked import require_tracker

__all__ = [
    "GridOptions",
    "GridRun",
    "RunRequest",
    "RunSettings",
    "ViewRequest",
    "clean",
    "errors",
    "export",
    "inspect",
    "leaderboard",
    "logs",
    "matrix_record",
    "methods",
    "methods_record",
    "new",
    "plan",
    "predict_new",
    "require_tracker",
    "results",
    "run",
    "run_one",
    "schema",
    "status",
    "status_record",
    "suspects",
    "track",
    "verify",
]
