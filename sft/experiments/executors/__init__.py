"""Where jobs run: the protocol, what every executor on processes needs, and a folder for each executor."""

from sft.registry import Registry

executor_registry: Registry = {
    "local": "sft.experiments.executors.local.executor:LocalExecutor",
}
