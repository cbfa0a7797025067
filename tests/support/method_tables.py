"""The tables of docs/methods.md, made from what the methods say of themselves.

python -m tests.support.method_tables    # writes them to the page
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.method import adapter_method
from sft.adapters.own_method import OwnMethod
from sft.adapters.support import COLUMNS, NO_METHOD, unsupported
from sft.config.canonical import canonical_json
from sft.models.stored_kinds import PLAIN
from sft.objectives import objective_named, objective_registry
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.pipeline.methods import matrix_record, methods_record
from sft.training.options import known_defaults

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


def table(*rows: list[str]) -> list[str]:
    """A Markdown table, its head first."""
    head, *others = rows
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others)]


def methods_table() -> list[str]:
    rows = [
        [f"`{entry['name']}`", entry["summary"].rstrip(".").replace("|", "\\|"), rate(entry["name"])]
        for entry in methods_record()["adapters"]
        if entry["name"] != NO_METHOD
    ]
    return table(["method", "trains", "learning rate"], *rows)


def rate(method: str) -> str:
    return f"{known_defaults({}, method)['learning_rate']:g}"


def options_table() -> list[str]:
    """The options of the methods that have all of theirs in one class of the project."""
    rows = [
        [f"`{name}`", f"`{option}`", f"`{shown(field.default)}`", meaning(field.description)]
        for name in adapter_registry
        if isinstance(adapter_method(name), OwnMethod)
        for option, field in adapter_method(name).options.model_fields.items()
    ]
    return table(["method", "option", "default", "meaning"], *rows)


def shown(default: Any) -> str:
    return default if isinstance(default, str) else canonical_json(default)


def meaning(description: str | None) -> str:
    """The docstring of an option on one line, without the default, which has a column."""
    text = " ".join((description or "").split())
    return re.sub(r"; default [^;]*?\.?$", "", text).rstrip(".").replace("|", "\\|")


def initialisers_table() -> list[str]:
    """The methods that take initialisers, with their option and what they take."""
    taken = {name: adapter_method(name).initialisers for name in adapter_registry}
    rows = [
        [f"`{name}`", f"`{those.option}`", ", ".join(f"`{initialiser}`" for initialiser in those.names)]
        for name, those in taken.items()
        if those is not None
    ]
    return table(["method", "option", "initialisers, beside your own code"], *rows)


def matrix_table() -> list[str]:
    (methods,) = [part["methods"] for part in matrix_record() if part["objective"] == CAUSAL_LM.name]
    storages = list(methods[0]["trains"])
    rows = [[f"`{entry['name']}`", *(cell(entry, kind) for kind in storages)] for entry in methods]
    return table(["method", *(f"`{kind}`" for kind in storages)], *rows)


def cell(entry: dict[str, Any], storage: str) -> str:
    if entry["trains"][storage] is not None:
        return "-"
    return "trains" if entry["merges"][storage] is not None else "merges"


def refused_table() -> list[str]:
    """The methods that train no model that answers in another way than by what follows a prompt."""
    rows = []
    for objective in map(objective_named, objective_registry):
        for method in (entry["name"] for entry in methods_record()["adapters"] if entry["name"] != NO_METHOD):
            reasons = {kind: unsupported(method, {}, PLAIN, objective, kind) for kind in objective.model_kinds}
            for reason in dict.fromkeys(filter(None, reasons.values())):
                kinds = [kind for kind in reasons if reasons[kind] == reason]
                shown = "all" if len(kinds) == len(reasons) else ", ".join(f"{kind}s" for kind in kinds)
                rows.append([f"`{objective.name}`", f"`{method}`", shown.replace("_", "-"), reason])
    return table(["objective", "refused method", "models", "why"], *rows)


def starts_table() -> list[str]:
    """Those of the project, then PEFT's, with the storages that LoRA begins on so."""
    lora = adapter_method("lora")
    rows = []
    for entry in methods_record()["initialisers"]:
        options = {"init_lora_weights": entry["name"]}
        storages = [kind for kind in COLUMNS if lora.supports(options, kind, CAUSAL_LM) is None]
        rows.append(
            [
                f"`{entry['name']}`",
                entry["summary"].rstrip(".").replace("|", "\\|"),
                entry["looks_at"],
                "yes" if entry["moves_base"] else "no",
                "all" if storages == list(COLUMNS) else ", ".join(f"`{kind}`" for kind in storages),
            ]
        )
    return table(["initialiser", "begins with", "looks at", "B A is taken off", "bases"], *rows)


def tables() -> Iterator[tuple[str, list[str]]]:
    """Heading of a section of the page -> its table."""
    yield "The methods", methods_table()
    yield "Options of the project's own methods", options_table()
    yield "Initialisers", starts_table()
    yield "Which methods take which initialisers", initialisers_table()
    yield "Which method on which base", matrix_table()
    yield "Which method for which objective", refused_table()


def shown_table(page: str, title: str) -> list[str]:
    """The first table below a heading of the page."""
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return found[0].splitlines() if found else []


def written(page: str, wanted: Iterable[tuple[str, list[str]]] | None = None) -> str:
    """A page with its tables as they are today: those of methods, or others by the headings of their sections."""
    for title, lines in tables() if wanted is None else wanted:
        before, heading, after = page.partition(f"\n## {title}\n")
        section, following, rest = after.partition("\n## ")
        made = "\n".join(lines) + "\n"
        section = re.sub(r"(?:^\|.*(?:\n|\Z))+", lambda _, made=made: made, section, count=1, flags=re.MULTILINE)
        page = before + heading + section + following + rest
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
