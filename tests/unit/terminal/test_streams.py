"""Output that never fails a command."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sft import cli
from sft.cli import main
from sft.processes.quiet_stream import QuietStream
from sft.terminal.streams import show, steady_streams, write_err

TEXT = "naïve café ≈ 0.5 ± 0.1 → ✓ \udcff"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs a command whose stdout leads to a file or descriptor; the exit code, and what came to stderr."""

    def run(
        target: int | str, encoding: str, methods: Callable[[], str] = lambda: TEXT, *more: str
    ) -> tuple[int, str]:
        reader, writer = os.pipe()

        def command() -> None:
            show(methods())

        monkeypatch.setattr(cli, "app", command)
        monkeypatch.setattr(sys, "argv", ["sft", "methods", *more])
        out, err = open(target, "wb", buffering=0), open(writer, "wb", buffering=0, closefd=False)  # noqa: SIM115
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding))
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        os.close(writer)
        with open(reader, "rb") as file:
            return code, file.read().decode(encoding)

    return run


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "na?ve caf? ~ 0.5 + 0.1 > ? ?"),
        ("latin-1", "naïve café ~ 0.5 ± 0.1 > ? ?"),
        ("utf-8", "naïve café ≈ 0.5 ± 0.1 → ✓ ?"),
    ],
)
def test_characters_that_cannot_be_shown_are_replaced(
    told: Callable[..., tuple[int, str]], tmp_path: Path, encoding: str, shown: str
) -> None:
    out = tmp_path / "out"
    assert told(str(out), encoding) == (0, "")
    assert out.read_text(encoding) == shown + "\n"


def test_a_reader_that_has_gone_wants_no_more(told: Callable[..., tuple[int, str]]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert told(writer, "utf-8") == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_what_a_full_disk_does_not_take_is_said(told: Callable[..., tuple[int, str]]) -> None:
    code, error = told("/dev/full", "utf-8")
    assert code == 5
    assert error == "stdout: No space left on device; what was written there is lost\n"


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), (">/dev/full", 5)])
def test_closed_streams_fail_no_command(closed: str, code: int) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m sft.cli schema {closed}'], capture_output=True, check=False
    )
    assert ended.returncode == code
    assert b"Traceback" not in ended.stderr


def test_a_stream_without_a_descriptor_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = io.StringIO()
    monkeypatch.setattr(sys, "stderr", notebook)
    with steady_streams():
        write_err(TEXT)
    assert notebook.getvalue() == TEXT


def test_no_file_takes_the_number_of_a_closed_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def closed(descriptor: int) -> os.stat_result:
        if descriptor == 1:
            raise OSError(9, "Bad file descriptor")
        return os.stat_result([0] * 10)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", closed)
        patched.setattr(os, "open", lambda path, _flags: opened.append(path) or 1)
        patched.setattr(os, "set_inheritable", lambda _descriptor, _value: None)
        with steady_streams():
            pass
    assert opened == [os.devnull]


def test_a_display_replaces_what_its_stream_cannot_take() -> None:
    shown = io.BytesIO()
    stream = QuietStream(io.TextIOWrapper(shown, "ascii"))
    stream.write("café\n")
    stream.write("and on\n")
    assert shown.getvalue() == b"caf?\nand on\n"
    QuietStream(None).write("nobody reads this")


def test_no_secret_is_shown_whatever_writes_it(
    told: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        given, named, form = sys.argv[-1].partition("=")[2], os.environ["HF_TOKEN"], "https://me:canary@host/x"
        print(given, named, form)
        raise RuntimeError(f"{given} {named} {form}")

    monkeypatch.setenv("HF_TOKEN", "environment-canary")
    out = tmp_path / "out"
    code, error = told(str(out), "utf-8", fail, "--ext-str", "password=option-canary")
    assert code == 4
    assert out.read_text("utf-8") == "*** *** https://***@host/x\n"
    assert error.splitlines()[-1] == "RuntimeError: *** *** https://***@host/x"
    assert "canary" not in error
