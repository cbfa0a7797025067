"""Files of tokenizers for others to load; as a program: those that standard input names, written without torch."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing transformers would load it

from sft.config.model import ModelConfig
from sft.exceptions import MachineError, UserError
from sft.models.tokenizers import chat_template_in_force, load_tokenizer


@dataclass(frozen=True)
class WantedTokenizer:
    """The tokenizer of a model, with the chat template that its prompts are written by."""

    name: str
    """Hub id, local folder or GGUF file of the model."""
    revision: str | None
    """Pinned commit where it is a hub id."""
    template_from: str | None
    """As `model.chat_template_from`."""
    template_revision: str | None
    """Pinned commit where that is a hub id."""
    folder: str
    """What local names are relative to."""

    @classmethod
    def of(cls, model: ModelConfig, commits: Mapping[str, str], folder: Path) -> "WantedTokenizer":
        """That of an experiment's model.

        Args:
            model: the section of its config.
            commits: `model` and `chat_template` -> pinned commit, of those that are hub ids.
            folder: what local names are relative to.
        """
        template = model.chat_template_from
        return cls(model.name, commits.get("model"), template, commits.get("chat_template"), str(folder))

    def write(self, target: Path) -> None:
        """Write its files to a folder.

        Raises:
            UserError: there is no such tokenizer or template.
            MachineError: it is not cached and the hub does not answer.
        """
        folder = Path(self.folder)
        tokenizer = load_tokenizer(self.name, folder, self.revision)
        template = chat_template_in_force(tokenizer, self.template_from, folder, self.template_revision)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(str(target))


if __name__ == "__main__":
    try:
        for wanted, place in json.load(sys.stdin):
            WantedTokenizer(**wanted).write(Path(place))
    except (UserError, MachineError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
