"""Descriptions of functions and classes with their one-line synopses: the docstrings of four installed packages.

The first line of a docstring is the synopsis that its author wrote; the prose below it, up to the first list, example
or headed section, is the description.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from written import is_written, write_splits

PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")
"""All of them are needed by the project, in the versions of `requirements.txt`."""
WORDS, SYNOPSIS_WORDS = range(15, 121), range(3, 21)
HEADED = re.compile(r".*\n\s*[-=~]{3,}\s*$", re.MULTILINE)
NO_PROSE = ("..", ">>>", "*", "-", ":", "|", "+")


def write_synopses(folder: Path) -> None:
    """Leave rows with `description`, `synopsis` and the `package` that they come from."""
    if is_written(folder):
        return
    rows = []
    seen: set[str] = set()
    for package in PACKAGES:
        _copy_licence(package, folder)
        for description, synopsis in _docstrings(package):
            if not {description, synopsis} & seen:
                seen |= {description, synopsis}
                rows.append((description, {"description": description, "synopsis": synopsis, "package": package}))
    write_splits(folder, rows)


def _docstrings(package: str) -> Iterator[tuple[str, str]]:
    for path in sorted(str(file.locate()) for file in metadata.files(package) or () if file.suffix == ".py"):
        if "/tests/" in path:
            continue
        for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found = split_docstring(ast.get_docstring(node) or "")
                if found is not None:
                    yield found


def split_docstring(text: str) -> tuple[str, str] | None:
    """(description, synopsis); None where there is no synopsis of one line with some prose below it."""
    first, *rest = re.split(r"\n\s*\n", text)
    prose = []
    for block in rest:
        if HEADED.match(block) or block.startswith((" ", *NO_PROSE)):
            break
        prose.append(" ".join(block.split()))
    description, synopsis = " ".join(prose), first.strip()
    is_sentence = "\n" not in synopsis and synopsis.endswith(".") and synopsis[:1].isupper()
    fits = len(description.split()) in WORDS and len(synopsis.split()) in SYNOPSIS_WORDS
    return (description, synopsis) if is_sentence and fits else None


def _copy_licence(package: str, folder: Path) -> None:
    found = [
        file for file in metadata.files(package) or () if re.search(r"dist-info/(.*/)?(LICENSE|COPYING)", str(file))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if found:
        shutil.copy(str(min(found, key=lambda file: len(str(file))).locate()), folder / f"LICENSE-{package}.txt")
