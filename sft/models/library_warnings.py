"""What libraries warn of while they load a model, an adapter or a tokenizer, judged instead of scrolled by.

A warning that is known to mean wrong weights, or arguments without effect, ends the stage: the numbers would be of
something else than what was asked for. One that is known to mean nothing here is left. Whatever nobody has judged yet
is noted: the stage records it, the board shows it, and the project's own tests fail on it.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sft.exceptions import ErrorKind, UserError, machine_kind

PACKAGES = ("transformers", "peft", "trl", "accelerate", "bitsandbytes")

HARMLESS = (
    r"LOAD REPORT",  # what it lists is judged from the loading information itself
    r"\bdeprecated\b",
    r"to instantiate a model of type ``",  # a configuration read for its name alone
    r"Unexpected keyword arguments .* for class \w+, these are ignored",  # judged by their values when read
    r"contains a `runtime_config` key",
    r"Special tokens have been added in the vocabulary",  # ids beyond the embedding are refused
    r"default legacy behaviour of the",
    r"generation flags are not valid",  # generation has settings of its own
    r"`loss_type=None` was set in the config",  # of models that gptqmodel loads; the loss is that of the objective
    r"Model config: \w+_token_id must be",  # ids are the tokenizer's
    r"PyTorch was not found",
    r"model is already on multiple devices",  # said of any that was placed at loading; it stays there
    r"parameters are on the meta device",  # they are brought in when they are needed
    r"Failed to load CPU gemm",
    r"will be cast from \S+ to float16 during quantization",
    r"tie_word_embeddings=True",  # speaks of merging, after which the config says otherwise
    r"lora_bias=True. was passed",
    r"Setting `save_embedding_layers`",
    r"fan_in_fan_out is set to \w+ but",
    r"eva initialization used with low_cpu_mem_usage=False",
    r"(?:rank|alpha)_pattern keys did not match",  # PEFT looks at modules alone; `require_patterns` at parameters too
    r"Failed to load the CUDA extension",  # BOFT's, without which it is slower
    r"Setting boft_n_butterfly_factor to 1",  # as by default; no other is taken
    r"the base layer has no bias term",  # BEFT is not merged
    r"Unsupported layer type",  # of norms, which have no number of features to look up
)
WRONG = (
    r"missing adapter keys",
    r"[Nn]ewly initialized",
    r"not initialized from the model checkpoint",
    r"Reinit due to size mismatch",
    r"model of type .* to instantiate a model of type",
    r"modify a model with PEFT for a second time",
    r"Already found a `peft_config` attribute",
    r"no linear modules were found",
    r"Unused kwargs",
    r"but no modules? (?:was|were) (?:matched|excluded)",
    r"but no parameter was matched",
    r"requested `ensure_weight_tying`, but no tied modules",
    r"Weight tying will not be applied",
    r"(?:will be|are|is|were|being) ignored",
)
_HARMLESS = re.compile("|".join(HARMLESS))
_WRONG = re.compile("|".join(WRONG))
_OF_THE_FUTURE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)
_DRAWN = re.compile(r"\x1b\[[0-9;]*m|[-+]{5,}")
"""Colours, and the rules of tables."""
_LONGEST = 300


class _Process:
    """Of this process, which runs one stage."""

    noted: tuple[str, ...] = ()


def noted_warnings() -> list[str]:
    """What libraries warned of in this process that nobody has judged yet, each once."""
    return list(_Process.noted)


def note_warning(text: str) -> None:
    """Note one of the project's own: the stage does less than its config says, because a library cannot."""
    _Process.noted = tuple(dict.fromkeys([*_Process.noted, text]))


def forget_warnings() -> None:
    """A stage begins."""
    _Process.noted = ()


@contextlib.contextmanager
def judged_warnings(subject: str, kind: ErrorKind = "model", left: str | None = None) -> Iterator[None]:
    """Judge what libraries warn of in the block.

    Args:
        subject: what is loaded, as the user knows it.
        kind: of the error where a warning ends the stage.
        left: a pattern of further warnings that mean nothing there.

    Raises:
        UserError: a warning means wrong weights or arguments without effect.
    """
    told: list[str] = []
    try:
        with _heard(told):
            yield
    except RuntimeError as error:
        wrong = next((text for text in told if "LOAD REPORT" in text or _is_wrong(text)), None)
        if wrong is None or machine_kind(error) is not None:
            raise
        raise UserError(f"{subject} does not load: {wrong}", kind=kind) from error
    judged = [text for text in told if left is None or not re.search(left, text)]
    wrong = next(filter(_is_wrong, judged), None)
    if wrong is not None:
        raise UserError(f"{subject}: {wrong}; such weights or settings are not measured", kind=kind)
    _Process.noted = tuple(dict.fromkeys([*_Process.noted, *(text for text in judged if not _HARMLESS.search(text))]))


def _is_wrong(text: str) -> bool:
    return not _HARMLESS.search(text) and _WRONG.search(text) is not None


@contextlib.contextmanager
def _heard(told: list[str]) -> Iterator[None]:
    """Append what is warned of to `told`, by package, in one line each; it is shown as ever."""
    handlers = [(logging.getLogger(package), _Listener(package, told)) for package in PACKAGES]
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            package = next((part for part in Path(filename).parts if part in PACKAGES), None)
            if package is not None and not issubclass(category, _OF_THE_FUTURE):
                told.append(_one_line(package, message))
            shown(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", module=rf"(?:{'|'.join(PACKAGES)})(?:\.|$)")
        warnings.showwarning = show
        for logger, handler in handlers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger, handler in handlers:
                logger.removeHandler(handler)


class _Listener(logging.Handler):
    """Appends the warnings of a package's loggers."""

    def __init__(self, package: str, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._package = package
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(_one_line(self._package, record.getMessage()))


def _one_line(package: str, message: Any) -> str:
    text = " ".join(_DRAWN.sub("", str(message)).split())
    return f"{package} warns: {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"
