"""`baselines.json`: the numbers of baselines by the key of all they depend on, so that nothing is measured twice."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.reporting.baselines.measuring import Measured
from sft.reporting.finite import finite_number
from sft.runs.atomic import write_json
from sft.runs.files import ResultsFolder
from sft.runs.records import read_json_or_none

SCHEMA = 1


def read_stored(folders: Sequence[ResultsFolder]) -> dict[str, Mapping[str, Measured]]:
    """What is known, by key and name; a file that is absent, damaged or of another version knows nothing."""
    known: dict[str, Mapping[str, Measured]] = {}
    for folder in folders:
        record = read_json_or_none(folder.baselines)
        if isinstance(record, Mapping) and record.get("schema") == SCHEMA and isinstance(record.get("known"), Mapping):
            for key, entries in record["known"].items():
                measured = _measured(entries)
                if measured is not None:
                    known[key] = measured
    return known


def write_stored(folder: ResultsFolder, known: Mapping[str, Mapping[str, Measured]]) -> None:
    """Keep what the boards of today use; it is made anew from the data when it is lost."""
    entries = {
        key: {name: {"results": dict(one.results), "reason": one.reason} for name, one in measured.items()}
        for key, measured in known.items()
    }
    write_json(folder.baselines, {"schema": SCHEMA, "known": entries}, durable=False)


def _measured(entries: Any) -> dict[str, Measured] | None:
    """The baselines of one key, None where one of them is not as it was written."""
    if not isinstance(entries, Mapping) or not entries:
        return None
    found = {}
    for name, entry in entries.items():
        results, reason = (entry.get("results"), entry.get("reason")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(results, Mapping) or not all(finite_number(value) is not None for value in results.values()):
            return None
        found[name] = Measured(dict(results), None if reason is None else str(reason))
    return found
