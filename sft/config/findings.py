"""What is wrong with the experiments of a grid, told in one report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sft.errors import InvalidExperiments

SHOWN_PER_FINDING = 20


@dataclass(frozen=True)
class Finding:
    """One thing that the user must change."""

    experiment: str | None
    """Name of the experiment; None for the grid as a whole."""

    path: str
    """Dotted path of the key in the config; empty for the config as a whole."""

    message: str
    """What is wrong with it, what is allowed, what to do."""


def invalid(findings: Sequence[Finding], names: Sequence[str], source: str) -> InvalidExperiments:
    """The error that reports all findings.

    Args:
        findings: at least one.
        names: all experiments of the grid, in its order; a finding is shown with the number of its experiment.
        source: file name of the grid or config.
    """
    numbers = {name: number for number, name in enumerate(names, start=1)}
    bad = {finding.experiment for finding in findings if finding.experiment is not None}
    verb = "is" if len(bad) == 1 else "are"
    headline = f"{len(bad)} of {len(names)} experiments {verb} invalid; nothing was started."
    if not bad:
        headline = "The grid is invalid; nothing was started."
    return InvalidExperiments(headline, _lines(findings, numbers, source))


def _lines(findings: Sequence[Finding], numbers: dict[str, int], source: str) -> list[str]:
    """One line per finding; of one that many experiments share, the first ones and how many there are more."""
    ordered = sorted(findings, key=lambda finding: numbers.get(finding.experiment or "", 0))
    seen: Counter[tuple[str, str]] = Counter()
    lines = []
    for finding in ordered:
        seen[finding.path, finding.message] += 1
        if seen[finding.path, finding.message] <= SHOWN_PER_FINDING:
            lines.append(line(finding, numbers, source))
    for (path, message), count in seen.items():
        if count > SHOWN_PER_FINDING:
            lines.append(f"and {count - SHOWN_PER_FINDING} more experiments with {_told(path, message)} [{source}]")
    return lines


def line(finding: Finding, numbers: dict[str, int], source: str) -> str:
    """`#57 "lora-r16": training.trainer_args.lerning_rate: unknown key (...) [grid.jsonnet]`."""
    who = ""
    if finding.experiment is not None:
        number = numbers.get(finding.experiment)
        who = f'#{number} "{finding.experiment}": ' if number else f'"{finding.experiment}": '
    return f"{who}{_told(finding.path, finding.message)} [{source}]"


def _told(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message
