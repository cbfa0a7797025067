"""A hub that was silent once is not asked again, by this process or by its children."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from sft.exceptions import MachineError
from sft.experiments.planning.fingerprinting import Contents
from sft.models.references import not_reachable
from sft.runs import notices
from sft.runs.hub_contact import CONSTANTS, OFFLINE, SILENT, asked_anew, is_silent, note_silence, probe, tell_silence
from sft.runs.notices import told_to


class Refused(OSError):
    def __init__(self, status_code: int) -> None:
        super().__init__("an answer")
        self.response = SimpleNamespace(status_code=status_code)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The network is on, as far as the libraries know."""
    for name in (*OFFLINE, SILENT):
        monkeypatch.setenv(name, "x")  # is put back at the end
        monkeypatch.delenv(name)
    for module, name in CONSTANTS:
        monkeypatch.setattr(f"{module}.{name}", False)
    monkeypatch.setattr(notices, "_LISTENER", type(notices._LISTENER)())
    lines: list[str] = []
    with told_to(lines.append):
        yield lines


@pytest.mark.parametrize("error", [ConnectionRefusedError("no route"), TimeoutError(), Refused(503)])
def test_silence_is_said_once_and_sets_all_offline_until_asked_anew(told: list[str], error: Exception) -> None:
    with asked_anew():
        note_silence(error)
        note_silence(error)
        assert told == []
        tell_silence()
        tell_silence()
        assert [os.environ[name] for name in OFFLINE] == ["1", "1", "1"]
        assert constants.is_offline_mode()
        assert (is_silent(), len(told)) == (True, 1)
        assert "the hub does not answer" in str(not_reachable("me/model"))
        assert isinstance(not_reachable("me/model"), MachineError)
    assert not constants.is_offline_mode()
    assert not any(name in os.environ for name in (*OFFLINE, SILENT))


@pytest.mark.parametrize("status", [401, 404, 429])
def test_a_refusal_is_an_answer(told: list[str], status: int) -> None:
    note_silence(Refused(status))
    assert (is_silent(), constants.is_offline_mode(), told) == (False, False, [])


def test_who_is_offline_by_choice_is_told_so(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    probe()
    assert (is_silent(), told) == (False, [])
    assert "HF_HUB_OFFLINE=1" in str(not_reachable("me/model"))


@pytest.mark.parametrize("revision", ["main", "0" * 40])
def test_a_pinned_commit_is_reason_to_ask_for_one_sign_of_life(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, revision: str
) -> None:
    asked = []

    def head(place: str, **_: object) -> None:
        asked.append(place)
        raise ConnectionRefusedError("no route")

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: SimpleNamespace(head=head))
    contents = Contents(tmp_path, {"model:me/model@main": "1" * 40, "model:me/other@main": "2" * 40})
    with asked_anew():
        assert contents.model_revision("me/model", revision) in ("1" * 40, "0" * 40)
        contents.model_revision("me/other", "main")
        assert is_silent()
    assert asked == [constants.ENDPOINT]
