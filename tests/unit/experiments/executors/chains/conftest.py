"""Executors of chains look at files and clusters without a pause."""

import pytest

from sft.experiments.executors.chains import asking, executor, probe


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FILE_SECONDS", "SOON_SECONDS", "RESUBMIT_SECONDS"):
        monkeypatch.setattr(executor, name, 0.01)
    monkeypatch.setattr(asking, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(probe, "LOOK_SECONDS", 0.01)
