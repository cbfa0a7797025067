"""Faults that are told before anything starts, by a command in a process of its own: the hub, and large grids."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Raw = Callable[..., dict[str, Any]]
COMMIT = "0123456789" * 4
NO_TORCH = "raise ImportError('torch was imported before anything started')"


class _Hub(http.server.BaseHTTPRequestHandler):
    """Refuses what has `gated` in its name, knows nothing else, or hangs up without an answer.

    Of what has `told` in its name the commit is known all the same, as that of gated models is on the real hub.
    """

    hangs_up = False

    def do_GET(self) -> None:
        if self.hangs_up or ("mute" in self.path and "/api/" not in self.path):
            self.close_connection = True
            return
        if "told" in self.path and "/api/" in self.path:
            self.answer(json.dumps({"id": "org/told", "sha": COMMIT}).encode())
            return
        code, reason = (403, "GatedRepo") if "gated" in self.path else (404, "RepoNotFound")
        self.send_response(code)
        self.send_header("X-Error-Code", reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[_Hub]]:
    """A hub of this machine in place of the real one, and an empty cache."""
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    handler = type("Handler", (_Hub,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture
def switch_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Turns the network off for the commands of a test."""
    return lambda: monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def refused(project: Path) -> Callable[..., tuple[int, str]]:
    """Runs a grid that must not start; exit code and what was said."""

    def run(configs: dict[str, Any]) -> tuple[int, str]:
        (project / "grid.json").write_text(json.dumps({"configs": configs}))
        command = [sys.executable, "-m", "sft.cli", "run-experiments", "grid.json"]
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert not (project / "results").exists()
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    return run


def test_a_hub_that_hangs_up_is_the_machines_fault__row_34(
    hub: Any, refused: Any, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    hub.hangs_up = True
    code, told = refused({"a": raw(zero_shot, {"model": {"name": "org/model"}})})
    assert code == 5, told
    assert told.count("\n") == 1
    assert told.startswith('"a": model.name: model "org/model" not found locally and the hub does not answer.')


def test_gated_and_misspelt_names_are_told_all_at_once__row_35(
    hub: Any, refused: Any, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    changes = {
        "gated": {"model": {"name": "org/gated"}},
        "here": {},
        "misspelt": {"model": {"name": "org/modle"}},
        "rows": {"dataset": {"path": "org/gated-rows"}},
    }
    code, told = refused({name: raw(zero_shot, change) for name, change in changes.items()})
    headline, *lines = told.splitlines()
    assert code == 2
    assert headline == "3 of 4 experiments are invalid; nothing was started."
    parts = {line.split('"')[1]: line for line in lines}
    assert set(parts) == {"gated", "misspelt", "rows"}
    assert 'model.name: model "org/gated" is gated: accept its terms on the hub and set HF_TOKEN' in parts["gated"]
    assert 'model.name: the hub has no model "org/modle" open to you; check the spelling' in parts["misspelt"]
    assert 'dataset: dataset "org/gated-rows" is gated' in parts["rows"]


def test_a_model_whose_files_are_gated_is_told_before_what_follows_from_them__row_35(
    hub: Any, refused: Any, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    code, told = refused({"a": raw(zero_shot, {"model": {"name": "org/told-gated"}})})
    assert code == 2
    assert told.count("model") == 2
    assert 'model.name: model "org/told-gated" is gated: accept its terms on the hub and set HF_TOKEN' in told


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("is_off", [False, True], ids=["the hub hangs up", "the network is off"])
def test_a_model_of_which_only_the_commit_is_known_is_the_machines_fault__row_34(
    is_off: bool, refused: Any, raw: Raw, zero_shot: dict[str, Any], tmp_path: Path, switch_off: Any
) -> None:
    if is_off:
        switch_off()
        cached = tmp_path / "cache" / "hub" / "models--org--told-mute"
        (cached / "snapshots" / COMMIT).mkdir(parents=True)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(COMMIT)
    code, told = refused({"a": raw(zero_shot, {"model": {"name": "org/told-mute"}})})
    why = r"the network is off \(HF_HUB_OFFLINE=1\)" if is_off else "the hub does not answer"
    assert code == 5, told
    assert re.fullmatch(rf'"a": model.name: model "org/told-mute" not found locally and {why}\. .+\n', told)


def test_typos_among_a_hundred_experiments_are_told_together__row_40(
    refused: Any, raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "torch.py").write_text(NO_TORCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blocked"), prepend=os.pathsep)
    configs = {f"n{number}": raw({"seed": number}) for number in range(1, 101)}
    configs["n57"]["training"]["trainer_args"]["lerning_rate"] = 1e-4
    configs["n80"]["promting"] = {}
    code, told = refused(configs)
    assert code == 2
    assert told.splitlines() == [
        "2 of 100 experiments are invalid; nothing was started.",
        '#57 "n57": training.trainer_args.lerning_rate: unknown key (did you mean learning_rate?) [grid.json]',
        '#80 "n80": promting: unknown key (did you mean prompting?) [grid.json]',
    ]
