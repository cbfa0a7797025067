"""What a task asks of Ray, and what is told where there is no cluster; Ray itself is not needed."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.options import options_of
from sft.experiments.executors.protocol import Request
from sft.experiments.executors.ray import cluster
from sft.experiments.executors.ray.cluster import RayCluster
from sft.experiments.executors.ray.connection import Lost, Refused
from sft.experiments.executors.ray.options import RayOptions

G = 1024**3
NODES: list[dict[str, float]] = [{"CPU": 8, "memory": 64 * G}, {"CPU": 4, "GPU": 2, "memory": 32 * G}]


class Answers:
    """In place of the process that asks Ray."""

    def __init__(self, start: Exception | None = None) -> None:
        self.start = start
        self.look: Exception | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.folder = None
        self.is_lost = self.is_closed = False

    def ask(self, what: str, told: dict[str, Any], seconds: float) -> Any:
        self.asked.append((what, told))
        if what == "start" and self.start is not None:
            raise self.start
        if what == "look" and self.look is not None:
            raise self.look
        return {"nodes": NODES, "submit": f"id-{len(self.asked)}"}.get(what)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    made = Answers()
    monkeypatch.setattr(cluster, "Connection", lambda has_own_cluster: made)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return made


def ray(**options: str) -> RayCluster:
    return RayCluster(options_of(RayOptions, options), jobs=None)


@pytest.mark.parametrize(
    ("options", "request_", "gpus"),
    [
        ({}, Request(gpus=1), 1),
        ({}, Request(gpus=2), 2),
        ({}, Request(gpus=0), 0),
        ({"gpus": "0.5"}, Request(gpus=1), 0.5),
        ({"gpus": "0.5"}, Request(gpus=1, own_gpus=True), 1),
        ({"gpus": "0.5"}, Request(gpus=2), 2),
        ({"gpus": "4"}, Request(gpus=1), 1),
    ],
)
def test_a_task_gets_a_part_of_a_gpu_or_as_many_as_its_job_asks_for(
    answers: Answers, options: dict[str, str], request_: Request, gpus: float
) -> None:
    made = ray(**options)
    made.check([])
    made.submit("name", ["true"], Path("log"), request_, 1.0)
    assert answers.asked[-1][1]["gpus"] == gpus


def test_a_task_that_must_be_alone_takes_the_cpus_of_a_whole_node(answers: Answers) -> None:
    made = ray(cpus_per_task="2", memory="1G")
    made.check([])
    told = []
    for alone in (False, True):
        made.submit("name", ["true"], Path("log"), Request(alone=alone), 1.0)
        told.append((answers.asked[-1][1]["cpus"], answers.asked[-1][1]["memory"]))
    assert told == [(2, G), (8, G)]


@pytest.mark.parametrize(("options", "gpus"), [({}, 2), ({"gpus": "0.5"}, 1), ({"gpus": "0"}, 0), ({"gpus": "4"}, 4)])
def test_the_most_gpus_of_a_job_are_those_of_a_node_unless_the_user_says(
    answers: Answers, options: dict[str, str], gpus: int
) -> None:
    made = ray(**options)
    assert (made.gpus, made.gpus) == (gpus, gpus)
    assert len(answers.asked) == (0 if options else 2), "the cluster is asked once"


@pytest.mark.parametrize(
    ("options", "request_", "shown"),
    [
        ({"cpus_per_task": "5"}, Request(gpus=1), "5 CPU, 1 GPU"),
        ({"memory": "65G"}, Request(), "1 CPU, 65.0G memory"),
        ({}, Request(gpus=3), "1 CPU, 3 GPU"),
    ],
)
def test_what_no_node_has_is_told_with_what_they_have(
    answers: Answers, options: dict[str, str], request_: Request, shown: str
) -> None:
    with pytest.raises(MachineError, match=f"asks for: {shown}; the nodes have: 4 CPU, 2 GPU, 32.0G memory; 8 CPU"):
        ray(**options).check([Request(), request_])
    ray(**options, gpus="1", autoscaling="true").check([request_])


def test_a_task_is_found_by_its_name(answers: Answers) -> None:
    made = ray()
    made.check([])
    identity = made.submit("name", ["true"], Path("log"), Request(), 1.0)
    assert (made.find("name"), made.find("other")) == (identity, None)


@pytest.mark.parametrize(
    ("error", "address", "told"),
    [
        (
            Refused(["OSError"], "no space. Look there"),
            "local",
            "Ray could not be started on this machine: no space",
        ),
        (Lost("no answer within 60 s"), "auto", "Ray at auto: no answer within 60 s"),
        (Refused(["ConnectionError"], "none"), "auto", "there is no Ray cluster at auto: none"),
        (Refused(["AuthenticationError"], "bad"), "auto", "the Ray cluster at auto refused the token: give"),
        (
            Refused(["ConnectionError"], "none", "x.AuthenticationError: bad"),
            "auto",
            "the Ray cluster at auto refused",
        ),
        (Refused(["RuntimeError"], "Version mismatch\nof Python"), "auto", "Ray at auto: Version mismatch of Python"),
    ],
)
def test_why_there_is_no_cluster_is_told_in_one_line(
    answers: Answers, error: Exception, address: str, told: str
) -> None:
    answers.start = error
    with pytest.raises(MachineError, match=told) as raised:
        ray(address=address).check([])
    assert "\n" not in str(raised.value)
    assert answers.is_closed


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (Refused(["NodeDiedError", "RayError"], "gone\nmore"), MachineError, "Ray: gone$"),
        (Lost("no answer within 60 s"), MachineError, r"the Ray cluster was lost \(no answer within 60 s\); finished"),
        (Refused(["KeyError"], "'name'", trace="Traceback: line 7"), RuntimeError, "Traceback: line 7"),
    ],
)
def test_a_failed_question_is_the_machines_fault_and_a_bug_keeps_its_traceback(
    answers: Answers, error: Exception, kind: type[Exception], told: str
) -> None:
    made = ray()
    made.check([])
    answers.look = error
    with pytest.raises(kind, match=told):
        made.look(["id"])


def test_what_is_lost_is_not_asked_to_end_anything(answers: Answers) -> None:
    made = ray()
    made.check([])
    made.cancel(["one"])
    answers.is_lost = True
    made.cancel(["two"])
    made.close()
    assert [told for what, told in answers.asked if what == "cancel"] == [{"ids": ["one"]}]
    assert answers.is_closed


def test_an_address_where_nobody_listens_is_told_before_ray_is_started(answers: Answers) -> None:
    with pytest.raises(MachineError, match=r"there is no Ray cluster at 127\.0\.0\.1:1: "):
        ray(address="127.0.0.1:1").check([])
    assert answers.asked == []


def test_without_the_package_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"pip install 'sft-grid\[ray\]'"):
        ray().check([])
