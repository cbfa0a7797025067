"""What methods of the project's own share: a folder of `method.json` and the tensors, written and read one way."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from sft.adapters.method import TASK_TYPE, OptionFinding, check_options, option_defaults, require_agreement
from sft.exceptions import UserError
from sft.models.objective import Objective
from sft.prompts.train_row import TrainRow

if TYPE_CHECKING:
    import torch

METHOD_FILE = "method.json"
TENSORS_FILE = "method.safetensors"
SCHEMA = 1
HEAD = "last_layer"
"""What `method.json` says among the options where the output head was trained as well."""
ATTACHED = "sft_method"
"""Attribute of a model with an adapter of such a method: the options that it was built with."""


class SavedMethod(NamedTuple):
    """What `method.json` says of the adapter beside it."""

    method: str
    options: dict[str, Any]


class OwnMethod(ABC):
    """A method that is built from its options alone; all it has learned are the tensors that it trains.

    A subclass says its name, its options, and how it is built; the rest follows.
    """

    name: str
    options: type[BaseModel]
    initialisers = None
    saved_as = METHOD_FILE
    trains_head = False
    trainer_defaults: Mapping[str, Any] = {}

    @abstractmethod
    def build(self, model: Any, options: Mapping[str, Any]) -> Any:
        """The model with its new parts, computing what it computed; they, and nothing else, require gradients.

        Args:
            model: the loaded base model; it may be changed in place.
            options: all of them, defaults filled in.

        Raises:
            UserError: they do not fit the model.
        """

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Unknown keys and wrong values."""
        return check_options(options, self.options)

    def require_packages(self, options: Mapping[str, Any]) -> None:  # noqa: B027  a method may leave it as it is
        """It needs none."""

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """It goes with every model."""
        return []

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """It trains every base."""
        return None

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """It cannot, where a subclass does not say how."""
        return f"an adapter of {self.name} is no part of the base's weights"

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> Mapping[str, Any]:
        """Noted among the options, so that the saved adapter says so."""
        return {**options, HEAD: True}

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """Those of `options`; an adapter that is trained on keeps its own."""
        return {} if continued else option_defaults(self.options)

    def own_code(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """There is none."""
        return {}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The model as `build` makes it."""
        return self._built(model, self._whole(options))

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that are written and differ from those of the trained adapter."""
        saved = read_method(adapter)
        if saved.method != self.name:
            return [OptionFinding("", f"{adapter} is a {saved.method} adapter, not {self.name}")]
        known = self._whole(saved.options)
        return [
            OptionFinding(key, f"{value!r}, but model.adapter has {known.get(key)!r}; leave it out")
            for key, value in options.items()
            if key != TASK_TYPE and value is not None and value != known.get(key)
        ]

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with the trained adapter, which keeps its own options."""
        require_agreement(self.check_continued(options, adapter))
        from sft.adapters.masters import hold_masters

        built = self._as_saved(model, adapter)
        hold_masters(built)  # before they are read: 16 bits would round them
        put_tensors(self.own_tensors(built), adapter)
        return built

    def own_tensors(self, model: Any) -> "dict[str, torch.Tensor]":
        """What is trained."""
        from sft.adapters.parameters import trained_tensors

        return trained_tensors(model)

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        """`method.json` and the tensors."""
        folder.mkdir()
        write_method(folder, SavedMethod(self.name, vars(model)[ATTACHED]), self.own_tensors(model))
        return {}

    def load(self, model: Any, folder: Path) -> Any:
        """The base with what was learned, nothing of it to be trained."""
        built = self._as_saved(model, folder)
        put_tensors(self.own_tensors(built), folder)
        return built.requires_grad_(False).eval()

    def merge(self, model: Any) -> Any:
        """Always an error, where a subclass does not say how."""
        raise UserError(self.unmergeable({}, "") or f"{self.name} does not say how it is merged", kind="model")

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:  # noqa: B027
        """Nothing: the base is untouched."""

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model as `build` makes it, whose tensors the caller has."""
        return self._built(model, self._whole(options))

    def _whole(self, options: Mapping[str, Any]) -> dict[str, Any]:
        written = {key: value for key, value in options.items() if key in self.options.model_fields}
        whole = self.options.model_validate(written).model_dump()
        return {**whole, HEAD: True} if options.get(HEAD) else whole

    def _built(self, model: Any, options: dict[str, Any]) -> Any:
        from sft.adapters.base_weights.head import train_head

        built = self.build(model, {key: value for key, value in options.items() if key != HEAD})
        if options.get(HEAD):
            train_head(built, self.name)
        vars(built)[ATTACHED] = options
        return built

    def _as_saved(self, model: Any, folder: Path) -> Any:
        """The model with the parts of a saved adapter, whose tensors are still to be read."""
        saved = read_method(folder).options
        wrong = [key for key in saved if key not in (*self.options.model_fields, HEAD)]
        try:
            options = self._whole(saved)
        except ValidationError as error:
            wrong += [str(problem["loc"][0]) for problem in error.errors()]
        if wrong:
            text = f"model.adapter: {folder / METHOD_FILE} has values that {self.name} does not know"
            raise UserError(f"{text}: {', '.join(wrong)}; train it anew", kind="model")
        return self._built(model, options)


def read_method(folder: Path) -> SavedMethod:
    """What `method.json` of a trained adapter says.

    Raises:
        UserError: kind model: there is none, or it is damaged.
    """
    file = folder / METHOD_FILE
    try:
        saved = json.loads(file.read_text("utf-8"))
        return SavedMethod(str(saved["method"]), dict(saved["options"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"model.adapter: {file} cannot be read ({type(error).__name__}: {error}); copy the folder again"
        raise UserError(text, kind="model") from error


def write_method(folder: Path, saved: SavedMethod, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write an adapter to `folder`, which exists and is empty."""
    from safetensors.torch import save_file

    whole = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / TENSORS_FILE, metadata={"format": "pt"})
    record = {"schema": SCHEMA, "method": saved.method, "options": saved.options}
    (folder / METHOD_FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")


def put_tensors(own: "Mapping[str, torch.Tensor]", folder: Path) -> None:
    """Give the tensors of a model the values saved in `folder`.

    Raises:
        UserError: kind model: the file is damaged, or its names or shapes are not those of the model.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        saved = load_file(folder / TENSORS_FILE)
    except (OSError, SafetensorError) as error:
        text = f"model.adapter: {folder / TENSORS_FILE} cannot be read ({error}); copy the folder again"
        raise UserError(text, kind="model") from error
    other = sorted(set(own) ^ set(saved)) or [name for name in own if own[name].shape != saved[name].shape]
    if other:
        raise UserError(f"model.adapter: {folder} does not fit the model: {other[0]} differs", kind="model")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])
