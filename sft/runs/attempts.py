"""The tries of a job: which of them is in force, and what it takes over from those before it.

Results and checkpoints grow in the folder of a try. The file `attempt` of the job names the one try that may publish
them. A process of an earlier try may still be writing, on a node that was given up: `sft.runs.fence` keeps it out.
"""

import shutil
from pathlib import Path

from sft.runs.atomic import write_text
from sft.runs.file_systems import make_folder
from sft.runs.files import AttemptFolder, JobFolder
from sft.wording import one_line

_TAIL_BYTES = 8192


def number_of(attempt: AttemptFolder) -> int:
    """Which try it is, from 1; 0 for a folder that is none."""
    return int(attempt.path.name) if attempt.path.name.isdecimal() else 0


def begin_attempt(folder: JobFolder) -> AttemptFolder:
    """Make the folder of the next try and put that try in force; two runners never get the same folder."""
    number = max((number_of(attempt) for attempt in folder.attempts()), default=0) + 1
    while True:
        attempt = folder.attempt(number)
        make_folder(attempt.path.parent)
        try:
            attempt.path.mkdir()
        except FileExistsError:
            number += 1
        else:
            write_text(folder.in_force, f"{attempt.path.name}\n")
            return attempt


def take_over(folder: JobFolder, attempt: AttemptFolder) -> None:
    """Move the checkpoints of the newest try that left some to this one, and remove what others left half done.

    Args:
        folder: the job's folder, whose lock is held.
        attempt: the try in force.
    """
    own = folder.growing_in(attempt).checkpoints
    earlier = [other for other in reversed(folder.attempts()) if other.path != attempt.path]
    for left in (*(folder.growing_in(other).checkpoints for other in earlier), folder.checkpoints):
        is_link = left.is_symlink() or left.parent.is_symlink()
        if left.is_dir() and not is_link and not own.exists():
            make_folder(own.parent)
            left.rename(own)
    for other in earlier:
        discard_growing(other)


def discard_growing(attempt: AttemptFolder) -> None:
    """Remove results of a try that were not published."""
    if attempt.out.is_symlink():
        attempt.out.unlink()
    else:
        shutil.rmtree(attempt.out, ignore_errors=True)  # a process that was given up may be writing there


def last_line(log: Path) -> str:
    """The last line of a log that is not blank."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((one_line(line) for line in reversed(lines) if line.strip()), "")
