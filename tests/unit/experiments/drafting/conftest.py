"""Grids that are drafted and planned."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.planning import plan_grid


@pytest.fixture
def brought(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model."""
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def checked(brought: Path, no_tokenizer_child: None) -> Callable[..., tuple[str, GridPlan]]:
    """Drafts a grid, then plans it."""

    def run(data: str, inputs: Sequence[str], label: str | None, **options: Any) -> tuple[str, GridPlan]:
        text = api.new(data, inputs, label, model="model", **options)
        (brought / "grid.jsonnet").write_text(text)
        return text, plan_grid(load_grid("grid.jsonnet", GridOptions()), {}, with_profiles=True)

    return run
