"""What `verify` compares and says; it never writes."""

from collections.abc import Callable
from typing import Any

import pytest

from sft.experiments.upkeep.results_view import view_of
from sft.experiments.upkeep.verification import Verification, verify
from sft.runs.atomic import write_json, write_json_lines
from sft.runs.files import JobFolder
from sft.runs.lock import locked
from sft.runs.manifest import write_manifest
from sft.runs.records import StatusRecord, write_record
from sft.terminal.status import verification_lines


def verified(made: Any) -> Verification:
    before = made.content()
    found = verify(view_of(made.results))
    assert made.content() == before
    return found


def lines(found: Verification) -> tuple[str, ...]:
    return tuple(verification_lines(found))


@pytest.fixture
def train(made: Any) -> JobFolder:
    made.finish(made.planned("one", "a", train="t"), "evaluate", name="one")
    folder: JobFolder = made.finish(made.stage("train", "t"), "train", name="one")
    return folder


def test_whole_results_are_counted(made: Any, train: JobFolder) -> None:
    found = verified(made)
    assert (found.jobs, found.files, found.n_bytes, found.damaged) == (2, 3, 26, ())
    assert lines(found) == ("2 finished stages, 3 files, 26 bytes: all as written",)


def test_an_empty_folder_is_whole(made: Any) -> None:
    assert lines(verified(made)) == ("0 finished stages, 0 files, 0 bytes: all as written",)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda file: file.write_bytes(b"Weights of the adapter"),
            "has another content than was written (sha256 differs)",
        ),
        (lambda file: file.write_bytes(b"weights"), "has 7 bytes, 22 are listed"),
        (lambda file: file.unlink(), "is missing"),
    ],
)
def test_a_bad_file_is_named(made: Any, train: JobFolder, damage: Callable[[Any], None], said: str) -> None:
    damage(train.adapter / "adapter_model.safetensors")
    found = verified(made)
    assert [job.folder for job in found.damaged] == [train]
    place = "results/stages/train/t000000000000000"
    assert lines(found) == (
        "DAMAGED one [a0000000] at train: its result files are not those of its manifest",
        f"  {place}/adapter/adapter_model.safetensors {said}",
        f"  To compute it anew: rm {place}/manifest.json, then run the grid again",
        "2 finished stages, 3 files, 26 bytes: 1 damaged",
    )


@pytest.mark.parametrize(("text", "said"), [("{", "manifest.json cannot be read"), (None, "manifest.json is missing")])
def test_a_finished_stage_without_a_manifest_is_damaged(
    made: Any, train: JobFolder, text: str | None, said: str
) -> None:
    train.manifest.unlink() if text is None else train.manifest.write_text(text)
    assert [job.files for job in verified(made).damaged] == [(said,)]


def test_a_stage_that_is_being_written_is_no_error(made: Any, train: JobFolder) -> None:
    infer = made.stage("infer", "i")
    made.job(infer, "infer")
    infer.scores.write_bytes(b"half")
    write_record(infer.status, StatusRecord("running", "infer", attempt=1))
    train.manifest.unlink()
    with locked(made.results):
        assert verified(made).damaged == ()


def test_a_stage_that_failed_is_no_error(made: Any) -> None:
    made.stop(made.stage("infer", "i"), "infer", "failed")
    assert verified(made).damaged == ()


def test_of_a_pruned_training_the_rest_is_compared(made: Any, train: JobFolder) -> None:
    (train.adapter / "adapter_model.safetensors").unlink()
    write_record(train.status, StatusRecord("pruned", "train", attempt=1))
    assert verified(made).damaged == ()
    train.training.write_text("[]")
    assert [job.files[0].split()[0] for job in verified(made).damaged] == ["training.json"]


def test_a_stage_that_starts_anew_meanwhile_is_no_error(
    made: Any, train: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.experiments.upkeep import verification

    def starts_anew(*_: Any) -> str:
        train.manifest.unlink(missing_ok=True)
        return "is missing"

    monkeypatch.setattr(verification, "difference", starts_anew)
    assert train not in [job.folder for job in verify(view_of(made.results)).damaged]


def test_metrics_that_the_predictions_do_not_give_are_damage(made: Any, train: JobFolder) -> None:
    (job,) = made.results.experiment_folders()
    labels = {"details": {"labels": ["no", "yes"]}, "config": {"prompting": {"output_column": "label"}}}
    for accuracy, wrong in ((0.5, 0), (0.75, 1)):
        write_json(job.metrics, {"results": {"accuracy": accuracy}, **labels})
        rows = [{"label": gold, "predictions": "no"} for gold in ("no", "yes")]
        write_json_lines(job.predictions("test", "jsonl"), rows)
        write_manifest(job, [job.result])
        found = verified(made)
        assert len(found.damaged) == wrong
    assert "  results/experiments/one-a0000000/result/metrics.json says accuracy 0.75, the predictions give 0.5" in (
        lines(found)
    )
