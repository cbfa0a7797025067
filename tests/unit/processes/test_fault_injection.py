import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.processes import fault_injection
from sft.runs.atomic import write_text


@pytest.fixture(autouse=True)
def _counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_injection._Process, "writes", 0)
    monkeypatch.setattr(fault_injection._Process, "role", "runner")


def set_faults(monkeypatch: pytest.MonkeyPatch, **faults: Any) -> None:
    monkeypatch.setenv(fault_injection.VARIABLE, json.dumps(faults))


def test_nothing_happens_without_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fault_injection.VARIABLE, raising=False)
    for number in range(3):
        write_text(tmp_path / "file", str(number))
    assert (tmp_path / "file").read_text() == "2"
    assert fault_injection.replaced_stage() is None
    assert not fault_injection.server_computes()


def test_the_disk_is_full_at_the_write_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_faults(monkeypatch, enospc_at=2)
    write_text(tmp_path / "file", "one")
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(tmp_path / "file", "two")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "one"
    write_text(tmp_path / "file", "three")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_faults_of_workers_do_not_meet_the_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_faults(monkeypatch, enospc_at=1, **{"in": "worker"})
    write_text(tmp_path / "file", "runner")
    fault_injection.begin_worker()
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "file", "worker")


def test_a_process_dies_when_its_write_is_complete(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from sft.runs.atomic import write_text\n"
    code += "for n in range(1, 4): write_text(Path(sys.argv[1]), str(n))"
    environment = os.environ | {fault_injection.VARIABLE: json.dumps({"die_after_write": 2})}
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], env=environment, check=False)
    assert child.returncode == -9
    assert (tmp_path / "file").read_text() == "2"
