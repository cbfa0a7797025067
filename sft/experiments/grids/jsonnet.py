"""A grid or config file as a plain value; Jsonnet is evaluated in a child process that cannot outgrow its limits."""

import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.config.secrets import masked
from sft.exceptions import MachineError, PackageMissing, UserError
from sft.processes.quiet_stream import QuietStream
from sft.wording import one_line

CHILD = Path(__file__).with_name("jsonnet_child.py")
LIBRARY = Path(__file__).resolve().parents[2] / "grid.libsonnet"
BACKENDS = {"rjsonnet": "rjsonnet", "reference": "_jsonnet"}
NEARLY = 0.9
GRID_SUFFIXES = (".jsonnet", ".json", ".libsonnet")
BACKEND_VARIABLE = "SFT_JSONNET"
LIBRARY_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # some Pythons do not start without; no secrets in them
OUT_OF_MEMORY = (b"MemoryError", b"PanicException")


@dataclass(frozen=True)
class JsonnetOptions:
    """What a command line adds to an evaluation."""

    ext_str: Mapping[str, str] = field(default_factory=dict)
    """`std.extVar` names with their text."""

    ext_code: Mapping[str, str] = field(default_factory=dict)
    """`std.extVar` names with Jsonnet code."""

    tla_str: Mapping[str, str] = field(default_factory=dict)
    """Arguments, as text, of a file that is a function."""

    tla_code: Mapping[str, str] = field(default_factory=dict)
    """Arguments, as Jsonnet code, of a file that is a function."""

    jpath: tuple[Path, ...] = ()
    """Further folders from which files may be imported."""

    timeout_s: float = 60
    """Seconds, of CPU and by the clock, that an evaluation may take."""

    def __post_init__(self) -> None:
        """Check the limit.

        Raises:
            UserError: it is no time that can pass.
        """
        if not 0 < self.timeout_s < float("inf"):
            raise UserError(f"--grid-timeout {self.timeout_s:g}: must be more than 0 seconds")


def evaluate_jsonnet(path: Path, options: JsonnetOptions) -> Any:
    """The value of a Jsonnet or JSON file.

    Imports are answered from the file's folder, `options.jpath` and the built-in library only, after resolving links.
    The child has no environment to speak of, 2 GB of memory and `options.timeout_s` seconds.

    Raises:
        UserError: no such file, an error in it (its first line with file, line and column), a refused import, or an
            evaluation that hit a limit.
        PackageMissing: no Jsonnet evaluator is installed.
    """
    if path.is_file() and path.suffix not in GRID_SUFFIXES:
        raise UserError(f"{path}: a grid or config is a .jsonnet or .json file")
    text = _read(path)
    if path.suffix == ".json":
        return _parse(text, path.name)
    for folder in options.jpath:
        if not folder.is_dir():
            raise UserError(f"--jpath {folder}: no such folder")
    answer = _ask(_request(path, text, options), path.name, options.timeout_s)
    if "error" in answer:
        raise UserError(masked(answer["error"]))
    return _parse(answer["json"], path.name)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a .jsonnet or .json file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; give a .jsonnet or .json file") from None
    except OSError as problem:
        raise MachineError(f"{path} cannot be read: {problem.strerror}") from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")  # a text block would keep the carriage returns
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise UserError(f"{path.name}:{line}: not valid UTF-8; save the file as UTF-8") from None


def _request(path: Path, text: str, options: JsonnetOptions) -> dict[str, Any]:
    backend, packages = _backend()
    return {
        "backend": backend,
        "packages": str(packages),
        "library": str(LIBRARY),
        "folder": str(path.absolute().parent),
        "name": path.name,
        "text": text,
        "jpath": [str(folder.absolute()) for folder in options.jpath],
        "cpu_s": max(1, math.ceil(options.timeout_s)),
        "ext_str": dict(options.ext_str),
        "ext_code": dict(options.ext_code),
        "tla_str": dict(options.tla_str),
        "tla_code": dict(options.tla_code),
    }


def _backend() -> tuple[str, Path]:
    """Module name of the evaluator, and the folder it is installed in; the child starts without site packages."""
    wanted = os.environ.get(BACKEND_VARIABLE)
    if wanted is not None and wanted not in BACKENDS:
        raise UserError(f"{BACKEND_VARIABLE}={wanted!r}: must be one of {', '.join(BACKENDS)}")
    for name in [BACKENDS[wanted]] if wanted else BACKENDS.values():
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            return name, origin.parents[1] if spec.submodule_search_locations else origin.parent
    package = "jsonnet" if wanted == "reference" else "rjsonnet"
    raise PackageMissing(package, "a Jsonnet grid", f"pip install {package}")


def _ask(request: Mapping[str, Any], name: str, timeout_s: float) -> dict[str, str]:
    start = time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(CHILD)],
            input=json.dumps(request).encode("ascii"),
            capture_output=True,
            timeout=timeout_s,
            env={name: os.environ[name] for name in LIBRARY_VARIABLES if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _stopped(name, timeout_s, timeout_s) from None
    if ended.returncode < 0 or (ended.returncode and any(sign in ended.stderr for sign in OUT_OF_MEMORY)):
        raise _stopped(name, time.monotonic() - start, timeout_s)
    if ended.returncode != 0:
        trace = ended.stderr.decode(errors="replace")
        raise RuntimeError(f"the Jsonnet child ended with code {ended.returncode}:\n{trace}")
    QuietStream(sys.stderr).write(_traced(ended.stderr))
    answer: dict[str, str] = json.loads(ended.stdout)
    return answer


def _traced(told: bytes) -> str:
    """What `std.trace` said, without what would steer a terminal."""
    return "".join(f"{one_line(line)}\n" for line in told.decode("utf-8", "replace").splitlines() if line.strip())


def _stopped(name: str, seconds: float, timeout_s: float) -> UserError:
    used_up = seconds >= NEARLY * timeout_s  # the system counts CPU time in ticks, and may end the child one early
    limits = "limit --grid-timeout" if used_up else "limit --grid-timeout, or 2 GB of memory"
    advice = "Look for endless recursion or a very large product."
    return UserError(
        f"{name}: evaluation stopped after {math.ceil(timeout_s if used_up else seconds)} s ({limits}). {advice}"
    )


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_not_json)
    except json.JSONDecodeError as problem:
        raise UserError(f"{name}:{problem.lineno}:{problem.colno}: not valid JSON: {problem.msg}") from None
    except ValueError as problem:
        raise UserError(f"{name}: {problem}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply") from None


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, value in pairs:
        if key in written:
            raise ValueError(f'key "{key}" is written twice in one object')
        written[key] = value
    return written


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number; write null or a finite number")
