"""The search for cycles is held off, and goes on afterwards as it was."""

import gc

import pytest

from sft.processes.garbage import without_search_for_cycles


@pytest.mark.parametrize("was_on", [True, False])
def test_it_is_off_inside_and_afterwards_as_before(monkeypatch: pytest.MonkeyPatch, was_on: bool) -> None:
    told = [was_on]
    monkeypatch.setattr(gc, "isenabled", lambda: told[-1])
    monkeypatch.setattr(gc, "disable", lambda: told.append(False))
    monkeypatch.setattr(gc, "enable", lambda: told.append(True))
    with without_search_for_cycles():
        assert not told[-1]
    assert told[-1] is was_on


def test_it_goes_on_where_another_thread_ends_holding_it_off_just_then(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [False]

    def was_off_until_now() -> bool:
        told.append(True)
        return False

    monkeypatch.setattr(gc, "isenabled", was_off_until_now)
    monkeypatch.setattr(gc, "disable", lambda: told.append(False))
    monkeypatch.setattr(gc, "enable", lambda: told.append(True))
    with without_search_for_cycles():
        pass
    assert told[-1]
