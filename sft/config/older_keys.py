"""Keys and names that configs of older tools have: read as what they mean here, or known to have no effect."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sft.config.values import Problem
from sft.registry import is_own_code

CALIBRATION = "inference.calibration_args"
PER_ROW_NAMES: Mapping[str, str] = {"contextual_alvaro": "contextual", "domain_alvaro": "domain"}
"""Name of a calibrator -> the one that it is with `per_row: true`."""


class OlderKey(NamedTuple):
    """A key of `calibration_args` that most calibrators do not have."""

    used_by: Collection[str]
    """Calibrators that do."""

    instead: str
    """What takes its place where it has no effect."""


_NO_LINGUISTICS = "words are what stands between blanks, in any language; no language model splits them"
CALIBRATION_KEYS: Mapping[str, OlderKey] = {
    "num_estimations": OlderKey(("domain",), "only the calibrator domain draws texts, this many; others draw none"),
    "language": OlderKey((), _NO_LINGUISTICS),
    "spacy_batch_size": OlderKey((), _NO_LINGUISTICS),
    "n_process": OlderKey((), f"{_NO_LINGUISTICS}, and a stage is one process"),
}


def calibration_keys_without_effect(calibrator: str) -> list[str]:
    """The older keys that a calibrator is written beside and does not have; own code may have them all."""
    if is_own_code(calibrator):
        return []
    return [key for key, known in CALIBRATION_KEYS.items() if calibrator not in known.used_by]


def instead_of(path: str) -> str | None:
    """What takes the place of a key without effect; None for keys that are not of older tools."""
    section, _, key = path.rpartition(".")
    return CALIBRATION_KEYS[key].instead if section == CALIBRATION and key in CALIBRATION_KEYS else None


def with_current_names(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """A raw config under today's names, and what in it says two things at once.

    Args:
        raw: as written; it is not changed.
    """
    inference = raw.get("inference")
    args = inference.get("calibration_args") if isinstance(inference, dict) else None
    name = args.get("calibration_fn") if isinstance(args, dict) else None
    if not isinstance(inference, dict) or not isinstance(args, dict) or not isinstance(name, str):
        return raw, []
    if name not in PER_ROW_NAMES:
        return raw, []
    if args.get("per_row", True) is not True:
        text = f"{name} is {PER_ROW_NAMES[name]} with per_row: true; write calibration_fn: {PER_ROW_NAMES[name]}"
        return raw, [Problem(f"{CALIBRATION}.per_row", text)]
    current = args | {"calibration_fn": PER_ROW_NAMES[name], "per_row": True}
    return raw | {"inference": inference | {"calibration_args": current}}, []
