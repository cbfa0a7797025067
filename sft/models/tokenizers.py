"""Tokenizers: always the fast kind, always with a pad token, and without torch."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.errors import UserError
from sft.models.gguf import converted_gguf
from sft.models.references import loading_error, locate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THINKING_SWITCH = "enable_thinking"
SHIPPED_CODE = "it is made by Python code that comes with it, which is never run"


def load_tokenizer(name: str, folder: Path, revision: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model, ready for batches.

    A tokenizer without a pad token takes its end-of-text token for it, else its unknown token; the ids of text do not
    change by that. Code shipped with a tokenizer is never run.

    Args:
        name: hub id, local folder, or local GGUF file; relative to `folder`.
        folder: the folder of the grid or config file.
        revision: the pinned commit of a hub id.

    Raises:
        UserError: there is no such tokenizer, it has no fast form, or no token can serve as pad token.
        MachineError: it is not cached and the hub does not answer.
    """
    from transformers import AutoTokenizer

    path = locate(name, folder)
    if path is not None and path.suffix == ".gguf":
        path = converted_gguf(path)
    try:
        # Where nothing is said, transformers asks at the terminal whether code shipped with a tokenizer may run.
        tokenizer = AutoTokenizer.from_pretrained(
            str(path or name), revision=revision, use_fast=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        known = loading_error(name, error) if path is None else None
        reason = SHIPPED_CODE if "trust_remote_code" in str(error) else " ".join(str(error).split())
        raise known or UserError(f"no tokenizer can be read from {name!r}: {reason}", kind="tokenizer") from error
    if not tokenizer.is_fast:
        raise UserError(f"the tokenizer of {name!r} has no fast form (tokenizer.json)", kind="tokenizer")
    _ensure_pad_token(tokenizer, name)
    return tokenizer


def chat_template_source(chat_template_from: str | None, folder: Path, revision: str | None = None) -> str | None:
    """The source of the chat template that is used in place of the tokenizer's own; None when none is named.

    Args:
        chat_template_from: a `.jinja` file, or a tokenizer (hub id or folder) with a template.
        folder: the folder of the grid or config file.
        revision: the pinned commit where `chat_template_from` is a hub id.

    Raises:
        UserError: there is no such file or tokenizer, or the tokenizer has no chat template.
    """
    if chat_template_from is None:
        return None
    if chat_template_from.endswith((".jinja", ".jinja2")):
        file = folder / Path(chat_template_from).expanduser()
        if not file.is_file():
            raise UserError(f"model.chat_template_from: no file {file}", kind="tokenizer")
        return file.read_text("utf-8")
    template = load_tokenizer(chat_template_from, folder, revision).chat_template
    if isinstance(template, dict):
        template = template.get("default")
    if template is None:
        text = f"model.chat_template_from: the tokenizer of {chat_template_from!r} has no chat template"
        raise UserError(text, kind="tokenizer")
    return str(template)


def default_template_args(template: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat template gets: `written`, over `enable_thinking` false where the template knows that name."""
    knows = re.search(rf"\b{THINKING_SWITCH}\b", template) is not None
    return {THINKING_SWITCH: False, **written} if knows else dict(written)


def _ensure_pad_token(tokenizer: "PreTrainedTokenizerBase", name: str) -> None:
    if tokenizer.pad_token_id is not None:
        return
    substitute = tokenizer.eos_token or tokenizer.unk_token
    if substitute is None:
        text = f"the tokenizer of {name!r} has neither a pad, an end-of-text nor an unknown token"
        raise UserError(text, kind="tokenizer")
    tokenizer.pad_token = substitute
