"""What can be named in a config, as text: one block per registry, one line per entry."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
WIDTH = 100
"""Columns of what is wrapped."""

_HEADS = {
    "tasks": "Tasks (dataset.task_type)",
    "adapters": "Adapters (adapter.method; lora also as `lora: {...}`)",
    "initialisers": (
        "Initialisers, and the methods that take them (all take file.py:function too, lora and dora true: Kaiming)"
    ),
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
        of_peft = [entry["name"] for entry in entries if registry == "adapters" and entry.get("library") == "peft"]
        shown = [entry for entry in entries if entry["name"] not in of_peft]
        lines += ["", _HEADS[registry], *(f"  {entry['name']:<20} {_text(registry, entry)}" for entry in shown)]
        lines += _initialised(methods) if registry == "initialisers" else []
        if of_peft:
            lines += ["  of PEFT, with the options of its classes (docs/methods.md and --json say what each trains):"]
            lines += textwrap.wrap(" ".join(of_peft), WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines[1:]


def matrix_lines(matrix: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table for each way of answering, and below it the reasons of what is refused.

    Args:
        matrix: the tables of `sft methods --matrix --json`.
    """
    lines: list[str] = []
    for table in matrix:
        storages = list(table["methods"][0]["trains"]) if table["methods"] else []
        head = f"Methods (rows) on bases by how their weights are stored (columns), answering as {table['objective']}"
        lines += ["", head, f"  {'':<20} {_row(storages)}"]
        lines += [
            f"  {entry['name']:<20} {_row([_cell(entry, kind) for kind in storages])}" for entry in table["methods"]
        ]
        lines += [
            "",
            "merges: trains, and can become one model with its base; trains: trains, and stays an adapter; -: refused",
            "plain: weights that are not quantised, in fp32 or bf16",
        ]
        lines += _refusals(table["methods"])
    return lines[1:]


def _initialised(methods: Mapping[str, Sequence[Entry]]) -> list[str]:
    """A line for each option that names initialisers: the methods that have it, and what they take."""
    taking: dict[tuple[str, str], list[str]] = {}
    for entry in methods["adapters"]:
        if entry["initialisers"] is not None:
            key = entry["initialisers"]["option"], ", ".join(entry["initialisers"]["names"])
            taking.setdefault(key, []).append(entry["name"])
    return [f"  {', '.join(names)}: {option} takes {taken}" for (option, taken), names in taking.items()]


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:<9}" for cell in cells).rstrip()


def _cell(entry: Entry, storage: str) -> str:
    """What a method does with such weights, in a word; the legend explains the three."""
    if entry["trains"][storage] is not None:
        return "-"
    return "trains" if entry["merges"][storage] is not None else "merges"


def _refusals(entries: Sequence[Entry]) -> list[str]:
    """The reasons, each told once for all methods and storages that it is of."""
    storages: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        for storage, reason in entry["trains"].items():
            if reason is not None:
                key = (entry["name"], _without_names(reason, entry["name"], storage))
                storages.setdefault(key, []).append(storage)
    methods: dict[tuple[str, str], list[str]] = {}
    for (name, reason), kinds in storages.items():
        methods.setdefault((reason, ", ".join(kinds)), []).append(name)
    return [f"  {', '.join(names)} on {kinds}: {reason}" for (reason, kinds), names in methods.items()]


def _without_names(reason: str, method: str, storage: str) -> str:
    """A reason as it reads where the method and the kind of stored weights are named before it."""
    general = re.sub(rf"\bstored as {re.escape(storage)}\b", "stored so", reason)
    general = re.sub(rf"\b{re.escape(storage)} (?=weights|bases|layers)", "such ", general)
    return re.sub(rf"^{re.escape(method)}\b", "it", general)


def _text(registry: str, entry: Entry) -> str:
    if registry == "tasks":
        return f"by {', '.join(entry['objectives'])}; default metrics: {' '.join(entry['default_metrics'])}"
    if registry == "metrics":
        direction = "higher is better" if entry["higher_is_better"] else "lower is better"
        needs = f"; needs {entry['install']}" if entry["install"] else ""
        return f"{'/'.join(entry['tasks'])}; {direction}{_listed('arguments', entry['arguments'])}{needs}"
    if registry == "calibrators":
        looks = "; looks at all evaluated rows" if entry["uses_evaluated_rows"] else ""
        row_sets = _listed("row sets", entry["row_sets"])
        return f"{entry['summary']}{looks}{row_sets}{_listed('options', entry['arguments'])}"
    if registry == "initialisers" and entry.get("looks_at") in ("activations", "gradients"):
        return f"{entry['summary']}; looks at {entry['looks_at']} on the training rows"
    return str(entry["summary"])


def _listed(what: str, names: Sequence[str]) -> str:
    """What an entry has, where it has any."""
    return f"; {what}: {', '.join(names)}" if names else ""
