"""What the parts found: verdicts and figures as tables, and as JSON that is whole after every part."""

import json
import math
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["PASS", "FAIL", "SKIP"]
SCHEMA = 1


@dataclass(frozen=True)
class Figure:
    """One number or word of a part."""

    name: str
    value: float | str
    unit: str = ""
    bound: str = ""
    """What it was held against."""

    @property
    def shown(self) -> str:
        """The value with four digits, and its unit."""
        value = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        return f"{value} {self.unit}".rstrip()


@dataclass
class Findings:
    """What a part finds while it runs; kept when it fails half-way."""

    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def figure(self, name: str, value: float | str, unit: str = "", bound: str = "") -> None:
        """Note a figure; what is no finite number, which JSON does not know, as a word."""
        told = value if isinstance(value, str) or math.isfinite(value) else str(value)
        self.figures.append(Figure(name, told, unit, bound))

    def require(self, holds: bool, otherwise: str) -> None:
        """Note a failure where something does not hold; the part goes on."""
        if not holds:
            self.failures.append(otherwise)

    def at_most(self, name: str, value: float, bound: float, unit: str = "") -> None:
        """Note a figure, and a failure where it is above its bound or no number."""
        self.figure(name, value, unit, f"<= {bound:g}")
        self.require(value <= bound, f"{name}: {value:.4g} {unit}, at most {bound:g}")

    def same(self, name: str, found: object, expected: object) -> None:
        """Note a word, and a failure where it is another one."""
        self.figure(name, str(found), "", f"= {expected}")
        self.require(found == expected, f"{name}: {found}, must be {expected}")


class Skipped(Exception):
    """A part cannot be run here; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """How a part went."""

    part: str
    verdict: Verdict
    seconds: float
    reason: str = ""
    figures: tuple[Figure, ...] = ()


class Report:
    """Prints each part as soon as it is over."""

    def __init__(self, device: str, out: Path | None) -> None:
        self._device = device
        self._out = out
        self._started = time.monotonic()
        self._machine: dict[str, Any] = {}
        self.outcomes: list[Outcome] = []

    @property
    def has_failed(self) -> bool:
        """Whether one of the parts failed."""
        return any(outcome.verdict == "FAIL" for outcome in self.outcomes)

    def begin(self, model: str) -> None:
        """Say what this runs on."""
        from sft.processes.environment import device_record, versions
        from tests.gpu.machine import versions_outside

        self._machine = {"device": self._device, "model": model, "platform": platform.platform()}
        self._machine |= {"device_name": device_record()["device_name"], "versions": versions()}
        outside = versions_outside()
        self._machine["versions_outside"] = outside
        shown = ", ".join(f"{name} {version}" for name, version in versions().items())
        print(f"{self._machine['device_name']}, {model}, {platform.platform()}\n{shown}", flush=True)
        print(f"versions that pyproject.toml does not allow: {', '.join(outside) or 'none'}\n", flush=True)

    def add(self, outcome: Outcome) -> None:
        """A part is over."""
        self.outcomes.append(outcome)
        reason = f": {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.verdict} {outcome.part} ({outcome.seconds:.1f} s){reason}", flush=True)
        self._write()

    def end(self) -> None:
        """Print the tables."""
        print("\n| part | verdict | seconds | why |\n|---|---|---|---|")
        for outcome in self.outcomes:
            print(f"| {outcome.part} | {outcome.verdict} | {outcome.seconds:.1f} | {outcome.reason} |")
        print("\n| part | what | figure | bound |\n|---|---|---|---|")
        for outcome in self.outcomes:
            for figure in outcome.figures:
                print(f"| {outcome.part} | {figure.name} | {figure.shown} | {figure.bound} |")
        print(f"\nall in {time.monotonic() - self._started:.1f} s", flush=True)
        self._write()

    def _write(self) -> None:
        if self._out is None:
            return
        parts = [asdict(outcome) for outcome in self.outcomes]
        seconds = time.monotonic() - self._started
        record = {"schema": SCHEMA, **self._machine, "seconds": seconds, "failed": self.has_failed, "parts": parts}
        self._out.parent.mkdir(parents=True, exist_ok=True)
        beside = self._out.with_name(f".{self._out.name}.part")
        beside.write_text(json.dumps(record, indent=1, allow_nan=False), "utf-8")
        os.replace(beside, self._out)
