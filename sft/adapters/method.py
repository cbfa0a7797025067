"""What an adapter method must offer, and the method of a name."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from sft.adapters import adapter_registry
from sft.exceptions import UserError
from sft.models.objective import Objective
from sft.prompts.train_row import TrainRow
from sft.registry import load, nearest

if TYPE_CHECKING:
    import torch


TASK_TYPE = "task_type"
"""The option of PEFT's methods that names how the model answers; the objective sets it."""
INITIALISATION = "init_lora_weights"
"""The option by which LoRA names an initialiser."""
OF_THE_TRAINED = "model.adapter"
"""The key of a config that names a trained adapter."""


class OptionFinding(NamedTuple):
    """Something wrong with a method's options."""

    path: str
    """Dotted path within the options; empty for all of them, or for the trained adapter that they are held to."""

    message: str
    """The value, what is allowed, what to do."""


class Initialisers(NamedTuple):
    """What a method can begin from beside its own way."""

    option: str
    """The option that names one."""

    names: tuple[str, ...]
    """Those of the project's initialisers that it takes; a user's own code is taken beside them."""


class AdapterMethod(Protocol):
    """One way to train a model; its module imports nothing heavy."""

    options: type[BaseModel]
    """What is written beside `method`; the default of a field is in force where the user writes none."""

    initialisers: Initialisers | None
    """The initialisers that it takes; None where it takes none."""

    trains_head: bool
    """Whether it trains the output head without being asked."""

    saved_as: str
    """The file by which a folder is known to hold an adapter of this method; empty where nothing is ever saved."""

    trainer_defaults: Mapping[str, Any]
    """Arguments of the trainer in force where the user writes none, over the program's own defaults.

    Keys leave out what is as by default, so another value here gives old keys another meaning: it needs an entry in
    `sft.pipeline.revisions`.
    """

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Everything wrong with `options`, without importing torch; own code is relative to `folder`."""
        ...

    def require_packages(self, options: Mapping[str, Any]) -> None:
        """Check that the optional packages of sound `options` are there.

        Raises:
            PackageMissing: one is not, with the command that installs it.
        """
        ...

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """What of sound `options` does not go with a model, of which `config.json` says `config`; without torch."""
        ...

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """Why a model cannot be trained so; None where it can.

        Args:
            options: of this method; none for what holds by default.
            storage: how the base's weights are stored (`sft.models.stored_kinds`).
            objective: how the model answers.
        """
        ...

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """Why a trained adapter cannot become part of a base stored so; None where it can."""
        ...

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> Mapping[str, Any]:
        """The options under which the output head is trained as well, with weights of its own.

        Args:
            options: of this method.
            head: names of the modules of the base that are the head.

        Raises:
            UserError: this method trains it already, or cannot.
        """
        ...

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """What an option means where it is left out: ours, else that of the installed library's class.

        Options without a default that holds for every model are left out. `continued` says that the method goes on
        from a trained adapter, which then gives what is not written.
        """
        ...

    def own_code(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The options that name a user's own code, each as it is written."""
        ...

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The model with its trainable part, computing what the model computed.

        Seeds are set by the caller; `rows` are those that will be trained on, for initialisations that look at them.
        """
        ...

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with the trained adapter in the folder `adapter`; torch is not imported.

        What is wrong with that adapter itself has no path.
        """
        ...

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with the trained adapter in the folder `adapter`, ready to be trained on."""
        ...

    def own_tensors(self, model: Any) -> "dict[str, torch.Tensor]":
        """By name, every tensor of an attached model beyond its base: what is trained, and what stays fixed."""
        ...

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        """Write to `folder`, which is new, what `load` makes the trained model of, among it the file `saved_as`.

        Returns:
            What the record of the training says of it beside its curves.
        """
        ...

    def load(self, model: Any, folder: Path) -> Any:
        """The untouched base `model` with the adapter that `save` wrote to `folder`, in eval mode.

        Raises:
            UserError: the files are damaged, or do not fit the model.
        """
        ...

    def merge(self, model: Any) -> Any:
        """The base model with the adapter of a model that `load` returned in its own weights, which is used up.

        Raises:
            UserError: of kind model: this adapter cannot be merged into these weights.
        """
        ...

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """Write to `folder` what `restored` needs; the base and what is frozen are as `attach` left them.

        They never change, so this may be called at any moment of the training.
        """
        ...

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model as `attach` left it, but for the values of `own_tensors`, which the caller has.

        From what `save_start` wrote, without looking at rows or decomposing a weight a second time.
        """
        ...


def adapter_method(name: str) -> AdapterMethod:
    """The registry's entry of that name.

    Raises:
        UserError: there is none.
    """
    method: AdapterMethod = load(adapter_registry, name, "adapter method")
    return method


def initialiser_methods() -> str:
    """The methods that take initialisers, each group with its option."""
    options: dict[str, list[str]] = {}
    for name in adapter_registry:
        taken = adapter_method(name).initialisers
        if taken is not None:
            options.setdefault(taken.option, []).append(name)
    return "; ".join(f"{', '.join(names)} ({option})" for option, names in options.items())


def check_options(written: Mapping[str, Any], options: type[BaseModel]) -> list[OptionFinding]:
    """Unknown keys, and values of a wrong type or out of range, of a method that has all its options in `options`."""
    known = options.model_fields
    found = []
    for key in written:
        if key not in known:
            hint = nearest(key, known)
            suggestion = f" (did you mean {hint}?)" if hint else ""
            allowed = f"allowed: {', '.join(known) or 'none'}"
            if key == INITIALISATION:
                suggestion, allowed = "", f"these methods take initialisers: {initialiser_methods()}"
            found.append(OptionFinding(key, f"unknown key{suggestion}; {allowed}"))
    return found + check_values({key: value for key, value in written.items() if key in known}, options)


def check_values(written: Mapping[str, Any], options: type[BaseModel]) -> list[OptionFinding]:
    """Values of a wrong type or out of range, once for each place; what several types would take is told together.

    Args:
        written: as the user wrote it.
        options: the model that it is held to.
    """
    try:
        options.model_validate(dict(written))
    except ValidationError as error:
        told: dict[tuple[Any, ...], list[str]] = {}
        for problem in error.errors():
            text = f"{problem['msg'][0].lower()}{problem['msg'][1:]}"
            told.setdefault(_written_path(problem["loc"], written), []).append(text)
        inner = [path for path in told if not any(other[: len(path)] == path and other != path for other in told)]
        return [
            OptionFinding(".".join(map(str, path)), f"{reduce(getitem, path, written)!r}: {_joined(told[path])}")
            for path in inner
        ]
    return []


def require_agreement(found: Sequence[OptionFinding]) -> None:
    """Refuse to train an adapter on under options that disagree with it.

    Args:
        found: what the method's `check_continued` says.

    Raises:
        UserError: the first of them, with its key.
    """
    for path, message in found:
        text = f"adapter.{path} is {message}" if path else f"{OF_THE_TRAINED}: {message}"
        raise UserError(text, kind="config" if path else "model")


def _written_path(place: Sequence[Any], written: Any) -> tuple[Any, ...]:
    """The parts of a place that pydantic names which are keys or positions of what is written, not names of types."""
    path: list[Any] = []
    for part in place:
        is_position = isinstance(written, list) and isinstance(part, int)
        if is_position or (isinstance(written, Mapping) and part in written):
            written = written[part]
            path.append(part)
    return tuple(path)


def _joined(texts: Sequence[str]) -> str:
    """What pydantic says of each type that an option may have, as one text."""
    first, *others = dict.fromkeys(texts)
    return " or ".join([first, *(text.removeprefix("input should be ") for text in others)])


def option_defaults(options: type[BaseModel]) -> dict[str, Any]:
    """Options in force where the user writes none."""
    return {name: field.default for name, field in options.model_fields.items() if field.default is not None}
