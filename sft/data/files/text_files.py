"""Text files to text."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path

from sft.exceptions import DataError, MachineError, UserError
from sft.wording import LONE_SURROGATE

LIKELY_ENCODINGS = ("utf-8", "cp1252", "shift_jis", "gb18030", "latin-1")
BYTE_ORDER_MARK = "\ufeff"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0"
PARQUET = b"PAR1"
NO_TEXT = {
    ZIP: "a zip archive; unpack it",
    OLE: "an old spreadsheet or document; save its sheet as .xlsx or csv",
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


def encoding_of(data: bytes, encoding: str) -> str:
    """The encoding that is written, unless that is UTF-8 and the data begin with the mark of UTF-16, as Excel's do."""
    return "utf-16" if data.startswith(UTF16_MARKS) and is_plain(encoding) else encoding


def decoded(path: Path, encoding: str) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        DataError: a byte is not of the encoding, or what it gives is no text; names the line.
        MachineError: the file cannot be read.
    """
    data = file_bytes(path)
    for signature, kind in NO_TEXT.items():
        if data.startswith(signature):
            raise DataError(f"{path.name}: this is {kind} (found by its first bytes)")
    encoding = encoding_of(data, encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fitting = list(fitting_encodings(data))
        remedy = f"; write dataset.read: {{encoding: {fitting[0]!r}}}" if fitting else ""
        raise DataError(
            f"{path.name} line {line}: byte 0x{data[error.start]:02x} is not valid {encoding}; "
            f"encodings that fit: {', '.join(fitting) or 'none of the usual ones'}{remedy}"
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


def file_bytes(path: Path, n: int = -1) -> bytes:
    """The bytes of a file, or its first n.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(n)
    except OSError as error:
        raise MachineError(f"{path}: cannot be read: {error.strerror}") from error


def lone_surrogate(place: str, found: re.Match[str]) -> DataError:
    """Half of a character in data, which no tokenizer takes and no file of results can hold."""
    return DataError(
        f"{place}: \\u{ord(found[0]):04x} is half of a character (a lone surrogate), as in texts cut within it; "
        "take it out, or write \\ufffd in its place"
    )


def fitting_encodings(data: bytes) -> Iterator[str]:
    """The usual encodings in which all of the data are valid, the likelier first."""
    for encoding in ("utf-16", *LIKELY_ENCODINGS) if data.startswith(UTF16_MARKS) else LIKELY_ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        yield encoding


def text_lines(text: str) -> Iterable[str]:
    """The lines of a text with their own line breaks, as the csv module takes them."""
    return io.StringIO(text, newline="")


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
            begin = file.read(max(map(len, NO_TEXT)))
        _check_begin(begin)
        return path.open(encoding=encoding_of(begin, encoding), newline="")
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
