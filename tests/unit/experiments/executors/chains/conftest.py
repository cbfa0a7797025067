"""Executors of chains look at files and clusters without a pause."""

import pytest

from sft.experiments.executors.chains import asking, executor, probe, submitter, supervisor


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "FILE_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "SOON_SECONDS", 0.01)
    monkeypatch.setattr(submitter, "RESUBMIT_SECONDS", 0.01)
    monkeypatch.setattr(asking, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(probe, "LOOK_SECONDS", 0.01)
