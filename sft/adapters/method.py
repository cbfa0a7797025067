"""What an adapter method must offer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sft.data.prompts.train_row import TrainRow


class OptionFinding(NamedTuple):
    """Something wrong with a method's options."""

    path: str
    """Dotted path within the options; empty for the options as a whole."""

    message: str
    """The value, what is allowed, what to do."""


class AdapterMethod(Protocol):
    """One way to train a model; its module imports nothing heavy."""

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """Everything wrong with `options`, without importing torch; own code is relative to `folder`."""
        ...

    def defaults(self) -> dict[str, Any]:
        """Options in force where the user writes none."""
        ...

    def known_defaults(self, *, continued: bool) -> Mapping[str, Any]:
        """What an option means where it is left out: ours, else that of the installed library's class.

        Options without a default that holds for every model are left out. `continued` says that the method goes on
        from a trained adapter, which then gives what is not written.
        """
        ...

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The model with its trainable part, computing what the model computed.

        Seeds are set by the caller; `rows` are those that will be trained on, for initialisations that look at them.
        """
        ...

    def check_continued(self, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
        """The options that disagree with the trained adapter in the folder `adapter`; torch is not imported."""
        ...

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The model with the trained adapter in the folder `adapter`, ready to be trained on."""
        ...

    def save_start(self, model: Any, options: Mapping[str, Any], folder: Path) -> None:
        """Write to `folder` what `restored` needs; the base and what is frozen are as `attach` left them."""
        ...

    def restored(self, model: Any, options: Mapping[str, Any], folder: Path) -> Any:
        """The model as `attach` left it, but for the values of the adapter's own tensors, which the caller has.

        From what `save_start` wrote, without looking at rows or decomposing a weight a second time.
        """
        ...
