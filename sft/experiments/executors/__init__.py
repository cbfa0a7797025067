"""Where jobs run. An executor sees job folders only."""

from sft.registry import Registry

executor_registry: Registry = {
    "local": "sft.experiments.executors.local:LocalExecutor",
}
