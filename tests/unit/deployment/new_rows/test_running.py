"""How the process that answers is started, watched and told of."""

import signal
import sys
from pathlib import Path

import pytest

from sft.deployment.new_rows import running
from sft.exceptions import InternalError, StageFailure, UserError
from tests.support.new_rows import WANTED

SCRIPT = """
import json, os, sys
from pathlib import Path
output, work, step = sys.argv[1:]
{body}
"""
LEAVE = (
    "Path(work, 'error.json').write_text(json.dumps({{'kind': {kind!r}, 'message': 'told ' + step}})); "
    "sys.exit({code})"
)


def process(monkeypatch: pytest.MonkeyPatch, body: str) -> list[str]:
    """Has a script run in place of the module; what is said goes into the list."""

    def command(_module: str, *arguments: str, **_: object) -> list[str]:
        return [sys.executable, "-c", SCRIPT.format(body=body), *arguments]

    monkeypatch.setattr(running, "module_command", command)
    return []


def test_the_end_of_all_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    said = process(monkeypatch, "Path(output).write_text(step)")
    assert running.run_process(tmp_path / "out", WANTED, 2, said.append) is None
    assert (tmp_path / "out").read_text("utf-8") == "2"
    assert said == []


def test_memory_that_ran_out_is_tried_with_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    said = process(monkeypatch, f"if step == '0': {LEAVE.format(kind='oom_gpu', code=5)}")
    assert running.run_process(tmp_path / "out", WANTED, 0, said.append) is None
    assert said == ["memory ran out (told 0); it goes on with less at a time"]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (LEAVE.format(kind="data", code=2), UserError, "^told 0$"),
        (LEAVE.format(kind="model", code=1), StageFailure, "^told 0$"),
        ("os.kill(os.getpid(), 9)", StageFailure, "ended by SIGKILL; the same command goes on"),
        ("raise ValueError('a bug')", InternalError, "Traceback(.|\n)*ValueError: a bug"),
    ],
)
def test_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, kind: type[Exception], message: str
):
    said = process(monkeypatch, body)
    with pytest.raises(kind, match=message):
        running.run_process(tmp_path / "out", WANTED, 0, said.append)


def test_a_stop_signal_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    body = "import time; os.kill(int(os.environ['TEST_RUNNER']), 15); time.sleep(60)"
    said = process(monkeypatch, body)
    monkeypatch.setenv("TEST_RUNNER", str(running.os.getpid()))
    assert running.run_process(tmp_path / "out", WANTED, 0, said.append) == signal.SIGTERM
