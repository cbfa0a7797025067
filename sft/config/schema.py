"""JSON Schema of a config, for editors and for reading."""

from typing import Any

from sft.config.experiment import ExperimentConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """The schema of one experiment; each description is the docstring of its field."""
    schema = {"$schema": DIALECT, **ExperimentConfig.model_json_schema()}
    sections = schema["$defs"]
    for section in (schema, *sections.values()):
        for field in section["properties"].values():
            # Pydantic leaves out a description that says the same as the section it refers to.
            if "description" not in field and "$ref" in field:
                field["description"] = sections[field["$ref"].rpartition("/")[2]]["description"]
    return schema
