"""Where jobs run: the protocol, what every executor of processes needs, and a folder for each executor."""

from collections.abc import Callable

from sft.experiments.executors.protocol import Executor, ExecutorOptions, MakeExecutor
from sft.registry import Registry, load

executor_registry: Registry = {
    "local": "sft.experiments.executors.local.executor:LocalExecutor",
}


def make_executor(options: ExecutorOptions, say: Callable[[str], None], name: str = "local") -> Executor:
    """The executor of a name.

    Args:
        options: what the user chose.
        say: called with a line for the user.
        name: as in the registry.

    Raises:
        UserError: there is no such executor.
    """
    make: MakeExecutor = load(executor_registry, name, "executor")
    return make(options, say)
