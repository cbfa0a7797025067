"""The program for GPU machines, tried on a CPU, where the same code runs with a tiny model."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from tests.gpu import __main__ as script
from tests.gpu import machine, parts
from tests.gpu.report import Findings, Outcome, Report, Skipped

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
QUANTIZED = ("nf4", "int8")


def passes(bench: Any, found: Findings) -> None:
    found.at_most("difference", 0.5, 1.0, "nats")


def misses_its_bound(bench: Any, found: Findings) -> None:
    found.at_most("difference", float("nan"), 1.0, "nats")
    found.same("device", "cpu", "cuda")


def raises(bench: Any, found: Findings) -> None:
    found.figure("before", 1.0)
    raise RuntimeError("no kernel image")


def skips(bench: Any, found: Findings) -> None:
    raise Skipped("bitsandbytes is not installed")


def never_ends(bench: Any, found: Findings) -> None:
    while True:
        pass


@pytest.fixture
def run_fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """Runs functions of this file as parts; `gpu.json` takes the report."""

    def run(*functions: Callable[..., None], seconds: float = 60.0, fails: bool = False) -> Report:
        def make() -> Any:
            if fails:
                raise OSError("no space left on device")
            return SimpleNamespace(release=lambda: None)

        monkeypatch.setattr(parts, "REGISTRY", {part.__name__: f"{__name__}:{part.__name__}" for part in functions})
        report = Report("cpu", tmp_path / "gpu.json")
        parts.run_parts(list(parts.REGISTRY), make, report, seconds)
        report.end()
        return report

    return run


def verdicts(report: Report) -> dict[str, str]:
    return {outcome.part: outcome.verdict for outcome in report.outcomes}


def test_each_part_has_its_verdict_whatever_happens_in_it(run_fakes: Callable[..., Report], tmp_path: Path) -> None:
    report = run_fakes(passes, misses_its_bound, raises, skips)
    assert verdicts(report) == {"passes": "PASS", "misses_its_bound": "FAIL", "raises": "FAIL", "skips": "SKIP"}
    assert report.has_failed
    by_name = {outcome.part: outcome for outcome in report.outcomes}
    assert by_name["misses_its_bound"].reason == "difference: nan nats, at most 1; device: cpu, must be cuda"
    assert "no kernel image" in by_name["raises"].reason
    assert [figure.name for figure in by_name["raises"].figures] == ["before"]
    written = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert [part["verdict"] for part in written["parts"]] == ["PASS", "FAIL", "FAIL", "SKIP"]
    assert written["failed"] is True


def test_a_part_that_is_skipped_is_no_failure(run_fakes: Callable[..., Report]) -> None:
    assert not run_fakes(passes, skips).has_failed


def test_a_part_that_does_not_end_fails_and_so_do_those_after_it(run_fakes: Callable[..., Report]) -> None:
    report = run_fakes(never_ends, passes, seconds=0.05)
    assert verdicts(report) == {"never_ends": "FAIL", "passes": "FAIL"}
    assert "not run" in report.outcomes[1].reason


def test_without_a_model_every_part_has_failed(run_fakes: Callable[..., Report]) -> None:
    assert verdicts(run_fakes(passes, skips, fails=True)) == {"passes": "FAIL", "skips": "FAIL"}


@pytest.mark.parametrize(("missing", "gpu", "said"), [(["trl"], True, "not installed"), ([], False, "no GPU: torch")])
def test_a_machine_that_cannot_run_them_is_told_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: list[str], gpu: bool, said: str
) -> None:
    import torch

    for name in VARIABLES:
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None if name in missing else name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert script.main([]) == 5
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith(said)
    assert all(name in told[0] for name in missing)


def test_versions_that_the_project_does_not_allow_are_named() -> None:
    def version_of(name: str) -> str:
        if name == "rjsonnet":
            raise importlib.metadata.PackageNotFoundError
        return {"transformers": "5.17.0", "trl": "2.0"}.get(name, "99")

    found = {text.partition(" (")[0] for text in machine.versions_outside(version_of)}
    assert {"transformers 5.17.0", "trl 2.0"} <= found
    assert not any(text.startswith(("numpy", "rjsonnet")) for text in found)


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["--only", "speed"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(part in told for part in parts.PARTS)


def test_a_stage_that_started_fresh_is_no_warm_start(tmp_path: Path) -> None:
    from tests.gpu.warm import STAGES, _require_starts

    results, found = ResultsFolder(tmp_path), Findings()
    for stage, start in (("train", "warm"), ("infer", "fresh"), ("evaluate", "warm")):
        folder = results.experiments / "one" if stage == "evaluate" else results.stage(stage, "one").path
        folder.mkdir(parents=True)
        write_record(folder / "status.json", StatusRecord("done", stage, attempt=1, start=start, seconds=1.0))
    _require_starts(results, "warm", STAGES, found)
    assert found.failures == ["how infer started with --start warm: fresh, must be warm"]


def test_a_training_that_had_enough_memory_shows_no_ladder(tmp_path: Path) -> None:
    from tests.gpu.ladder import _require_ladder

    job, found = ResultsFolder(tmp_path).stage("train", "one"), Findings()
    job.attempt(1).path.mkdir(parents=True)
    write_record(job.attempt(1).error, ErrorRecord("exception", "IndexError"))
    write_record(job.status, StatusRecord("done", "train", attempt=1))
    _require_ladder(job, {"memory_step": 0, "gradient_checkpointing": False}, found)
    assert [text.partition(":")[0] for text in found.failures] == [
        "the training never ran out of memory",
        "kind of the first error",
        "gradient checkpointing, the first step, is off",
    ]


def test_memory_that_does_not_come_back_is_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.gpu import memory

    monkeypatch.setattr(memory, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(memory, "PAUSE_SECONDS", 0.001)
    assert memory.await_free(lambda: 500.0, 400.0) >= 0.01
    assert memory.await_free(lambda: 430.0, 400.0) < 0.01


def run_script(tmp_path: Path, *words: str) -> dict[str, Outcome]:
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "tests.gpu", "--out", str(out), *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcomes = [Outcome(**part) for part in json.loads(out.read_text("utf-8"))["parts"]]
    return {outcome.part: outcome for outcome in outcomes}


@pytest.mark.slow
def test_all_parts_pass_on_a_cpu_with_a_tiny_model(tmp_path: Path) -> None:
    found = run_script(tmp_path, "--device", "cpu", "--tiny")
    assert tuple(found) == parts.PARTS
    assert {found[part].verdict for part in parts.PARTS if part not in QUANTIZED} == {"PASS"}
    assert {found[part].verdict for part in QUANTIZED} <= {"PASS", "SKIP"}
    assert all(outcome.figures or outcome.verdict == "SKIP" for outcome in found.values())


@pytest.mark.gpu
def test_all_parts_pass_on_a_gpu(tmp_path: Path) -> None:
    assert tuple(run_script(tmp_path)) == parts.PARTS
