"""Which errors are the machine's, whatever a library made of them."""

import errno
import os
from pathlib import Path

import pytest

from sft.exceptions import MachineError, machine_error


def raised(first: Exception, then: Exception) -> Exception:
    try:
        try:
            raise first
        except Exception as error:
            raise then from error
    except Exception as error:  # noqa: BLE001
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x/vocab"), "it cannot: /x/vocab: Permission denied"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "it cannot: Read-only file system"),
        (OSError(errno.ENODEV, os.strerror(errno.ENODEV)), "it cannot: No such device"),
        (RuntimeError("Permission denied (os error 13)"), "it cannot: Permission denied"),
        (MemoryError("not now"), "it cannot: not now"),
        (FileNotFoundError(2, "No usable temporary directory"), "it cannot: [Errno 2] No usable temporary directory"),
    ],
)
def test_the_machine_s_part_is_found_below_what_a_library_says(error: Exception, told: str) -> None:
    for caught in (error, raised(error, OSError("Can't load the tokenizer")), raised(error, ValueError("damaged"))):
        found = machine_error("it cannot", caught)
        assert isinstance(found, MachineError)
        assert (str(found), found.exit_code) == (told, 5)


@pytest.mark.parametrize(
    "error",
    [ValueError("not JSON"), OSError("x is not a local folder"), FileNotFoundError(errno.ENOENT, "No such file", "x")],
)
def test_what_the_user_wrote_is_none_of_the_machine_s(error: Exception) -> None:
    assert machine_error("it cannot", error) is None
    assert machine_error("it cannot", raised(ValueError("below"), error)) is None


def test_a_tokenizer_that_may_not_be_read_is_the_machine_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    from sft.models.tokenizers import load_tokenizer

    def refuse(*_: object, **__: object) -> None:
        raise raised(PermissionError(errno.EACCES, "Permission denied", "vocab.json"), OSError("Can't load it"))

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    with pytest.raises(MachineError, match=r"vocab\.json: Permission denied"):
        load_tokenizer(str(tmp_path), tmp_path)
