"""The method `none`: nothing is trained; the shots serve only as in-context examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.adapters.method import OptionFinding
from sft.data.prompts.train_row import TrainRow
from sft.errors import UserError


class NoAdapter:
    """Takes no options and attaches nothing."""

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """A finding for each option."""
        return [OptionFinding(key, "method none takes no options; leave it out") for key in options]

    def defaults(self) -> dict[str, Any]:
        """There are none."""
        return {}

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """Always an error: there is nothing to train."""
        raise UserError("adapter.method is none: nothing is trained; name a method such as lora")

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """Nothing to disagree with."""
        return []

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """Always an error: there is nothing to train."""
        return self.attach(model, options, adapter, ())

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """Always an error: there is nothing to train."""
        self.attach(model, options, folder, ())

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """Always an error: there is nothing to train."""
        return self.attach(model, options, folder, ())


METHOD = NoAdapter()
