"""Files for other programs that start a grid: they can be read, and the commands in them are ours."""

from typing import Any

import pytest
import yaml

from tests.contract.documents import ROOT
from tests.contract.test_document_commands import own_words, parse

SKYPILOT = ROOT / "etc" / "cluster" / "skypilot.yaml"
FIELDS = {"name", "workdir", "resources", "file_mounts", "setup", "run"}
"""Of SkyPilot's documentation, those that are used."""


@pytest.fixture(scope="module")
def job() -> Any:
    return yaml.safe_load(SKYPILOT.read_text("utf-8"))


def test_the_fields_are_skypilots(job: Any) -> None:
    assert set(job) == FIELDS
    assert set(job["resources"]) <= {"accelerators", "use_spot", "infra", "cpus", "memory", "disk_size"}
    assert all(set(mount) == {"name", "mode"} for mount in job["file_mounts"].values())


def test_its_command_exists_and_writes_to_the_bucket(job: Any) -> None:
    commands = [line for line in job["run"].splitlines() if own_words(line)]
    assert len(commands) == 1
    parse(commands[0])
    (bucket,) = job["file_mounts"]
    assert f"--results-path {bucket}/" in commands[0]


def test_a_bucket_takes_logs_that_grow(job: Any) -> None:
    assert {mount["mode"] for mount in job["file_mounts"].values()} == {"MOUNT_CACHED"}
