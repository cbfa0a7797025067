"""What is wrong with the experiments of a grid, told in one report."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.exceptions import InvalidExperiments
from sft.wording import some

SHOWN_NAMES = 20
"""Experiments of one finding that are named; the others are counted."""

PathMessage = tuple[str, str]
"""Dotted path of a key, within its section or within the config, and what is wrong with it."""


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
    shared = _shared(sorted(findings, key=lambda finding: numbers.get(finding.experiment or "", 0)))
    lines = [
        f"{_who(named, numbers)}{f'{path}: ' if path else ''}{message} [{source}]"
        for (path, message), named in shared.items()
    ]
    told = [{"experiments": named, "path": path, "message": message} for (path, message), named in shared.items()]
    return InvalidExperiments(headline, lines, source, told)


def _shared(findings: Sequence[Finding]) -> dict[PathMessage, list[str]]:
    """Each finding once, with the experiments that share it."""
    sharing: dict[PathMessage, list[str]] = {}
    for finding in findings:
        named = sharing.setdefault((finding.path, finding.message), [])
        if finding.experiment is not None and finding.experiment not in named:
            named.append(finding.experiment)
    return sharing


def _who(names: Sequence[str], numbers: dict[str, int]) -> str:
    """`#57 "lora-r16": `, or `in 3 experiments: icl, lora, zero: `; nothing for the grid as a whole."""
    if len(names) > 1:
        return f"in {len(names)} experiments: {some(names, SHOWN_NAMES)}: "
    number = numbers.get(names[0]) if names else None
    return "".join(f'#{number} "{name}": ' if number else f'"{name}": ' for name in names)
