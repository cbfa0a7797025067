"""Which checkpoints count; no torch."""

import json
import logging
import os
from pathlib import Path

import pytest

from sft.exceptions import StageFailure
from sft.training.checkpoints import PIECE, STATE, TENSORS, CheckpointFolder, Piece, flaw_of, write_piece

FILES = (TENSORS, "optimizer.pt", "scheduler.pt", "rng_state.pth", STATE, PIECE)


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    """Checkpoints of the steps 2, 4 and 10, the best one that of step 4."""
    made = CheckpointFolder(tmp_path / "checkpoints")
    made.begin(made.start)
    (made.start / "factors.safetensors").write_bytes(b"factors")
    made.complete(made.start)
    for step in (2, 4, 10):
        write(made, step, best=min(step, 4))
    return made


def write(folder: CheckpointFolder, step: int, best: int | None = None) -> None:
    place = folder.at(step)
    folder.begin(place)
    for name in FILES:
        (place / name).write_bytes(f"{name} of step {step}".encode())
    (place / STATE).write_text(json.dumps({"best_global_step": best}))
    write_piece(place, Piece(seconds=step, stage_seconds=step + 1, unlogged_loss=0.1, last_logged_step=step))
    folder.complete(place)


def test_the_newest_whole_one_is_gone_on_from(folder: CheckpointFolder):
    found = folder.newest()
    assert found is not None
    assert (found.step, found.path, found.piece.seconds) == (10, folder.at(10), 10)
    assert found.piece.unlogged_loss == 0.1


def test_numbers_are_compared_as_numbers_and_other_folders_are_none(folder: CheckpointFolder):
    for name in ("checkpoint-", "checkpoint-x", "checkpoint-99.tmp", "other-99"):
        (folder.path / name).mkdir()
    found = folder.newest()
    assert found is not None
    assert found.step == 10


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "removed", "linked"])
def test_one_that_is_harmed_is_passed_over_and_removed(
    folder: CheckpointFolder, name: str, harm: str, caplog: pytest.LogCaptureFixture
):
    path = folder.at(10) / name
    content = path.read_bytes()
    if harm == "linked":
        path.rename(folder.path / "elsewhere")
        path.symlink_to(folder.path / "elsewhere")
    elif harm == "removed":
        path.unlink()
    else:
        path.write_bytes(content[:-2] if harm == "cut" else content[:3] + bytes([content[3] ^ 1]) + content[4:])
    found = folder.newest()
    assert found is not None
    assert found.step == 4
    assert "checkpoint of step 10 is not used: " in caplog.text
    assert "goes on from step 4" in caplog.text
    assert not folder.at(10).exists()


def test_a_file_that_was_added_makes_it_untrusted(folder: CheckpointFolder):
    (folder.at(10) / "deeper").mkdir()
    (folder.at(10) / "deeper" / "pytorch_model.bin").write_bytes(b"pickle")
    assert flaw_of(folder.at(10)) == "deeper/pytorch_model.bin does not belong to it"


def test_one_whose_best_step_is_lost_is_passed_over(folder: CheckpointFolder):
    (folder.at(4) / TENSORS).write_bytes(b"")
    found = folder.newest()
    assert found is not None
    assert found.step == 2


def test_none_that_is_whole_starts_anew(folder: CheckpointFolder, caplog: pytest.LogCaptureFixture):
    for step in (2, 4, 10):
        (folder.at(step) / "manifest.json").unlink()
    assert folder.newest() is None
    assert "no checkpoint is whole" in caplog.text
    assert "starts anew" in caplog.text
    assert not folder.path.exists()


def test_without_the_start_none_can_be_gone_on_from(folder: CheckpointFolder, caplog: pytest.LogCaptureFixture):
    (folder.start / "factors.safetensors").write_bytes(b"")
    assert folder.newest() is None
    assert "factors.safetensors has 0 bytes, 7 are listed" in caplog.text


def test_a_first_training_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    assert CheckpointFolder(tmp_path / "checkpoints").newest() is None
    assert caplog.text == ""


def test_links_are_removed_and_not_followed(folder: CheckpointFolder, tmp_path: Path):
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_text("stays")
    folder.at(12).symlink_to(canary)
    found = folder.newest()
    assert found is not None
    assert found.step == 10
    assert not folder.at(12).is_symlink()
    folder.remove()
    folder.path.symlink_to(canary)
    folder.remove()
    assert not folder.path.is_symlink()
    assert (canary / "file").read_text() == "stays"


@pytest.mark.parametrize(
    ("keep", "best", "left"), [(2, None, [4, 10]), (1, None, [10]), (1, 2, [2, 10]), (None, None, [2, 4, 10])]
)
def test_older_ones_go_and_the_best_stays(folder: CheckpointFolder, keep: int | None, best: int | None, left):
    folder.prune(keep, best)
    assert sorted(int(path.name.removeprefix("checkpoint-")) for path in folder.path.glob("checkpoint-*")) == left


def test_the_manifest_is_written_when_all_else_is_on_the_disk(
    folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch
):
    """Power may go at any moment: what a manifest lists must have been flushed before it."""
    events: list[str] = []
    flush, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda number: (events.append(os.readlink(f"/proc/self/fd/{number}")), flush(number))[1]
    )
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append(f"named {paths[1]}"), replace(*paths))[1])
    write(folder, 12)
    place = folder.at(12)
    named = events.index(f"named {place / 'manifest.json'}")
    assert {str(place / name) for name in FILES} <= set(events[:named])
    assert str(folder.path) in events[named:]


def test_a_checkpoint_that_is_asked_for_must_be_whole(folder: CheckpointFolder):
    assert folder.check(4) == folder.at(4)
    (folder.at(4) / TENSORS).write_bytes(b"")
    with pytest.raises(StageFailure, match=r"the checkpoint of step 4: adapter\.safetensors has 0 bytes") as raised:
        folder.check(4)
    assert raised.value.kind == "checkpoint"
