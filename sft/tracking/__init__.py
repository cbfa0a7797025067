"""Where results can be shown beside those of other projects: experiment trackers by name."""

from sft.registry import Registry

tracker_registry: Registry = {"mlflow": "sft.tracking.mlflow.tracker:Mlflow"}
