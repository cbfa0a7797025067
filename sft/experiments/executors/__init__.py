"""Where jobs run: the protocol, what every executor of processes needs, and a folder for each executor."""

from collections.abc import Callable

from sft.exceptions import UserError
from sft.experiments.executors.protocol import Executor, ExecutorOptions, MakeExecutor
from sft.registry import Registry, load, unknown_name

executor_registry: Registry = {
    "local": "sft.experiments.executors.local.executor:LocalExecutor",
    "ray": "sft.experiments.executors.ray.cluster:RayExecutor",
    "slurm": "sft.experiments.executors.slurm.cluster:SlurmExecutor",
}


def make_executor(options: ExecutorOptions, say: Callable[[str], None]) -> Executor:
    """The executor that the user chose.

    Args:
        options: what the user chose.
        say: called with a line for the user.

    Raises:
        UserError: there is no such executor, or it has no such option.
    """
    if options.executor not in executor_registry:
        raise UserError(f"--executor {unknown_name('executor', options.executor, executor_registry)}")
    make: MakeExecutor = load(executor_registry, options.executor, "executor")
    return make(options, say)
