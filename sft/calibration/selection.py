"""From `calibration_args` to a calibrator: one of the registry, or a user's own; and what is wrong with them.

Nothing heavy is imported here, and own code only where a calibrator is run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator
from sft.calibration.own import own_calibrator, own_row_sets
from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.exceptions import UserError
from sft.registry import import_object, is_own_code, nearest, unknown_name

NAME = "calibration_fn"
PER_ROW = "per_row"


def calibrator_of(name: str, folder: Path) -> Calibrator[Any]:
    """The calibrator of a name; an own one is imported.

    Raises:
        UserError: there is none of that name.
    """
    return own_calibrator(name, folder) if _is_own(name) else _entry(name)


def options_in_force(config: ExperimentConfig) -> dict[str, Any]:
    """The written options that have an effect: without examples drawn for each row, priors for each row are one."""
    options = config.calibration_options
    if config.draws_examples_per_row or _is_own(config.calibration):
        return options
    return {key: value for key, value in options.items() if key != PER_ROW}


def needed_row_sets(name: str, options: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The row sets that a calibrator needs under these options; own code is read and not imported."""
    if _is_own(name):
        return own_row_sets(name, folder)
    calibrator = _entry(name)
    return calibrator.row_sets(calibrator.options(**options))


def check_calibration(name: str, options: Mapping[str, Any], folder: Path) -> list[PathMessage]:
    """Everything wrong with `calibration_args`, as (dotted path within them, message).

    Args:
        name: of the calibrator, as written.
        options: what stands beside it.
        folder: the folder of the grid or config file, for own code.
    """
    if _is_own(name):
        try:
            own_row_sets(name, folder)
        except UserError as error:
            return [(NAME, str(error))]
        return []
    if name not in calibration_registry:
        return [(NAME, f"{unknown_name('calibrator', name, calibration_registry)}, or your own file.py:function")]
    known = _entry(name).options
    unknown = {key: value for key, value in options.items() if key not in known.model_fields}
    found = [(key, _unknown_option(key, name)) for key in unknown]
    try:
        known(**{key: value for key, value in options.items() if key not in unknown})
    except ValidationError as error:
        for fault in error.errors():
            message = str(fault["msg"]).removeprefix("Value error, ")
            path = ".".join(str(part) for part in fault["loc"])
            found.append((path, f"{fault['input']!r}: {message[0].lower()}{message[1:]}"))
    return found


def _is_own(name: str) -> bool:
    return name not in calibration_registry and is_own_code(name)


def _entry(name: str) -> Calibrator[Any]:
    if name not in calibration_registry:
        raise UserError(unknown_name("calibrator", name, calibration_registry))
    entry: Calibrator[Any] = import_object(calibration_registry[name])
    return entry


def _unknown_option(key: str, name: str) -> str:
    """The options there are, and whose option the unknown one is or nearly is."""
    own = list(_entry(name).options.model_fields)
    owners = [other for other in calibration_registry if key in _entry(other).options.model_fields]
    there_are = f"its options: {', '.join(own)}" if own else "it has no options"
    if owners:
        return f"{name} has no option {key!r}, it is one of {', '.join(owners)}; {there_are}"
    hint = nearest(key, own)
    return f"{name} has no option {key!r}{f' (did you mean {hint}?)' if hint else ''}; {there_are}"
