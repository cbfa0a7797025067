"""The command line: each command parses, calls one function of `sft.api` and sets the exit code."""

import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from sft.cli.row_commands import errors
from sft.cli.run_commands import evaluate, export, predict, run_experiment, run_experiments, train
from sft.cli.show_commands import inspect, leaderboard, methods, new, plan, schema
from sft.cli.state_commands import clean, logs, status, verify
from sft.exceptions import MACHINE_ERRNOS, MachineError, SftError, machine_kind
from sft.processes.signals import end_by, end_on_early_signals
from sft.terminal.screen import visible
from sft.terminal.streams import steady_streams, write_err

app = typer.Typer(
    name="sft",
    help="Which few-shot set-up works for your task? Grids of prompting and fine-tuning experiments.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

INTERNAL_ERROR = 4
TYPER_INTERRUPTED = 130
"""The code that Typer ends with after Ctrl-C."""

COMMANDS: tuple[Callable[..., None], ...] = (
    run_experiments,
    run_experiment,
    train,
    predict,
    evaluate,
    new,
    plan,
    inspect,
    status,
    logs,
    verify,
    clean,
    leaderboard,
    errors,
    export,
    schema,
    methods,
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2 or 5, a bug keeps its traceback and is 4."""
    end_on_early_signals()
    with steady_streams():
        _run()


def _run() -> None:
    try:
        app()
    except SftError as error:
        write_err(f"{visible(str(error))}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        end_by(signal.SIGINT)
    except SystemExit as end:
        if end.code == TYPER_INTERRUPTED:
            end_by(signal.SIGINT)
        raise
    except OSError as error:
        if error.errno in MACHINE_ERRNOS or machine_kind(error) is not None:
            write_err(f"{error}\n")
            sys.exit(MachineError.exit_code)
        _internal_error()
    except Exception:  # noqa: BLE001  a bug is shown whole and has its own exit code
        _internal_error()


def _internal_error() -> NoReturn:
    traceback.print_exc()
    sys.exit(INTERNAL_ERROR)
