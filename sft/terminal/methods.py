"""What can be named in a config, as text: one block per registry, one line per entry."""

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

_HEADS = {
    "tasks": "Tasks (dataset.task_type)",
    "adapters": "Adapters (adapter.method; lora also as `lora: {...}`)",
    "initialisers": "Initialisers (lora.init_lora_weights; also any name PEFT knows, peft:NAME, and file.py:function)",
    "metrics": (
        "Metrics (evaluation.metrics, the first ranks; also any name of the evaluate library, and file.py:function)"
    ),
    "calibrators": "Calibrators (inference.calibration_args.calibration_fn; also file.py:function)",
}


def method_lines(methods: Mapping[str, Sequence[Entry]]) -> list[str]:
    """The registries in their order.

    Args:
        methods: as `sft methods --json` prints them.
    """
    lines: list[str] = []
    for registry, entries in methods.items():
        lines += ["", _HEADS[registry], *(f"  {entry['name']:<20} {_text(registry, entry)}" for entry in entries)]
    return lines[1:]


def _text(registry: str, entry: Entry) -> str:
    if registry == "tasks":
        return f"default metrics: {' '.join(entry['default_metrics'])}"
    if registry == "metrics":
        direction = "higher is better" if entry["higher_is_better"] else "lower is better"
        needs = f"; needs {entry['install']}" if entry["install"] else ""
        return f"{'/'.join(entry['tasks'])}; {direction}{_listed('arguments', entry['arguments'])}{needs}"
    if registry == "calibrators":
        looks = "; looks at all evaluated rows" if entry["uses_evaluated_rows"] else ""
        row_sets = _listed("row sets", entry["row_sets"])
        return f"{entry['summary']}{looks}{row_sets}{_listed('options', entry['arguments'])}"
    return str(entry["summary"])


def _listed(what: str, names: Sequence[str]) -> str:
    """What an entry has, where it has any."""
    return f"; {what}: {', '.join(names)}" if names else ""
