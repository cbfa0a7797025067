"""What a run does on its own machine to speak with Ray's library; Ray is not needed."""

import subprocess
import sys
from pathlib import Path

from sft.experiments.executors.ray.connection import OwnFolder

KILLED = """
import os, pathlib, signal, sys
from sft.experiments.executors.ray.connection import OwnFolder
folder = OwnFolder(pathlib.Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_run_is_removed_by_the_next_one_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    living = OwnFolder(tmp_path)
    assert not left.exists()
    other = OwnFolder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {Path(living.name).name, Path(other.name).name}
    living.cleanup()
    other.cleanup()
    assert list(tmp_path.iterdir()) == []
