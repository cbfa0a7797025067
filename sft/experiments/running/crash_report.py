"""What is left when the program itself fails while a grid runs."""

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from sft.exceptions import InternalError
from sft.processes.environment import versions
from sft.processes.quiet_stream import QuietStream
from sft.runs.files import ResultsFolder
from sft.runs.secrets_masking import mask, secret_values
from sft.wording import shown_path


def crashed(error: Exception, results: ResultsFolder) -> InternalError:
    """Write the traceback to `crash-TIME.log` in the results folder; returns what the user is told."""
    told = mask(f"{type(error).__name__}: {error}", secret_values(os.environ))
    said = f"internal error: {told}. What is finished is safe."
    path = write_crash_log("".join(traceback.format_exception(error)), results)
    return InternalError(said if path is None else f"{said} Please report it with {shown_path(path)}")


def write_crash_log(text: str, results: ResultsFolder) -> Path | None:
    """Write a traceback to `crash-TIME.log`; to stderr, and None, where the disk does not take it."""
    text = mask(text, secret_values(os.environ))
    path = results.crash_log(f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    try:
        path.write_text(f"{text}\n{versions()}\n", "utf-8")
    except OSError:
        QuietStream(sys.stderr).write(text)
        return None
    return path
