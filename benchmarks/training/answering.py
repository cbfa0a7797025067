"""The process of a side: reads requests, trains, writes answers. It imports nothing that one of the sides lacks.

Each line on standard input is the path of a request, a JSON object `{rows, batch_size, steps, rate, adapter}`, where
`adapter` is a file of tensors by name; the answer, `{seconds, losses, peak_bytes}`, is written beside it as `.answer`,
then its path to standard output.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Train = Callable[[dict[str, Any], Callable[[], None]], list[float]]
"""Trains as a request says, calls what it is given at the end of each step, returns the losses."""


def answer_requests(model: Any, train: Train) -> None:
    """Answer requests until there are no more.

    Args:
        model: with its adapter; each request begins with the tensors of its `adapter`, which the first side writes.
        train: one training.
    """
    # Whatever the libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    own = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    Path("/proc/self/clear_refs").write_text("5")  # the peak that counts begins here
    for line in sys.stdin:
        path = Path(line.strip())
        request = json.loads(path.read_text("utf-8"))
        if not Path(request["adapter"]).exists():
            save_file({name: weight.data for name, weight in own.items()}, request["adapter"])
        for name, value in load_file(request["adapter"]).items():
            own[name].data.copy_(value)
        moments: list[float] = []

        def note(moments: list[float] = moments) -> None:
            moments.append(time.process_time())

        losses = train(request, note)
        seconds = [after - before for before, after in itertools.pairwise(moments)]
        told = {"seconds": seconds, "losses": losses, "peak_bytes": _peak_bytes()}
        answer = path.with_suffix(".answer")
        answer.write_text(json.dumps(told), "utf-8")
        print(answer, file=answers, flush=True)


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
