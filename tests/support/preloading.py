"""New processes of the tests are forks of one that has imported what takes seconds, as a server of warm starts has."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

from sft.experiments.executors.environment import FIXED

OFFLINE = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
"""Variables of the commands that the tests run."""
PRELOADED = ("torch", "transformers", "peft", "tests.support.method_checks", "tests.support.preloaded")


@cache
def start_preloading() -> Mapping[str, str]:
    """Start the process that forks, which imports while this one goes on.

    It gives the variables that the process was started with: libraries read some while they are imported.
    """
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        sys.path.insert(0, root)
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(PRELOADED))
    started_with = os.environ | OFFLINE
    with mock.patch.dict(os.environ, started_with | FIXED):
        forkserver.ensure_running()
    return started_with
