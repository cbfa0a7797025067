"""Models that are named by the folder of an adapter."""

from pathlib import Path

import pytest

from sft.exceptions import UserError
from sft.experiments.planning import adapter_as_model
from sft.experiments.planning.adapter_as_model import AdapterFolders


def test_each_name_of_a_grid_is_looked_up_once_also_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []

    def method_of(folder: Path) -> object | None:
        looked.append(folder)
        if folder.name == "damaged":
            raise UserError("model.adapter: it is damaged")
        return object() if folder.name == "adapter" else None

    monkeypatch.setattr(adapter_as_model, "method_of", method_of)
    for name in ("adapter", "damaged", "model"):
        (tmp_path / name).mkdir()
    adapters = AdapterFolders(tmp_path)
    for _ in range(3):
        assert adapters.of("adapter") == (tmp_path / "adapter").resolve()
        assert adapters.of("model") is None
        with pytest.raises(UserError, match="it is damaged"):
            adapters.of("damaged")
    assert [folder.name for folder in looked] == ["adapter", "model", "damaged"]
