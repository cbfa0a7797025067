"""The labels that a trained head answers with, kept beside its weights: an output has no name of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sft.adapters.method import OF_THE_TRAINED
from sft.exceptions import UserError
from sft.models.reading import shortened

FILE = "head_labels.json"


def write_head_labels(model: Any, folder: Path) -> None:
    """Write the labels of a model's head, in the order of its outputs, into the folder of its adapter.

    Args:
        model: with a head, wrapped by an adapter or not.
        folder: of a saved adapter.
    """
    named = model.config.id2label
    (folder / FILE).write_text(json.dumps([named[place] for place in sorted(named)], ensure_ascii=False), "utf-8")


def read_head_labels(folder: Path) -> list[str] | None:
    """The labels of the head that was trained with an adapter; None where there is none.

    Args:
        folder: of the adapter.

    Raises:
        UserError: kind model: the file is damaged.
    """
    file = folder / FILE
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        text = f"{OF_THE_TRAINED}: {file} cannot be read ({shortened(str(error))}); copy the folder again"
        raise UserError(text, kind="model") from error
    is_list = isinstance(found, list) and all(isinstance(label, str) for label in found)
    if not is_list or not found or len(set(found)) < len(found):
        text = f"{OF_THE_TRAINED}: {file} is not the list of a head's labels, each once, but {shortened(repr(found))}"
        raise UserError(f"{text}; copy the folder again", kind="model")
    labels: list[str] = found
    return labels


def take_head_labels(model: Any, folder: Path) -> None:
    """Give the outputs of a base model's head the names that they had when an adapter was trained.

    Args:
        model: the base; one without a head is left as it is.
        folder: of the adapter that it gets.

    Raises:
        UserError: kind model: the head has another number of outputs.
    """
    labels = read_head_labels(folder)
    if labels is None:
        return
    fault = labels_fault(folder, list(model.config.id2label.values()), labels)
    if fault is not None:
        raise UserError(f"{OF_THE_TRAINED}: {fault}", kind="model")
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: place for place, label in enumerate(labels)}


def labels_fault(folder: Path, wanted: Sequence[str], labels: Sequence[str]) -> str | None:
    """Why a head that was trained for some labels does not answer with others; None where they are the same.

    Args:
        folder: of the adapter that it was trained with.
        wanted: labels that it is to answer with, in any order.
        labels: those that it was trained for.
    """
    if sorted(wanted) == sorted(labels):
        return None
    told, known = (", ".join(map(repr, some)) for some in (labels, wanted))
    return f"the head of {folder} was trained for {told}, and the labels here are {known}; train a new adapter"
