"""Where jobs run: the protocol, what every executor of processes needs, and a folder for each executor."""

from collections.abc import Callable

from sft.exceptions import UserError
from sft.experiments.executors.options import LOCAL, ExecutorOptions
from sft.experiments.executors.protocol import Executor, MakeExecutor
from sft.registry import Registry, load, unknown_name

executor_registry: Registry = {
    "local": "sft.experiments.executors.local.executor:LocalExecutor",
    "ray": "sft.experiments.executors.ray.cluster:RayExecutor",
    "slurm": "sft.experiments.executors.slurm.cluster:SlurmExecutor",
}

option_registry: Registry = {
    "ray": "sft.experiments.executors.ray.options:RayOptions",
    "slurm": "sft.experiments.executors.slurm.options:SlurmOptions",
}
"""The options of those that have some."""


def make_executor(options: ExecutorOptions, say: Callable[[str], None]) -> Executor:
    """The executor that the user chose.

    Args:
        options: what the user chose.
        say: called with a line for the user.

    Raises:
        UserError: there is no such executor, it has no such option, or its jobs end with a run that is to leave them.
    """
    name = options.executor or LOCAL
    if name not in executor_registry:
        raise UserError(f"--executor {unknown_name('executor', name, executor_registry)}")
    make: MakeExecutor = load(executor_registry, name, "executor")
    made = make(options, say)
    if options.detach and not made.outlives_runner:
        raise UserError(f"--detach: what runs on {name} ends with the command; take --executor slurm, or leave it out")
    return made
