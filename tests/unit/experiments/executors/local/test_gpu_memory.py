"""Memory of GPUs that others have taken before a run begins."""

import pytest

from sft.experiments.executors.local.gpu_memory import taken_by_others
from sft.experiments.executors.local.gpu_question import Gpu, _parsed

GIB = 1024.0
SAID = "memory is taken by processes that are not of this run: "


def gpu(index: str, total: float | None, free: float | None, *users: int) -> Gpu:
    """A GPU with so many GiB."""
    return Gpu(
        index,
        f"GPU-{index}",
        free=None if free is None else free * GIB,
        total=None if total is None else total * GIB,
        users=users,
    )


@pytest.mark.parametrize(
    ("gpus", "line"),
    [
        ([], None),
        ([gpu("0", 80, 79.5), gpu("1", 140, 137.5)], None),
        ([gpu("0", 80, 50, 4711)], f"{SAID}GPU 0 (30.0 of 80.0 GiB, process 4711)"),
        ([gpu("0", 16, 14.5)], f"{SAID}GPU 0 (1.5 of 16.0 GiB)"),
        (
            [gpu("0", 80, 10, 5, 6), gpu("1", 80, 80), gpu("3", 80, 0)],
            f"{SAID}GPU 0 (70.0 of 80.0 GiB, process 5, 6), GPU 3 (80.0 of 80.0 GiB)",
        ),
        ([gpu("0", None, 10, 5), gpu("1", 80, None, 5)], None),
    ],
)
def test_who_takes_how_much_of_which_gpu_is_one_line(gpus: list[Gpu], line: str | None) -> None:
    assert taken_by_others(gpus) == line


def test_what_was_told_of_memory_arrives() -> None:
    answer = _parsed(['{"gpus": [{"index": "2", "uuid": "GPU-a", "free": 1024, "total": 16384, "users": [9]}]}'])
    assert taken_by_others(answer.gpus) == f"{SAID}GPU 2 (15.0 of 16.0 GiB, process 9)"
    assert taken_by_others(_parsed(['{"gpus": [{"index": "0", "uuid": "GPU-a", "free": 5}]}']).gpus) is None


def test_what_an_interpreter_writes_beside_the_answer_is_no_trouble() -> None:
    answer = _parsed(["import this", '{"absent": "no driver"}', "# clear sys.audit hooks", "null"])
    assert (answer.absent, answer.broken) == ("no driver", "")
    assert _parsed(["Traceback", "boom"]).broken == "the question about GPUs ended with: boom"
    assert _parsed([]).broken == "the question about GPUs ended with: no output"
