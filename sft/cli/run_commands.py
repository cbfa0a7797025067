"""The commands that run stages: train, predict, evaluate, run-experiment, run-experiments."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sft.cli.arguments import Config, Grid, Results, reads_grid

if TYPE_CHECKING:
    from sft.api import GridRun, RunRequest
    from sft.experiments.loading import GridOptions

RESULTS = Path("results")
SHOWN_ROWS = 3


@reads_grid
def run_experiments(grid: Grid, *, results_path: Results = RESULTS, options: Any) -> None:
    """Run a whole grid, then write the leaderboard: the main job."""
    from sft import api
    from sft.cli.board import board_text
    from sft.experiments.display import shown_path
    from sft.runs.records import read_json_or_none

    ended = api.run(grid, results_path, options)
    sys.stdout.write(f"\n{board_text(read_json_or_none(ended.results.leaderboard('json')))}\n")
    sys.stdout.write(f"{shown_path(ended.results.leaderboard('md'))}\n")
    _close(ended)


@reads_grid
def run_experiment(
    config: Config,
    *,
    results_path: Results = RESULTS,
    do_eval: Annotated[bool, typer.Option(help="Compute metrics, or write predictions only.")] = True,
    options: Any,
) -> None:
    """Run all stages of one experiment; print its metrics and three rows with prediction and gold."""
    from sft import api

    _run_one(config, results_path, options, api.RunRequest(goal="metrics" if do_eval else "predictions"))


@reads_grid
def train(config: Config, *, results_path: Results = RESULTS, options: Any) -> None:
    """Train the adapter of one experiment and print its folder."""
    from sft import api
    from sft.experiments.display import shown_path

    ended = _one(config, results_path, options, api.RunRequest(goal="adapter", adds_to_grid=False))
    if _finished(ended):
        sys.stdout.write(f"{shown_path(next(iter(ended.outcome.folders.values())).adapter)}\n")
    _close(ended)


@reads_grid
def predict(config: Config, *, results_path: Results = Path("predictions"), options: Any) -> None:
    """Write predictions for the test split, with the adapter that train made; no metrics."""
    from sft import api

    request = api.RunRequest(goal="predictions", adds_to_grid=False, trains=False)
    _run_one(config, results_path, options, request)


@reads_grid
def evaluate(config: Config, *, results_path: Results = RESULTS, options: Any) -> None:
    """Write predictions and metrics, with the adapter that train made."""
    from sft import api

    _run_one(config, results_path, options, api.RunRequest(goal="metrics", trains=False))


def _run_one(config: Path, results_path: Path, options: "GridOptions", request: "RunRequest") -> None:
    from sft.cli.tables import experiment_text
    from sft.experiments.display import shown_path

    ended = _one(config, results_path, options, request)
    if _finished(ended):
        folder = next(iter(ended.outcome.folders.values()))
        sys.stdout.write(experiment_text(folder, SHOWN_ROWS))
        sys.stdout.write(f"{shown_path(folder.path)}\n")
    _close(ended)


def _one(config: Path, results_path: Path, options: "GridOptions", request: "RunRequest") -> "GridRun":
    from sft import api

    return api.run_one(config, results_path, options, request)


def _finished(ended: "GridRun") -> bool:
    """Whether there is a result to show; a run that was stopped may lack one without any failed experiment."""
    return not ended.n_failed and ended.outcome.summary.stopped_by is None


def _close(ended: "GridRun") -> None:
    """Say how the run ended; exit 1 when an experiment failed, by the signal when it was stopped."""
    from sft.cli.ending import end_by
    from sft.experiments.display import closing_lines

    for warning in ended.plan.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    for line in closing_lines(ended.outcome.summary, ended.outcome.statuses, ended.results):
        sys.stderr.write(f"{line}\n")
    if ended.outcome.summary.stopped_by is not None:
        sys.stderr.write("stopped. Run the same command to continue.\n")
        end_by(ended.outcome.summary.stopped_by)
    if ended.n_failed:
        raise typer.Exit(1)
