"""Tokenizers: always the fast kind, always with a pad token, and without torch."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.models.gguf import converted_gguf
from sft.models.library_warnings import judged_warnings
from sft.models.reading import reading_error
from sft.models.references import locate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BYTE_ORDER_MARK = "\ufeff"
THINKING_SWITCH = "enable_thinking"
PROCESSOR_TEMPLATE = "chat_template.json"
"""Where older models with a vision part keep their chat template; transformers reads it for their processor only."""
SHIPPED_CODE = "it is made by Python code that comes with it, which is never run"

NO_FILES = "its folder holds no tokenizer (tokenizer.json); copy the tokenizer's files there, beside the weights"
OF_TOKENIZERS = ("tokenizer.*", "vocab.*", "*.model", "*.spm", "*.tiktoken", "*tokenizer*.json", "tekken.json")
"""Names of the files that a tokenizer is read or made from."""
NOT_ENOUGH = "tokenizer_config.json"


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
        with judged_warnings(f"the tokenizer of {name!r}", "tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(
                str(path or name), revision=revision, use_fast=True, trust_remote_code=False
            )
    except Exception as error:
        failed = f"no tokenizer can be read from {name!r}"
        told = reading_error(failed, name, path, error, "tokenizer")
        if told is None:
            raise
        known = _known_reason(path, error) if isinstance(told, UserError) else None
        raise (told if known is None else UserError(f"{failed}: {known}", kind="tokenizer")) from error
    if not tokenizer.is_fast:
        raise UserError(f"the tokenizer of {name!r} has no fast form (tokenizer.json)", kind="tokenizer")
    _ensure_pad_token(tokenizer, name)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = _processor_template(name, path, revision)
    return tokenizer


def chat_template_in_force(
    tokenizer: "PreTrainedTokenizerBase", chat_template_from: str | None, folder: Path, revision: str | None = None
) -> str | None:
    """The source of the chat template that prompts are written by: the one named, else the tokenizer's own, else None.

    Args:
        tokenizer: of the model.
        chat_template_from: a `.jinja` file, or a tokenizer (hub id or folder) with a template.
        folder: the folder of the grid or config file.
        revision: the pinned commit where `chat_template_from` is a hub id.

    Raises:
        UserError: there is no such file or tokenizer, it has no chat template, or has several and no default.
    """
    if chat_template_from is None:
        return own_chat_template(tokenizer)
    if chat_template_from.endswith((".jinja", ".jinja2")):
        return _template_of_file(folder / Path(chat_template_from).expanduser())
    template = own_chat_template(load_tokenizer(chat_template_from, folder, revision))
    if template is None:
        text = f"model.chat_template_from: the tokenizer of {chat_template_from!r} has no chat template"
        raise UserError(text, kind="tokenizer")
    return template


def own_chat_template(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The source of a tokenizer's chat template, of several the default; None where it has none.

    Raises:
        UserError: it has several and no default.
    """
    if not tokenizer.chat_template:
        return None
    try:
        return str(tokenizer.get_chat_template()).removeprefix(BYTE_ORDER_MARK)
    except ValueError as error:
        names = ", ".join(sorted(tokenizer.chat_template))
        text = (
            f"the tokenizer has several chat templates ({names}) and none named default; set model.chat_template_from "
            "to a .jinja file with one of them, or prompting.format to plain"
        )
        raise UserError(text, kind="tokenizer") from error


def default_template_args(template: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """What a chat template gets: `written`, over `enable_thinking` false where the template knows that name."""
    knows = re.search(rf"\b{THINKING_SWITCH}\b", template) is not None
    return {THINKING_SWITCH: False, **written} if knows else dict(written)


def _known_reason(path: Path | None, error: Exception) -> str | None:
    """Why there is no tokenizer, where transformers tells of something else than what the user must do."""
    if "trust_remote_code" in str(error):
        return SHIPPED_CODE
    if path is None or not path.is_dir():
        return None
    found = (file.name for pattern in OF_TOKENIZERS for file in path.glob(pattern))
    return None if any(name != NOT_ENOUGH for name in found) else NO_FILES


def _template_of_file(file: Path) -> str:
    if not file.is_file():
        raise UserError(f"model.chat_template_from: no file {file}", kind="tokenizer")
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"model.chat_template_from: {file} is not UTF-8; save it as UTF-8", kind="tokenizer") from None


def _processor_template(name: str, path: Path | None, revision: str | None) -> dict[str, str] | None:
    """The templates that a model keeps for its processor, by name; a single one is the default."""
    if path is not None:
        file = path / PROCESSOR_TEMPLATE
        found = str(file) if file.is_file() else None
    else:
        from transformers.utils import cached_file

        # As for the other optional files of a tokenizer, a hub that does not answer is a hub that has none.
        faults = ("missing_entries", "connection_errors", "gated_repo")
        told = {f"_raise_exceptions_for_{fault}": False for fault in faults}
        found = cached_file(name, PROCESSOR_TEMPLATE, revision=revision, **told)
    if found is None:
        return None
    try:
        template = json.loads(Path(found).read_text("utf-8-sig"))["chat_template"]
    except (ValueError, LookupError, TypeError):
        text = f'{PROCESSOR_TEMPLATE} of {name!r} is not {{"chat_template": "..."}}; mend it or take it away'
        raise UserError(text, kind="tokenizer") from None
    return {"default": template} if isinstance(template, str) else template


def _ensure_pad_token(tokenizer: "PreTrainedTokenizerBase", name: str) -> None:
    if tokenizer.pad_token_id is not None:
        return
    substitute = tokenizer.eos_token or tokenizer.unk_token
    if substitute is None:
        text = f"the tokenizer of {name!r} has neither a pad, an end-of-text nor an unknown token"
        raise UserError(text, kind="tokenizer")
    tokenizer.pad_token = substitute
