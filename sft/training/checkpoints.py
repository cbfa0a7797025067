"""Checkpoints of a training: which of them are whole, which one is gone on from, which are kept.

A checkpoint counts when its manifest, written last, lists every file in it with size and sha256, and they agree. One
that was half written, cut or altered is passed over, and nothing in it is read. Beside the checkpoints lies `start`,
under a manifest of its own: what of the model before the first step cannot be computed again.
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sft.exceptions import StageFailure
from sft.runs.atomic import flush, write_json
from sft.runs.fence import require_in_place
from sft.runs.files import JobFolder
from sft.runs.manifest import difference, listed_files, write_manifest

PREFIX = "checkpoint-"
TENSORS = "adapter.safetensors"
STATE = "trainer_state.json"
PIECE = "piece.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """What the trainer's own state leaves out."""

    seconds: float
    """Wall time of the training up to here, all pieces together."""

    stage_seconds: float
    """Wall time of the stage up to here, all pieces together."""

    unlogged_loss: float
    """Sum of the losses since the last entry of the loss curve."""

    last_logged_step: int

    unlogged_tokens: int = 0
    """Tokens of the steps since that entry."""

    unlogged_step_seconds: float = 0.0
    """Wall time of these steps."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint."""

    path: Path
    step: int
    piece: Piece


class CheckpointFolder:
    """The checkpoints of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def start(self) -> Path:
        """What of the model before the first step cannot be computed again."""
        return self.path / "start"

    @property
    def has_start(self) -> bool:
        """Whether `start` was written to its end."""
        return JobFolder(self.start).manifest.is_file()

    def at(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.path / f"{PREFIX}{step}"

    def newest(self) -> Checkpoint | None:
        """The checkpoint to go on from; those that are passed over are named in the log and removed."""
        steps = self.steps()[::-1]
        if not steps:
            self.remove()
            return None
        flaw = flaw_of(self.start)
        for step in steps if flaw is None else []:
            flaw = self._flaw(step)
            if flaw is None:
                logger.warning("the training goes on from step %d", step)
                piece = Piece(**json.loads((self.at(step) / PIECE).read_text("utf-8")))
                return Checkpoint(self.at(step), step, piece)
            logger.warning("checkpoint of step %d is not used: %s", step, flaw)
            _remove(self.at(step))
        logger.warning("no checkpoint is whole%s; the training starts anew", f" ({flaw})" if flaw else "")
        self.remove()
        return None

    def begin(self, folder: Path) -> None:
        """An empty folder to write to, whatever was there."""
        require_in_place(folder)
        _remove(folder)
        folder.mkdir(parents=True)

    def complete(self, folder: Path) -> None:
        """Make what was written to a folder count."""
        write_manifest(JobFolder(folder), list(_files(folder)))
        for above in (self.path, self.path.parent):
            flush(above)

    def prune(self, keep: int | None, best: int | None) -> None:
        """Remove all but the newest `keep` and the one of step `best`."""
        steps = self.steps()
        for step in steps[: max(len(steps) - keep, 0)] if keep is not None else []:
            if step != best:
                _remove(self.at(step))

    def check(self, step: int) -> Path:
        """The checkpoint of a step.

        Raises:
            StageFailure: of kind `checkpoint`: it is not whole.
        """
        flaw = flaw_of(self.at(step))
        if flaw is not None:
            raise StageFailure(f"the checkpoint of step {step}: {flaw}", kind="checkpoint")
        return self.at(step)

    def remove(self) -> None:
        """Remove everything."""
        _remove(self.path)

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, whole or not, in their order."""
        names = [path.name.removeprefix(PREFIX) for path in self.path.glob(f"{PREFIX}*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def _flaw(self, step: int) -> str | None:
        """What keeps a checkpoint from being gone on from; the best one so far is part of it."""
        flaw = flaw_of(self.at(step), needed=(TENSORS, STATE, PIECE))
        if flaw is not None:
            return flaw
        best = json.loads((self.at(step) / STATE).read_text("utf-8")).get("best_global_step")
        if best is None or best == step:
            return None
        flaw = flaw_of(self.at(best))
        return None if flaw is None else f"that of the best step so far, {best}: {flaw}"


@dataclass(frozen=True)
class Saving:
    """Where the checkpoints of a training go, and what it goes on from."""

    folder: CheckpointFolder
    keep: int | None
    """How many are kept, beside the best one; None keeps all."""

    save_start: Callable[[Path], None]
    """Writes what of the model before the first step cannot be computed again."""

    own_tensors: Callable[[Any], dict[str, Any]]
    """The tensors of a model that a checkpoint holds, by name."""

    resumed: Checkpoint | None
    stage_started: float
    """`time.perf_counter()` at the start of this piece of the stage."""

    started: float = field(default_factory=time.perf_counter)
    """The same for this piece of the training."""

    def seconds(self) -> float:
        """Wall time of the training so far, all pieces together."""
        return time.perf_counter() - self.started + (self.resumed.piece.seconds if self.resumed else 0.0)

    def stage_seconds(self) -> float:
        """Wall time of the stage so far, all pieces together."""
        return time.perf_counter() - self.stage_started + (self.resumed.piece.stage_seconds if self.resumed else 0.0)


def write_piece(folder: Path, piece: Piece) -> None:
    """Add to a checkpoint what the trainer's own state leaves out."""
    write_json(folder / PIECE, asdict(piece))


def flaw_of(folder: Path, needed: Sequence[str] = ()) -> str | None:
    """Why a folder is not whole, or lacks a file that is needed; None where nothing is wrong."""
    if folder.is_symlink() or not folder.is_dir():
        return "is missing"
    job = JobFolder(folder)
    listed = None if job.manifest.is_symlink() else listed_files(job)
    if listed is None:
        return f"{job.manifest.name} is missing: it was not written to its end"
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name in sorted(set(found) - set(listed)):
        return f"{name} does not belong to it"
    for name in sorted(set(needed) - set(listed)):
        return f"{name} is missing"
    for name, file in listed.items():
        wrong = "is a link" if (folder / name).is_symlink() else difference(folder / name, file)
        if wrong is not None:
            return f"{name} {wrong}"
    return None


def _files(folder: Path) -> Iterator[Path]:
    """Everything in a folder but folders and the manifest."""
    marker = JobFolder(folder).manifest
    return (path for path in folder.rglob("*") if path != marker and (path.is_symlink() or not path.is_dir()))


def _remove(path: Path) -> None:
    """Remove a folder; a link is removed itself, and not what it points to."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
