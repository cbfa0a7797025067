"""How many files of `sft` two paths go through: those whose functions are called, each counted once.

    .venv/bin/python benchmarks/files_entered.py [--list]

The paths are from `api.run` to the first `job.json`, and from a `metrics.json` that is read to the page. Calls of this
process alone count, not those of its children, and not what a module does while it is imported. Another version is
measured with `PYTHONPATH=its/folder` before the command.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import sft
from sft import api

PACKAGE = f"{Path(sft.__file__).parent}{os.sep}"
KEPT = Path(__file__).resolve().parents[1] / "tests" / "support" / "results_before"
SETTINGS = api.RunSettings(jobs=1, start="fresh")


class _ReachedEnd(BaseException):
    """The file that ends a path is about to get its name."""


class Entered:
    """Files of the package in the order in which they are entered, with the number of files that were on the stack.

    Args:
        first: name of the file whose opening begins the path; None where the first call does.
        last: name of the file that ends it.
    """

    def __init__(self, first: str | None, last: str) -> None:
        self.files: dict[str, int] = {}
        self._first = first
        self._last = last
        self._importing = 0
        self._is_over = False

    def follow(self, path: Callable[[], object]) -> dict[str, int]:
        """The files of a path, which is broken off at its end."""
        sys.addaudithook(self._audit)
        if self._first is None:
            self._begin()
        with contextlib.suppress(_ReachedEnd), contextlib.redirect_stderr(io.StringIO()):
            path()
        return self.files

    def _begin(self) -> None:
        for frame in reversed(list(_stack(sys._getframe()))):
            self._enter(frame)
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_over:
            return
        if event == "open" and self._first is not None and _name(arguments[0]) == self._first:
            self._first = None
            self._begin()
        elif event == "os.rename" and _name(arguments[1]) == self._last:
            self._is_over = True
            sys.setprofile(None)
            threading.setprofile(None)
            raise _ReachedEnd

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_name == "<module>" and event in ("call", "return"):
            self._importing += 1 if event == "call" else -1
        elif event == "call" and not self._importing:
            self._enter(frame)

    def _enter(self, frame: FrameType) -> None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE) and (name := file.removeprefix(PACKAGE)) not in self.files:
            files = {outer.f_code.co_filename for outer in _stack(frame)}
            self.files[name] = sum(outer.startswith(PACKAGE) for outer in files) - 1


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _name(path: object) -> str:
    return os.path.basename(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""


def paths(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Each path and its files; what it needs is copied into a folder."""
    shutil.copytree(KEPT, folder, dirs_exist_ok=True)
    for file in (folder / "results").rglob("config.json"):
        file.write_text(file.read_text("utf-8").replace('"/project"', json.dumps(str(folder))), "utf-8")
    grid = (folder / "grid.json").rename(folder / "grid.jsonnet")
    run = Entered(None, "job.json").follow(lambda: api.run(grid, folder / "new", settings=SETTINGS))
    yield "from `api.run` to the first job.json", run
    board = Entered("metrics.json", "leaderboard.html").follow(lambda: api.leaderboard([folder / "results"]))
    yield "from a metrics.json to the page", board


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--list",
        action="store_true",
        help="print the files in the order of their first entry, each below the one that called it",
    )
    shows_files = parser.parse_args().list
    with tempfile.TemporaryDirectory() as folder:
        for name, files in paths(Path(folder)):
            by_depth = [n for _, n in sorted(Counter(files.values()).items())]
            print(f"{name}: {len(files)} files ({', '.join(map(str, by_depth))} by the number of files above)")
            if shows_files:
                print(*(f"  {'  ' * depth}{file}" for file, depth in files.items()), sep="\n")


if __name__ == "__main__":
    main()
