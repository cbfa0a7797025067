"""What the server of warm starts imports before its first fork: what the jobs need, nothing else."""

import json
from collections.abc import Iterable
from pathlib import Path

from sft.experiments.executors.warm import Preload
from sft.runs.records import JobRecord, StageName


def preload_of(records: Iterable[JobRecord]) -> Preload:
    """What a set of jobs has in common to import; model types are read from local models' `config.json`."""
    stages: dict[StageName, None] = {}
    models: dict[Path, None] = {}
    for record in records:
        stages[record.stage] = None
        name = record.config.get("model", {}).get("name")
        if record.stage != "evaluate" and isinstance(name, str):
            models[Path(record.config_folder) / name] = None
    types = (_model_type(folder) for folder in models)
    return Preload(tuple(stages), tuple(dict.fromkeys(found for found in types if found is not None)))


def _model_type(folder: Path) -> str | None:
    try:
        told = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    found = told.get("model_type") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None
