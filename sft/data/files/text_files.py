"""Text files to text."""

import codecs
import re
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from sft.errors import DataError, MachineError, UserError
from sft.wording import LONE_SURROGATE

LIKELY_ENCODINGS = ("utf-8", "cp1252", "shift_jis", "gb18030", "latin-1")
BYTE_ORDER_MARK = "\ufeff"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
NO_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save its sheet as csv",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet or document; save its sheet as csv",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"BZh9": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"PAR1\x15": "a parquet file; name it .parquet",
    b"SQLite format": "an SQLite database; export its table as csv",
    b"version https://git-lfs": "a pointer of Git LFS and not the data; fetch them with `git lfs pull`",
}
"""First bytes -> what a file is that has another name."""
BLOCK_BYTES = 2**16
"""So few that the rows of a block are gone before the garbage collector, which goes by their number, looks at them."""


def decoded(path: Path, encoding: str) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        DataError: a byte is not of the encoding, or what it gives is no text; names the line.
        MachineError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path}: cannot be read: {error.strerror}") from error
    for signature, kind in NO_TEXT.items():
        if data.startswith(signature):
            raise DataError(f"{path.name}: this is {kind} (found by its first bytes)")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fitting = ", ".join(_fitting_encodings(data)) or "none of the usual ones"
        raise DataError(
            f"{path.name} line {line}: byte 0x{data[error.start]:02x} is not valid {encoding}; "
            f"encodings that fit: {fitting}; write it as dataset.read: {{encoding: ...}}"
        ) from None
    except LookupError:
        raise UserError(
            f"dataset.read.encoding: unknown encoding {encoding!r}; utf-8 and cp1252 are two known"
        ) from None
    half = LONE_SURROGATE.search(text)
    if half is not None:
        line = text.count("\n", 0, half.start()) + 1
        raise lone_surrogate(f"{path.name} line {line}", half)
    return text.removeprefix(BYTE_ORDER_MARK)


def lone_surrogate(place: str, found: re.Match[str]) -> DataError:
    """Half of a character in data, which no tokenizer takes and no file of results can hold."""
    return DataError(
        f"{place}: \\u{ord(found[0]):04x} is half of a character (a lone surrogate), as in texts cut within it; "
        "take it out, or write \\ufffd in its place"
    )


def _fitting_encodings(data: bytes) -> Iterator[str]:
    for encoding in ("utf-16", *LIKELY_ENCODINGS) if data.startswith(UTF16_MARKS) else LIKELY_ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        yield encoding


class OddText(Exception):
    """A text file that is not what nearly all are; `decoded` reads it, or tells what is wrong with it."""


def is_plain(encoding: str) -> bool:
    """Whether a text in this encoding can be read piece by piece, each by itself."""
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def plain_blocks(path: Path) -> Iterator[str]:
    """The text of a file in utf-8, without its byte order mark, in blocks of whole lines.

    Raises:
        OddText: it is no text in utf-8, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            pieces: list[bytes] = []
            is_first = True
            while block := file.read(BLOCK_BYTES):
                if is_first:
                    _check_begin(block)
                    block, is_first = block.removeprefix(codecs.BOM_UTF8), False
                lines, newline, begin = block.rpartition(b"\n")
                if newline:
                    yield b"".join([*pieces, lines, newline]).decode("utf-8")
                    pieces = []
                pieces.append(begin)
            yield b"".join(pieces).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OddText(path.name) from error


def plain_file(path: Path, encoding: str = "utf-8") -> TextIOWrapper:
    """A text file, whose line breaks are kept as they are.

    Raises:
        OddText: it cannot be read, or its first bytes are those of no text.
    """
    try:
        with path.open("rb") as file:
            _check_begin(file.read(max(map(len, NO_TEXT))))
        return path.open(encoding=encoding, newline="")
    except OSError as error:
        raise OddText(path.name) from error


def from_begin(file: TextIOWrapper) -> TextIOWrapper:
    """The file at its first character, behind its byte order mark."""
    file.seek(0)
    if file.read(1) != BYTE_ORDER_MARK:
        file.seek(0)
    return file


def _check_begin(data: bytes) -> None:
    if any(data.startswith(signature) for signature in NO_TEXT):
        raise OddText
