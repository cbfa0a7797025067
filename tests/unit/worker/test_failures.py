import errno
import os
from pathlib import Path

import pytest

from sft.exceptions import DataError, MachineError, StageFailure, UserError
from sft.runs.exit_codes import exit_code_of
from sft.worker.failures import error_record


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (DataError("no rows"), "data", 11),
        (UserError("no such key"), "config", 10),
        (StageFailure("loss became NaN", kind="diverged"), "diverged", 14),
        (MachineError("no network", kind="network"), "network", 15),
        (ValueError("why\nnot"), "exception", 20),
        (MemoryError(), "oom_host", 13),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom_host", 13),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom_gpu", 12),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`"), "oom_gpu", 12),
        (RuntimeError("CUDA out of memory."), "oom_gpu", 12),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory: you tried"), "oom_host", 13),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), "oom_host", 13),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", 17),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full", 17),
        (OSError(errno.EFBIG, "File too large"), "disk_full", 17),
        (
            Exception('Error while serializing: IoError(Os { code: 28, message: "No space left on device" })'),
            "disk_full",
            17,
        ),
        (OSError(errno.ENOENT, "No such file"), "exception", 20),
    ],
)
def test_every_kind_of_failure_and_its_exit_code(error: Exception, kind: str, code: int) -> None:
    record = error_record(error)
    assert (record.kind, exit_code_of(record.kind)) == (kind, code)
    assert "\n" not in record.message


def test_the_message_of_an_explained_error_is_its_own_and_that_of_another_names_its_type() -> None:
    assert error_record(DataError("no rows")).message == "no rows"
    assert error_record(ValueError("why\n  not")).message == "ValueError: why not"
    assert error_record(ValueError()).message == "ValueError"


@pytest.mark.parametrize(
    ("cause", "kind"),
    [(MemoryError(), "oom_host"), (OSError(errno.ENOSPC, "full"), "disk_full"), (OSError(), "model")],
)
def test_a_reason_of_the_machine_counts_for_more_than_the_words_put_round_it(cause: Exception, kind: str) -> None:
    error = UserError("model cannot be loaded", kind="model")
    error.__cause__ = cause
    assert error_record(error).kind == kind


def test_a_full_disk_is_told_with_the_file_and_the_room_there(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "predictions.jsonl"))
    message = error_record(error).message
    assert message.startswith("no space left while writing predictions.jsonl (free ")
    assert message.endswith(" MB on that file system)")
    assert "writing results" in error_record(OSError(errno.ENOSPC, "full")).message
    limit = error_record(OSError(errno.EFBIG, "too large", "/nowhere/x.bin")).message
    assert limit == "no space left while writing x.bin (the limit of a file's size is reached)"
