"""Evaluates one Jsonnet file inside limits; a script for a child process that imports the standard library alone.

Reads one JSON request from stdin, writes one JSON answer to stdout: `{"json": text}`, or `{"error": line}`. Ending
without an answer, by whatever signal, means that a limit was hit: both evaluators abort the process when memory ends.
"""

import importlib
import json
import os
import re
import resource
import sys
from collections.abc import Callable
from typing import Any

MEMORY_BYTES = 2 * 2**30
OUTPUT_CHARACTERS = 2**28
MAX_STACK = 500
LIBRARY_NAME = "sft/grid.libsonnet"

_LOCATION = re.compile(r"^\s+(?P<file>\S.*?):\(?(?P<line>\d+):(?P<column>\d+)")
_STATIC = re.compile(r"^(?P<file>.+?):\(?(?P<line>\d+):(?P<column>\d+)\)?[-0-9:()]*:? (?P<text>.*)$")
_PREFIX = re.compile(r"^(RUNTIME ERROR|STATIC ERROR|runtime error|syntax error): ")


class RefusedImportError(Exception):
    """The answer to an import that is outside the allowed folders or not there."""


class Importer:
    """Answers imports from the grid's folder, the added folders and the built-in library, after resolving links.

    The current folder must be the grid's: both evaluators then name importing folders relative to it.
    """

    def __init__(self, request: dict[str, Any], as_bytes: bool) -> None:
        self.folder = os.getcwd()
        self.library: str = request["library"]
        self.search = [os.path.abspath(folder) for folder in request["jpath"]]
        self.roots = [os.path.realpath(folder) for folder in [self.folder, *self.search]]
        self.as_bytes = as_bytes
        self.texts: dict[str, str] = {request["name"]: request["text"]}
        self.refusal: str | None = None

    def __call__(self, base: str, name: str) -> tuple[str, str | bytes]:
        """The found path and content of `name`, imported by a file of the folder `base`.

        Raises:
            RefusedImportError: the evaluators turn it into text of their own, so the reason is kept in `refusal`.
        """
        try:
            return self._answer(base, name)
        except RefusedImportError as refused:
            self.refusal = str(refused)
            raise

    def _answer(self, base: str, name: str) -> tuple[str, str | bytes]:
        path = self._find(base, name)
        try:
            with open(path, "rb") as file:
                text = text_of(file.read())
        except (OSError, UnicodeDecodeError) as problem:
            raise self._refused(base, name, f"cannot be read as UTF-8 text: {problem}") from None
        self.texts[self.shown(path)] = text
        return path, text.encode() if self.as_bytes else text

    def _find(self, base: str, name: str) -> str:
        candidates = [os.path.normpath(os.path.join(folder, name)) for folder in [base or self.folder, *self.search]]
        candidates = [os.path.join(self.folder, path) for path in candidates]
        inside = [path for path in candidates if self._allowed(path)]
        for path in inside:
            if os.path.isfile(path):
                return path
        if name == LIBRARY_NAME:
            return self.library
        if not inside or any(os.path.exists(path) for path in candidates if path not in inside):
            raise self._refused(base, name, "refused: outside the grid folder (allow with --jpath).")
        searched = ", ".join(sorted({os.path.dirname(path) for path in inside}))
        raise self._refused(base, name, f"failed: no such file (looked in {searched}).")

    def _allowed(self, path: str) -> bool:
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root.rstrip("/") + "/") for root in self.roots)

    def _refused(self, base: str, name: str, reason: str) -> RefusedImportError:
        where = self._position(base, name)
        return RefusedImportError(f'{where}: import of "{name}" {reason}')

    def _position(self, base: str, name: str) -> str:
        """File, line and column of the import, found in the source: one evaluator does not tell."""
        folder = os.path.normpath(os.path.join(self.folder, base))
        literal = re.compile(r"\bimport(?:str|bin)?\s*@?(['\"])" + re.escape(name) + r"\1")
        for file, text in self.texts.items():
            found = literal.search(text)
            if found and os.path.dirname(os.path.join(self.folder, file)) == folder:
                line = text.count("\n", 0, found.start()) + 1
                return f"{file}:{line}:{found.start() - text.rfind(chr(10), 0, found.start())}"
        return next(iter(self.texts))

    def shown(self, path: str) -> str:
        """A path as messages show it: relative to the grid's folder where it is inside."""
        if path == self.library:
            return LIBRARY_NAME
        return path.removeprefix(self.folder.rstrip("/") + "/")

    def is_users(self, path: str) -> bool:
        """Whether a file that an evaluator names is one that the user wrote."""
        return path != self.library and self.shown(path) in self.texts


def text_of(content: bytes) -> str:
    """The text of a file without what editors add unseen: byte order mark, carriage returns, the last line break.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return content.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")


def first_error(message: str, importer: Importer) -> str:
    """`file:line:column: text` of the first line of an evaluator's message; the rest is its trace."""
    first, *trace = message.split("\n")
    text = _PREFIX.sub("", first).strip().rstrip(".")
    if "stack overflow" in first or "max stack frames" in first:
        text = f"recursion is deeper than {MAX_STACK} calls"
    static = _STATIC.match(text)
    if static and importer.is_users(static["file"]):
        return f"{importer.shown(static['file'])}:{static['line']}:{static['column']}: {static['text']}"
    for line in trace:
        found = _LOCATION.match(line)
        if found and importer.is_users(found["file"]):
            return f"{importer.shown(found['file'])}:{found['line']}:{found['column']}: {text}"
    return f"{next(iter(importer.texts))}: {text}"


def evaluate(request: dict[str, Any]) -> dict[str, str]:
    """The answer to one request."""
    sys.path.insert(0, request["packages"])
    backend: Callable[..., str] = importlib.import_module(request["backend"]).evaluate_snippet
    reference = request["backend"] == "_jsonnet"
    importer = Importer(request, as_bytes=reference)
    # The process ends after this one evaluation, and collecting its garbage takes twice as long as the evaluation.
    speed = {} if reference else {"gc": False}
    try:
        text = backend(
            request["name"],
            request["text"],
            max_stack=MAX_STACK,
            ext_vars=request["ext_str"],
            ext_codes=request["ext_code"],
            tla_vars=request["tla_str"],
            tla_codes=request["tla_code"],
            import_callback=importer,
            **speed,
        )
    except RuntimeError as problem:
        return {"error": importer.refusal or first_error(str(problem), importer)}
    if len(text) > OUTPUT_CHARACTERS:
        return {"error": f"{request['name']}: the result is larger than {OUTPUT_CHARACTERS // 2**20} MB"}
    return {"json": text}


def limit(cpu_s: int) -> None:
    """Limits this process: CPU seconds, memory, and no core file."""
    for kind, value in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (ValueError, OSError):
            # macOS knows the memory limit by name only; the CPU and wall limits still hold there.
            continue


def main() -> None:
    """Answers the request on stdin."""
    request = json.loads(sys.stdin.buffer.read())
    limit(request["cpu_s"])
    os.chdir(request["folder"])
    answer = evaluate(request)
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
