"""Objects by `package.module:object`."""

import importlib

import pytest

from sft.exceptions import UserError
from sft.registry import import_object


def test_the_import_system_is_asked_only_for_what_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda name: asked.append(name) or real(name))
    assert import_object("sft.exceptions:UserError") is UserError
    assert asked == []
    with pytest.raises(UserError, match="has no 'Nothing'"):
        import_object("sft.exceptions:Nothing")
    assert asked == ["sft.exceptions"]
