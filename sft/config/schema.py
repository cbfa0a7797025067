"""JSON Schema of a config, for editors and for reading."""

from typing import Any

from sft.config.experiment import ExperimentConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema of one experiment; each description is the docstring of its field."""
    return {"$schema": DIALECT, **ExperimentConfig.model_json_schema()}
