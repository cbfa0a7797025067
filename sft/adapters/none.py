"""The method `none`: nothing is trained; the shots serve only as in-context examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel

from sft.adapters.method import OptionFinding
from sft.exceptions import UserError
from sft.models.objective import Objective
from sft.prompts.train_row import TrainRow


class NoOptions(BaseModel):
    """There are none."""


class NoAdapter:
    """Takes no options; what needs a trained part is an error."""

    options: type[BaseModel] = NoOptions
    initialisers = None
    saved_as = ""
    trains_head = False
    trainer_defaults: Mapping[str, Any] = {}

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """A finding for each option."""
        return [OptionFinding(key, "method none takes no options; leave it out") for key in options]

    def require_packages(self, options: Mapping[str, Any]) -> None:
        """It needs none."""

    def check_on_model(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
        """It goes with every model."""
        return []

    def supports(self, options: Mapping[str, Any], storage: str, objective: Objective) -> str | None:
        """Every model can be measured as it is."""
        return None

    def unmergeable(self, options: Mapping[str, Any], storage: str) -> str | None:
        """There is nothing to merge."""
        return "adapter.method is none: nothing is trained"

    def with_head(self, options: Mapping[str, Any], head: Sequence[str]) -> NoReturn:
        """Always an error."""
        self.attach(None, options, Path(), ())

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def own_code(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """There is none."""
        return {}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> NoReturn:
        """Always an error."""
        raise UserError("adapter.method is none: nothing is trained; name a method such as lora")

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """Nothing to disagree with."""
        return []

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> NoReturn:
        """Always an error."""
        self.attach(model, options, adapter, ())

    def own_tensors(self, model: Any) -> NoReturn:
        """Always an error."""
        self.attach(model, {}, Path(), ())

    def save(self, model: Any, folder: Path) -> NoReturn:
        """Always an error."""
        self.attach(model, {}, folder, ())

    def load(self, model: Any, folder: Path) -> NoReturn:
        """Always an error."""
        self.attach(model, {}, folder, ())

    def merge(self, model: Any) -> NoReturn:
        """Always an error."""
        self.attach(model, {}, Path(), ())

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> NoReturn:
        """Always an error."""
        self.attach(model, options, folder, ())

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> NoReturn:
        """Always an error."""
        self.attach(model, options, folder, ())


METHOD = NoAdapter()
