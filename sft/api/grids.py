"""What makes or takes a grid: draft, check, run, look into one experiment; and what may be written in one."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.experiment import config_schema
from sft.experiments.drafting.draft import draft
from sft.experiments.drafting.reading import bring
from sft.experiments.drafting.text import grid_text
from sft.experiments.executors import make_executor
from sft.experiments.executors.choice import in_force, read_choice
from sft.experiments.executors.protocol import to_stderr
from sft.experiments.grids.loading import GridOptions, RawGrid, load_grid, load_one
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.planning import plan_grid
from sft.experiments.reusing.other_results import other_results
from sft.experiments.running.board_refresh import UNDER_WAY, board_starter, last_refresh, no_board
from sft.experiments.running.display import Display
from sft.experiments.running.grid_files import read_grid
from sft.experiments.running.run_plan import RunOutcome, Watchers, commits_in_force, run_plan
from sft.experiments.running.settings import RunRequest, RunSettings
from sft.experiments.running.stage_costs import StageCosts, row_counts
from sft.experiments.running.trained_adapters import require_adapters, require_training
from sft.pipeline.methods import matrix_record, methods_record
from sft.reporting.tracked import last_log, require_tracker
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder
from sft.runs.hub_contact import asked_anew
from sft.runs.lock import locked
from sft.runs.notices import told_to
from sft.terminal.live.lines import display_for
from sft.terminal.methods import matrix_lines, method_lines

Grid = str | Path | Mapping[str, Any] | list[Any]

DEFAULT_OPTIONS = GridOptions()
DEFAULT_SETTINGS = RunSettings()


@dataclass(frozen=True)
class GridRun:
    """A run that has ended."""

    plan: GridPlan
    outcome: RunOutcome
    results: ResultsFolder

    @property
    def n_failed(self) -> int:
        """Experiments that did not reach their goal."""
        return len(self.outcome.statuses)


@asked_anew()
def new(
    data: str | Path,
    inputs: Sequence[str] = (),
    label: str | None = None,
    *,
    task: str | None = None,
    model: str | None = None,
) -> str:
    """A first grid in Jsonnet, to be written into the working directory; it runs as it is.

    Args:
        data: a file, a folder, a saved data set or a hub id; a local path is relative to the working directory.
        inputs: the columns that the model reads; none where a text is learned whole.
        label: the column that is predicted, or learned whole; not needed where it is the only one.
        task: a task type, such as `summarization`; None = by what that column holds.
        model: its name; None = a small one on the hub.

    Raises:
        UserError: the columns are not given or not there (with those that are), or the data cannot be read.
        MachineError: the data cannot be read on this machine.
    """
    return grid_text(draft(bring(str(data), Path.cwd()), inputs, label, task, model))


@asked_anew()
def plan(
    grid: Grid,
    options: GridOptions = DEFAULT_OPTIONS,
    results_path: str | Path = DEFAULT_RESULTS,
    reuse: Sequence[Path] = (),
) -> GridPlan:
    """Expand and check a grid; nothing is run.

    Args:
        grid: path of a Jsonnet or JSON file, or the value itself.
        options: overrides, seed, names, Jsonnet variables.
        results_path: the folder whose pinned hub commits are kept.
        reuse: other results folders whose finished stages count; theirs are kept where that folder has none.

    Raises:
        InvalidExperiments: all that is wrong, of all experiments.
        UserError: a folder to reuse is not there.
    """
    folder = ResultsFolder(Path(results_path))
    pinned = commits_in_force(folder, other_results(reuse, folder))
    loaded = load_grid(grid, options)
    read_choice(loaded.executor)  # a wrong option is told before data is read
    return plan_grid(loaded, pinned, with_profiles=True)


def run(
    grid: Grid,
    results_path: str | Path = DEFAULT_RESULTS,
    options: GridOptions = DEFAULT_OPTIONS,
    settings: RunSettings = DEFAULT_SETTINGS,
    display: Display | None = None,
    tracker: str | None = None,
) -> GridRun:
    """Run a grid: every stage that is not done, each in a process of its own, then the leaderboard.

    Args:
        grid: path of a Jsonnet or JSON file, or the value itself.
        results_path: the folder the results go to.
        options: overrides, seed, names, Jsonnet variables.
        settings: how the grid is run: jobs, GPUs, limits, retries.
        display: shows how it goes; default: a table on a terminal, else lines on stderr.
        tracker: where the results are logged when the last job has ended, such as `mlflow`.

    Raises:
        UserError: there is no such executor, it has no such option, or it cannot be left while it runs.
        InvalidExperiments: something is wrong with the grid; nothing was started.
        FolderInUse: another run has the results folder.
        MachineError: a GPU is asked for that is not there, or the tracker's package is not installed.
    """
    request = RunRequest(goal="metrics", sets_grid=options.only is None, tracker=tracker)
    loaded = load_grid(grid, options)
    settings = in_force(settings, read_choice(loaded.executor))
    make_executor(settings, to_stderr)
    return _run(loaded, Path(results_path), request, settings, display)


def run_one(
    config: Grid,
    results_path: Path,
    options: GridOptions,
    request: RunRequest,
    display: Display | None = None,
    reuse: Sequence[Path] = (),
) -> GridRun:
    """Run the stages of one experiment: train it, predict with it, or measure it; what failed before is tried again.

    Finished stages of the folders `reuse` are taken from there.

    Raises:
        UserError: the grid holds several experiments, the config trains nothing, or its adapter is not trained yet.
    """
    settings = dataclasses.replace(DEFAULT_SETTINGS, retry_failed=True, reuse=tuple(reuse))
    return _run(load_one(config, options), results_path, request, settings, display)


@asked_anew()
def inspect(
    config: Grid,
    rows: int,
    options: GridOptions = DEFAULT_OPTIONS,
    results_path: str | Path = DEFAULT_RESULTS,
    lm_eval: str | Path | None = None,
) -> dict[str, Any]:
    """The first rows of each split of one experiment exactly as training and scoring will see them.

    Args:
        config: path of a config, or the value itself.
        rows: rows of each split.
        options: overrides, seed, name, Jsonnet variables.
        results_path: the folder whose pinned hub commits are kept, and which holds the adapter for `lm_eval`.
        lm_eval: a folder for the test rows as a task of lm-evaluation-harness; `lm_eval` of the result says how to run
            it. The adapter must be trained, and lm-eval must read every row as the same ids.
    """
    from sft.deployment.lm_eval_command import write_lm_eval_task
    from sft.pipeline.inspection import inspect_experiment

    folder = ResultsFolder(Path(results_path))
    one = load_one(config, options)
    checked = plan_grid(one, read_grid(folder).pinned, with_gold=False, may_train=False)
    written = {} if lm_eval is None else {"lm_eval": write_lm_eval_task(checked, folder, Path(lm_eval).resolve())}
    return inspect_experiment(checked.experiments[0].experiment, rows) | written


def schema() -> dict[str, Any]:
    """The JSON Schema of a config."""
    return config_schema()


def methods(*, matrix: bool = False) -> str:
    """Adapters, initialisers, metrics and tasks by name, with what each supports.

    Args:
        matrix: which adapter methods train which kinds of stored weights, instead.
    """
    return "\n".join(matrix_lines(matrix_record()) if matrix else method_lines(methods_record()))


@asked_anew()
def _run(
    grid: RawGrid, results_path: Path, request: RunRequest, settings: RunSettings, display: Display | None
) -> GridRun:
    results_folder = ResultsFolder(results_path.resolve())
    if request.tracker is not None:
        require_tracker(request.tracker)
    others = other_results(settings.reuse, results_folder)
    pinned = commits_in_force(results_folder, others, looks_in_default=not request.trains)
    checked = plan_grid(grid, pinned, with_gold=request.goal == "metrics", may_train=request.trains)
    if request.goal == "adapter":
        require_training(checked)
    if not request.trains:
        require_adapters(checked, results_folder)
    costs = StageCosts(row_counts(checked.experiments))
    display = display or display_for(costs=costs)
    with told_to(display.say), locked(results_folder, starting=True):
        costs.learn_from(results_folder)
        board = board_starter(results_folder, UNDER_WAY) if request.adds_to_grid else no_board
        watchers = Watchers(display, board, costs)
        for warning in checked.warnings:
            watchers.display.say(f"warning: {warning}")
        outcome = run_plan(checked, results_folder, request, settings, watchers)
        is_stopped = outcome.summary.stopped_by is not None
        ended = not is_stopped and outcome.summary.detached is None
        options = () if ended else (UNDER_WAY,)  # a run that is stopped, or leaves, begins nothing that takes seconds
        start_last = board_starter(results_folder, *options) if request.adds_to_grid else no_board
        last = last_refresh(start_last, results_folder, was_stopped=is_stopped)
        outcome.summary.stopped_by = outcome.summary.stopped_by or last.stopped_by
        unwritten = (*outcome.unwritten, *last.unwritten)
        if request.tracker is not None and ended and outcome.summary.stopped_by is None:
            unwritten += last_log(results_folder, request.tracker, watchers.display.say)
        outcome = dataclasses.replace(outcome, unwritten=unwritten, warnings=last.warnings)
    return GridRun(plan=checked, outcome=outcome, results=results_folder)
