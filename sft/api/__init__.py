"""What the commands and `import sft` offer; every command calls one function of this package."""

from sft.api.folders import clean, leaderboard, logs, results, status, track, verify
from sft.api.grids import GridRun, inspect, methods, plan, run, run_one, schema
from sft.experiments.grids.loading import GridOptions
from sft.experiments.running.settings import RunRequest, RunSettings
from sft.leaderboard.views.view import ViewRequest
from sft.reporting.tracked import require_tracker

__all__ = [
    "GridOptions",
    "GridRun",
    "RunRequest",
    "RunSettings",
    "ViewRequest",
    "clean",
    "inspect",
    "leaderboard",
    "logs",
    "methods",
    "plan",
    "require_tracker",
    "results",
    "run",
    "run_one",
    "schema",
    "status",
    "track",
    "verify",
]
