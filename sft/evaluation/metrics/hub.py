"""Metrics that live on the Hugging Face hub, by their `evaluate` name.

The table holds those of the `evaluate` library that compare one text with one reference and that are not in our own
registry; any other is written as `owner/name`, or as the folder of a local `evaluate` module (`./my_metric`).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.exceptions import MachineError, machine_error

_HIGHER_IS_BETTER: Mapping[str, bool] = {
    "cer": False,
    "character": False,
    "charcut_mt": False,
    "competition_math": True,
    "frugalscore": True,
    "google_bleu": True,
    "mauve": True,
    "meteor": True,
    "nist_mt": True,
    "sacrebleu": True,
    "ter": False,
    "wer": False,
}

_NLTK_DATA = re.compile(r"Resource (?:\x1b\[\d+m)?([\w-]+)(?:\x1b\[0m)? not found")
HUB_METRICS = tuple(_HIGHER_IS_BETTER)


def is_hub_metric(name: str) -> bool:
    """Whether a name that is not ours means an `evaluate` module."""
    return name in _HIGHER_IS_BETTER or "/" in name


def is_path(name: str) -> bool:
    """Whether the name of a metric can only be that of a local file or folder."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def hub_direction(name: str) -> bool:
    """Whether higher is better; an `owner/name`, which says nothing of it, counts as higher is better."""
    return _HIGHER_IS_BETTER.get(name, True)


def arguments_key(result_name: str) -> str:
    """The key under `evaluation` whose map goes to the metric's `compute`."""
    return f"{result_name}_args"


def compute_hub_metric(
    name: str, predictions: Sequence[Any], references: Sequence[Any], arguments: Mapping[str, Any], folder: Path
) -> Mapping[str, Any]:
    """What the `evaluate` module of that name gives.

    Args:
        name: `meteor`, `owner/name`, or a local folder relative to `folder`.
        predictions: generated texts, or indices into the label set.
        references: reference texts, or gold indices.
        arguments: passed to `compute`.
        folder: the folder of the grid file.

    Raises:
        MachineError: the hub cannot be reached and the module is not cached, or a package it needs is missing.
    """
    module = _load(name, folder)
    try:
        result: Mapping[str, Any] = module.compute(predictions=predictions, references=references, **arguments)
    except LookupError as error:
        found = _NLTK_DATA.search(str(error))
        if found is None:
            raise
        raise MachineError(
            f"metric {name!r} needs data of nltk that are not there; run: python -m nltk.downloader {found[1]}",
            kind="network",
        ) from error
    return result


def try_hub_metric(name: str, arguments: Mapping[str, Any], folder: Path) -> None:
    """Load a metric, and compute it for one text: some load data only then.

    What it says of that text itself is no fault of the metric.

    Raises:
        MachineError: as `compute_hub_metric`.
    """
    try:
        compute_hub_metric(name, ["one text"], ["one text"], arguments, folder)
    except MachineError:
        raise
    except Exception:  # noqa: BLE001  a metric may want labels, or more than one row; the stage tells
        return


def _load(name: str, folder: Path) -> Any:
    """The `evaluate` module of that name, with the data it asks for when it is loaded, such as word lists.

    Raises:
        MachineError: as `compute_hub_metric`.
    """
    from sft.evaluation.metrics.evaluate_library import evaluate

    local = (folder / Path(name).expanduser()).resolve()
    try:
        return evaluate.load(str(local) if local.exists() else name)
    except ImportError as error:
        raise MachineError(f"metric {name!r}: {_one_line(error)}") from error
    except (OSError, ValueError) as error:
        raise machine_error(f"metric {name!r} cannot be loaded", error) or MachineError(
            f"metric {name!r} lives on the Hugging Face hub, and it could be neither reached nor found in the cache "
            f"({_one_line(error)}); go online once, or choose a metric of `sft methods`",
            kind="network",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
