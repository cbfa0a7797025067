"""The commands that run stages: train, predict, evaluate, run-experiment, run-experiments, export."""

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from sft.cli.arguments import Config, Grid, Results, pairs, reads_grid
from sft.cli.options import (
    ConfigOrId,
    Detach,
    Executor,
    ExecutorOption,
    FailFast,
    ForkTimeout,
    Gpus,
    Grace,
    Jobs,
    JobsPerGpu,
    NewRows,
    OnOom,
    Output,
    PredictionsPath,
    Retries,
    RetryFailed,
    Reuse,
    StallTimeout,
    Start,
    StartTimeout,
    Timeout,
    Top,
    Tracker,
)
from sft.processes.signals import end_by
from sft.runs.files import DEFAULT_RESULTS
from sft.terminal.command_line import shown_command
from sft.terminal.streams import write_err, write_out

if TYPE_CHECKING:
    from sft.api import GridRun, RunRequest
    from sft.experiments.executors.options import StartChoice
    from sft.experiments.grids.loading import GridOptions
    from sft.experiments.running.run_plan import RunOutcome
    from sft.experiments.running.settings import OnOutOfMemory
    from sft.runs.files import ResultsFolder

SHOWN_ROWS = 3


@reads_grid
def run_experiments(
    grid: Grid,
    *,
    results_path: Results = DEFAULT_RESULTS,
    executor: Executor = None,
    executor_option: ExecutorOption = None,
    detach: Detach = False,
    jobs: Jobs = None,
    gpus: Gpus = "all",
    jobs_per_gpu: JobsPerGpu = 1,
    start: Start = "auto",
    timeout: Timeout = None,
    stall_timeout: StallTimeout = None,
    start_timeout: StartTimeout = None,
    fork_timeout: ForkTimeout = None,
    grace: Grace = 30.0,
    retries: Retries = 1,
    on_oom: OnOom = "ladder",
    fail_fast: FailFast = False,
    retry_failed: RetryFailed = False,
    reuse: Reuse = None,
    tracker: Tracker = None,
    top: Top = None,
    options: Any,
) -> None:
    """Run a whole grid, then write the leaderboard: the main job."""
    from sft import api

    limits = api.RunSettings(timeout=timeout, stall_timeout=stall_timeout, grace=grace, retries=retries, jobs=jobs)
    place = dataclasses.replace(limits, executor=executor, gpus=gpus, jobs_per_gpu=jobs_per_gpu, fail_fast=fail_fast)
    place = dataclasses.replace(place, detach=detach, start_timeout=start_timeout, fork_timeout=fork_timeout)
    settings = dataclasses.replace(
        place,
        executor_options=pairs(executor_option, "--executor-option"),
        start=cast("StartChoice", start),
        on_oom=cast("OnOutOfMemory", on_oom),
        retry_failed=retry_failed,
        reuse=tuple(reuse or ()),
    )
    _close_grid(api.run(grid, results_path, options, settings, tracker=tracker), top)


@reads_grid
def run_experiment(
    config: Config,
    *,
    results_path: Results = DEFAULT_RESULTS,
    do_eval: Annotated[bool, typer.Option(help="Compute metrics, or write predictions only.")] = True,
    reuse: Reuse = None,
    options: Any,
) -> None:
    """Run all stages of one experiment; print its metrics and three rows with prediction and gold."""
    from sft import api

    _run_one(config, results_path, options, api.RunRequest(goal="metrics" if do_eval else "predictions"), reuse)


@reads_grid
def train(config: Config, *, results_path: Results = DEFAULT_RESULTS, options: Any) -> None:
    """Train the adapter of one experiment, of each fold one, and print its folder."""
    from sft import api
    from sft.wording import shown_path

    ended = _one(config, results_path, options, api.RunRequest(goal="adapter", adds_to_grid=False))
    if _finished(ended):
        write_out("".join(f"{shown_path(folder.adapter)}\n" for folder in ended.outcome.folders.values()))
    close(ended.outcome, ended.results)


@reads_grid
def predict(
    config: ConfigOrId,
    *,
    new_rows: NewRows = None,
    output: Output = None,
    results_path: PredictionsPath = None,
    options: Any,
) -> None:
    """Write predictions: of a CONFIG for its test split, no metrics; with ID --input FILE for new rows.

    The second form takes the experiment's model, adapter, prompt, examples and fitted calibration as they are, and
    goes on where it was stopped.
    """
    from sft import api
    from sft.cli.new_rows import predict_new_rows
    from sft.exceptions import UserError

    if new_rows is not None:
        predict_new_rows(config, new_rows, output, results_path, options)
        return
    if output is not None:
        raise UserError("--output: goes with --input; the predictions of a config lie under --results-path")
    if not Path(config).suffix and not Path(config).exists():
        raise UserError(f"{config}: no such config; to answer new rows with an experiment, add --input FILE")
    request = api.RunRequest(goal="predictions", adds_to_grid=False, trains=False)
    _run_one(Path(config), results_path or Path("predictions"), options, request)


@reads_grid
def evaluate(config: Config, *, results_path: Results = DEFAULT_RESULTS, options: Any) -> None:
    """Write predictions and metrics, with the adapter that train made."""
    from sft import api

    _run_one(config, results_path, options, api.RunRequest(goal="metrics", trains=False))


def export(
    experiment: Annotated[str, typer.Argument(metavar="ID", help="A name, the beginning of an id, or `best`.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is not there yet, or empty.")],
    form: Annotated[
        str, typer.Option("--as", metavar="adapter|merged|...", help="Also safetensors, state_dict, full_model.")
    ] = "adapter",
    results_path: Results = DEFAULT_RESULTS,
) -> None:
    """Write the adapter of an experiment, or one model with it in its weights, to a folder for other programs."""
    from sft import api
    from sft.wording import shown_path

    exported = api.export(experiment, to, results_path, form=form)
    if exported.stopped_by is not None:
        end_by(signal.SIGINT if exported.stopped_by == signal.SIGINT else signal.SIGTERM)
    write_err(f"{exported.experiment} exported as {form}\n")
    write_out("".join(f"{shown_path(folder)}\n" for folder in exported.folders))


def _run_one(
    config: Path,
    results_path: Path,
    options: "GridOptions",
    request: "RunRequest",
    reuse: list[Path] | None = None,
) -> None:
    from sft.terminal.run_summary import experiment_text
    from sft.wording import shown_path

    ended = _one(config, results_path, options, request, reuse)
    if _finished(ended):
        folder = next(iter(ended.outcome.folders.values()))
        write_out(experiment_text(folder, SHOWN_ROWS))
        write_out("".join(f"{shown_path(path)}\n" for path in (*folder.written_results(), folder.path)))
    close(ended.outcome, ended.results)


def _one(
    config: Path,
    results_path: Path,
    options: "GridOptions",
    request: "RunRequest",
    reuse: list[Path] | None = None,
) -> "GridRun":
    from sft import api

    return api.run_one(config, results_path, options, request, reuse=reuse or ())


def _finished(ended: "GridRun") -> bool:
    """Whether there is a result to show; a run that was stopped may lack one without any failed experiment."""
    return not ended.n_failed and ended.outcome.summary.stopped_by is None


def _close_grid(ended: "GridRun", top: int | None) -> None:
    """Show the leaderboard, then say how the run ended."""
    from sft.runs.records import read_json_or_none
    from sft.terminal.board import board_text
    from sft.terminal.screen import screen_of
    from sft.wording import shown_path

    is_over = ended.outcome.summary.detached is None
    board = read_json_or_none(ended.results.leaderboard("json")) if is_over else None
    if board is not None:
        screen = screen_of(sys.stdout)
        text = board_text(board, screen.width, colour=screen.colour, top=top)
        files = "".join(f"{shown_path(ended.results.leaderboard(ending))}\n" for ending in ("md", "html"))
        write_out(f"\n{text}\n{files}")
    close(ended.outcome, ended.results, _command_with("--retry-failed"))


def close(outcome: "RunOutcome", results: "ResultsFolder", retry: str | None = None) -> None:
    """Say how a run ended, and end with the code that says it.

    By the signal when it was stopped, 5 when the machine must change, 1 when an experiment or an export failed.

    Args:
        outcome: what it left.
        results: where.
        retry: the command that runs again what failed.
    """
    from sft.exceptions import MachineError
    from sft.terminal.run_summary import Ending, closing_lines

    summary = outcome.summary
    stopped = summary.stopped_by is not None
    ending = Ending(results, outcome.seconds, stopped, retry, summary.detached)
    lines = closing_lines(outcome.facts(), ending)
    machine = [*outcome.unwritten, *([summary.machine] if summary.machine else [])]
    lines += [*([summary.halted] if summary.halted else []), *outcome.warnings, *machine]
    write_err("".join(f"{line}\n" for line in lines))
    if summary.stopped_by is not None:
        end_by(signal.SIGINT if summary.stopped_by == signal.SIGINT else signal.SIGTERM)
    if machine:
        sys.exit(MachineError.exit_code)
    if outcome.statuses or outcome.unexported:
        sys.exit(1)


def _command_with(option: str) -> str:
    """This command, with an option that it may have already."""
    words = [word for word in sys.argv[1:] if word != option]
    return shown_command(["sft", *words, option], os.environ)
