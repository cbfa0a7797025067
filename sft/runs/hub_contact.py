"""Whether the Hugging Face hub answers. Once it was silent, nobody asks it again.

Commits are pinned and files are cached by commit, so that a process without network lacks nothing; but libraries ask
for each optional file that a model may have, and wait and try again for each: minutes per process. Offline mode ends
that, in this process and in those that it starts; `huggingface_hub`, `datasets` and `evaluate` read their variables
when they are imported.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from sft.runs.notices import say_once

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
SILENT = "SFT_HUB_SILENT"
"""Tells child processes why they are offline."""

CONSTANTS = (
    ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
    ("datasets.config", "HF_HUB_OFFLINE"),
    ("datasets.config", "HF_DATASETS_OFFLINE"),
    ("evaluate.config", "HF_EVALUATE_OFFLINE"),
)
"""What the libraries made of the variables, where they are imported."""

PROBE_SECONDS = 10.0
SERVER_ERRORS = 500


def note_silence(error: BaseException) -> None:
    """Go offline when an error of a request says that the hub gave no answer; a refusal is one."""
    response = getattr(error, "response", None)
    if os.environ.get(SILENT) or (response is not None and response.status_code < SERVER_ERRORS) or _is_offline():
        return
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    os.environ.update({**dict.fromkeys(OFFLINE, "1"), SILENT: reason})
    _set_constants(offline=True)


def tell_silence() -> None:
    """Say once that the cache takes the place of a hub that did not answer; what it lacks has an error of its own."""
    if is_silent():
        reason = os.environ[SILENT]
        say_once("hub", f"the Hugging Face hub does not answer ({reason}); from here on the cache alone is used")


def probe() -> None:
    """Ask the hub for a sign of life, unless the network is off anyway; without an answer, go offline."""
    import huggingface_hub
    from huggingface_hub import constants, errors

    if _is_offline():
        return
    try:
        huggingface_hub.get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        note_silence(error)
        tell_silence()


def is_silent() -> bool:
    """Whether this process is offline because the hub did not answer, and not because the user said so."""
    return SILENT in os.environ


@contextlib.contextmanager
def asked_anew() -> Iterator[None]:
    """Forget after this block that the hub was silent in it."""
    before = {name: os.environ.get(name) for name in (*OFFLINE, SILENT)}
    try:
        yield
    finally:
        if is_silent() and before[SILENT] is None:
            for name, value in before.items():
                os.environ.pop(name)
                os.environ.update({} if value is None else {name: value})
            _set_constants(offline=False)


def _is_offline() -> bool:
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode()


def _set_constants(*, offline: bool) -> None:
    for module, name in CONSTANTS:
        if module in sys.modules:
            setattr(sys.modules[module], name, offline)
