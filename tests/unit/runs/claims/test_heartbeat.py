"""A count that goes on while a process lives."""

import os
import subprocess
import sys
from pathlib import Path

from sft.runs.claims.heartbeat import DIGITS, Heartbeat, write
from tests.support.waiting import PATIENCE, wait_until

START = """
import sys, time
from pathlib import Path
from sft.runs.claims.heartbeat import Heartbeat
beating = Heartbeat(Path(sys.argv[1]), 0.01)
print(beating._process.pid, flush=True)
sys.stdin.read()
"""


def counted(file: Path) -> int:
    return int(file.read_text() or "0")


def test_it_counts_until_it_is_told_to_end(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0".rjust(DIGITS))
    beating = Heartbeat(file, 0.01)
    wait_until(lambda: counted(file) >= 3)
    beating.end()
    assert beating._process.returncode == 0
    assert len(file.read_text()) == DIGITS


def test_it_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0".rjust(DIGITS))
    words = [sys.executable, "-c", START, str(file)]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    beating = int(holder.stdout.readline())
    wait_until(lambda: counted(file) >= 2)
    holder.kill()
    holder.communicate()
    wait_until(lambda: not Path(f"/proc/{beating}/cmdline").exists() or not _words(beating))


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_file_that_is_gone_ends_it(tmp_path: Path) -> None:
    beating = Heartbeat(tmp_path / "nowhere", 0.01)
    assert beating._process.wait(PATIENCE) == 0
    beating.end()


def test_a_word_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0".rjust(DIGITS))
    inode = os.stat(file).st_ino
    write(file, "12")
    write(file, "over")
    assert (file.read_text().strip(), len(file.read_text()), os.stat(file).st_ino) == ("over", DIGITS, inode)
