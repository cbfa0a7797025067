"""A claim of a folder, for file systems without locks: a numbered subfolder that only one process can make.

It holds the name of its owner, and a count that rises while the owner lives. The claim with the highest number is in
force. A process that finds its owner gone makes the next number, which `mkdir` grants to one process alone, and
removes the earlier ones. An owner on another machine is taken for gone when its count stays the same over many looks:
clocks of two machines are never compared, and times of files are ignored, because network disks cache them. The last
claim is kept and marked as over. So numbers never go back, and a process that was slow to judge one claim cannot
mistake another for it.
"""

import contextlib
import dataclasses
import json
import math
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sft.runs.claims.heartbeat import DIGITS, GONE, Heartbeat, write
from sft.runs.claims.owner import Owner, owner_of, this_process
from sft.runs.fence import holding_claim
from sft.runs.file_systems import make_folder
from sft.runs.records import read_json_or_none
from sft.wording import shown_path

BEAT_SECONDS = 5.0
"""Seconds after which a living owner counts on."""

SILENT_SECONDS = 120.0
"""After watching the same count for so many seconds, an owner on another machine is taken for gone; less would not do,
because network disks show up to a minute late what another machine wrote.
"""

PAUSE_SECONDS = 0.5
"""Seconds between two looks at a claim."""

OVER = "over"
"""Stands in place of the count when the owner has let go."""

Say = Callable[[str], None]


class Claimed(Exception):
    """Another process holds the claim in force; the argument names that process, or is empty where it is not known."""


@dataclass(frozen=True)
class _Claim:
    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def owner_file(self) -> Path:
        return self.path / "owner.json"

    @property
    def count(self) -> Path:
        return self.path / "count"

    @property
    def owner(self) -> Owner | None:
        return owner_of(read_json_or_none(self.owner_file))

    @property
    def is_over(self) -> bool:
        return (_read(self.count) or b"").strip() == OVER.encode()

    @property
    def words(self) -> tuple[bytes | None, bytes | None]:
        """Its files, one of which changes while its owner lives; opened anew, or network disks show old content."""
        return _read(self.owner_file), _read(self.count)


@contextlib.contextmanager
def claimed(place: Path, say: Say) -> Iterator[None]:
    """Hold the claim of a folder for the block; once another process has taken it over, this one writes nothing there.

    Args:
        place: the folder of claims, in the folder that is claimed.
        say: called with a line for the user when another claim must be watched, which takes a while.

    Raises:
        Claimed: another process has it.
        OSError: it cannot be made.
    """
    owner = this_process()
    claim = _take(place, owner, say)
    heartbeat = Heartbeat(claim.count, BEAT_SECONDS)

    def is_held() -> bool:
        heartbeat.keep()
        found = _read(claim.owner_file)
        return found is not None and found == _text(owner)

    try:
        with holding_claim(place.parent, is_held):
            yield
    finally:
        heartbeat.end()
        with contextlib.suppress(OSError):  # who took it over has taken it away, and without it it falls silent
            write(claim.count, OVER)


def holder_of(place: Path) -> str | None:
    """Who holds the claim, as far as this machine sees; None where nobody does, "" where the name is missing."""
    claim = max(_claims(place), key=lambda claim: claim.number, default=None)
    if claim is None or claim.is_over:
        return None
    owner = claim.owner
    if owner is None:
        return ""
    return None if owner.lives is False else owner.text


def _take(place: Path, owner: Owner, say: Say) -> _Claim:
    make_folder(place)
    number = 1
    while True:
        newest = max(_claims(place), key=lambda claim: claim.number, default=None)
        if newest is not None and newest.number >= number:
            number = newest.number + 1 if _has_ended(newest, say) else newest.number
        own = _Claim(place / str(number))
        try:
            own.path.mkdir()
        except FileExistsError:  # a network disk may list it later
            number += 1 if _is_no_folder(own.path) or _has_ended(own, say) else 0
            time.sleep(PAUSE_SECONDS)
            continue
        if _is_in_force(own, place, owner):
            return own


def _is_in_force(own: _Claim, place: Path, owner: Owner) -> bool:
    """Whether a claim that was just made has the highest number; if so the others are removed, else this one."""
    try:
        own.count.write_text("0".rjust(DIGITS))
        own.owner_file.write_bytes(_text(owner))
        others = [claim for claim in _claims(place) if claim.number != own.number]
        is_highest = all(claim.number < own.number for claim in others)
        for claim in others if is_highest else [own]:
            claim.owner_file.unlink(missing_ok=True)  # its owner looks for this file before each write
            shutil.rmtree(claim.path, ignore_errors=True)
    except FileNotFoundError:  # it was taken over before it was whole
        return False
    except OSError:
        shutil.rmtree(own.path, ignore_errors=True)
        raise
    return is_highest


def _has_ended(claim: _Claim, say: Say) -> bool:
    """Whether the owner of a claim has let go or is gone; False where the claim itself was removed meanwhile.

    Raises:
        Claimed: the owner lives.
    """
    before, owner = claim.words, claim.owner
    text = "" if owner is None else owner.text
    if claim.is_over or (owner is not None and owner.lives is False):
        return True
    if owner is not None and owner.lives:
        raise Claimed(text)
    if claim.path.exists():
        folder, by = shown_path(claim.path.parents[1]), text or "another process"
        say(f"{folder}/ is claimed by {by}; watching for at most {SILENT_SECONDS:g} s whether that process lives")
    pause = min(PAUSE_SECONDS, SILENT_SECONDS / 4)
    # Looks are counted, not seconds: while this process, or the disk, stands still, no owner could be heard.
    for _ in range(math.ceil(SILENT_SECONDS / pause)):
        if not claim.path.exists():
            return False
        time.sleep(pause)
        now = claim.words
        if claim.is_over:
            return True
        if now not in (before, (None, None)):
            raise Claimed(text if (owner := claim.owner) is None else owner.text)
    return True


def _claims(place: Path) -> list[_Claim]:
    try:
        return [_Claim(path) for path in place.iterdir() if path.name.isdecimal() and not _is_no_folder(path)]
    except FileNotFoundError:
        return []


def _is_no_folder(path: Path) -> bool:
    """Whether something else stands there, such as a file or a link; a claim that a disk does not show yet is none."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _text(owner: Owner) -> bytes:
    return json.dumps(dataclasses.asdict(owner)).encode()


def _read(file: Path) -> bytes | None:
    """The content of a file, None where it is not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
