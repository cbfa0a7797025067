import json
from typing import Any

from sft.config.experiment import config_schema


def sections() -> dict[str, dict[str, Any]]:
    schema = config_schema()
    return {"ExperimentConfig": schema, **schema["$defs"]}


def test_every_field_of_every_section_is_described() -> None:
    fields = {
        f"{section}.{name}": field
        for section, body in sections().items()
        for name, field in body["properties"].items()
    }
    assert len(fields) > 60
    assert [name for name, field in fields.items() if not field.get("description", "").strip()] == []


def test_unknown_keys_are_refused_but_by_evaluation() -> None:
    closed = {name: body.get("additionalProperties") for name, body in sections().items()}
    assert closed.pop("EvaluationConfig") is True
    assert set(closed.values()) == {False}


def test_it_is_json_and_names_what_is_required() -> None:
    schema = json.loads(json.dumps(config_schema()))
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["required"]) == {"dataset", "model", "prompting"}
