"""The other side's process: lm-eval in an environment of its own, asked by files."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.commands import PEERS
from benchmarks.scoring.cases import MODEL, Prompts
from benchmarks.scoring.ours import Scored

SCRIPT = Path(__file__).with_name("lm_eval_side.py")
LOG_END = 3000


class PeerSide:
    """Scores with lm-eval; the process keeps its model between requests and does nothing while it waits."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._asked = 0

    def score(self, prompts: Prompts, batch_size: int) -> Scored:
        """All labels, without stops, after all prompts.

        Raises:
            RuntimeError: the process ended; with the end of its log.
        """
        self._asked += 1
        path = self._folder / f"{self._asked}.request"
        request = {
            "texts": prompts.texts,
            "ids": prompts.ids,
            "labels": prompts.labels,
            "label_ids": [answer for answer, _ in prompts.label_ids],
            "batch_size": batch_size,
        }
        path.write_text(json.dumps(request), "utf-8")
        answer = self._answer(path)
        if not answer:
            raise RuntimeError(f"lm-eval ended:\n{(self._folder / 'log').read_text('utf-8')[-LOG_END:]}")
        found = json.loads(Path(answer).read_text("utf-8"))
        return Scored(found["seconds"], np.array(found["scores"]))

    def _answer(self, request: Path) -> str:
        """The path of the answer, empty where the process ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            print(request, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline().strip()


@contextmanager
def peer_side(folder: Path) -> Iterator[PeerSide]:
    """The process, from its start to its end; its requests, answers and log are in the folder.

    Raises:
        RuntimeError: the other environment is not installed.
    """
    python = PEERS / "python"
    if not python.exists():
        raise RuntimeError(f"{python} is not there: make peers")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), str(SCRIPT), str(MODEL)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield PeerSide(process, folder)
        finally:
            process.kill()
            process.communicate()
