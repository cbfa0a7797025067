"""Which store is meant, and what it needs; nothing of MLflow is imported."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import PackageMissing
from sft.runs.files import ResultsFolder
from sft.tracking.mlflow.store import STORE, absolute_store, local_store, require_mlflow

HERE = Path("/runs/here")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///mlflow.db", "sqlite:////runs/here/mlflow.db"),
        ("sqlite:///a/b c.db", "sqlite:////runs/here/a/b c.db"),
        ("sqlite:////abs/mlflow.db", "sqlite:////abs/mlflow.db"),
        ("mlruns", "/runs/here/mlruns"),
        ("./mlruns", "/runs/here/mlruns"),
        ("file:mlruns", "file:/runs/here/mlruns"),
        ("/abs/mlruns", "/abs/mlruns"),
        ("file:///abs/mlruns", "file:///abs/mlruns"),
        ("http://server:5000", "http://server:5000"),
        ("https://server/path", "https://server/path"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_a_relative_path_in_a_uri_is_that_of_where_the_command_runs(written: str, meant: str) -> None:
    assert absolute_store(written, HERE) == meant


def test_the_store_of_a_results_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_store(ResultsFolder(Path("results"))) == f"sqlite:///{tmp_path}/results/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "installed", "missing"),
    [
        ("", (), "mlflow"),
        ("", ("mlflow",), "sqlalchemy"),
        ("sqlite:///a.db", ("mlflow", "sqlalchemy"), "alembic"),
        ("", ("mlflow", "sqlalchemy", "alembic"), None),
        ("http://server", (), "mlflow"),
        ("http://server", ("mlflow",), None),
    ],
)
def test_what_is_not_installed_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, uri: str, installed: tuple[str, ...], missing: str | None
) -> None:
    found: dict[str, Any] = dict.fromkeys(installed, object())
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    monkeypatch.setenv(STORE, uri)
    if missing is None:
        require_mlflow("this")
        return
    with pytest.raises(
        PackageMissing, match=rf"this needs the package {missing}, .*: pip install 'sft-grid\[tracking\]'"
    ):
        require_mlflow("this")
