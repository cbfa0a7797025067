"""What the server of warm starts imports before its first fork: what the jobs need, nothing else."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sft.runs.records import JobRecord, StageName


@dataclass(frozen=True)
class Preload:
    """Stages whose modules, and model types whose classes, are imported once."""

    stages: tuple[StageName, ...] = ()
    model_types: tuple[str, ...] = ()


def preload_of(records: Iterable[JobRecord]) -> Preload:
    """What a set of jobs has in common to import; model types are read from local models' `config.json`."""
    stages: dict[StageName, None] = {}
    types: dict[str, None] = {}
    for record in records:
        stages[record.stage] = None
        model_type = None if record.stage == "evaluate" else _model_type(record)
        if model_type is not None:
            types[model_type] = None
    return Preload(tuple(stages), tuple(types))


def _model_type(record: JobRecord) -> str | None:
    name = record.config.get("model", {}).get("name")
    if not isinstance(name, str):
        return None
    try:
        told = json.loads((Path(record.config_folder) / name / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    found = told.get("model_type") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None
