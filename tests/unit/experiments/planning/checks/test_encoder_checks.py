"""What a plan says of a sentence-embedding model that chooses in-context examples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InvalidExperiments, MachineError
from sft.experiments.planning import fingerprinting
from sft.models import sentence_encoder

Raw = Callable[..., dict[str, Any]]
Plan = Callable[..., Any]


def nearest(encoder: str | None, section: str = "inference") -> dict[str, Any]:
    return {section: {"icl_examples": 1, "icl_selection": "nearest", "icl_encoder": encoder}}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Says which module is the package's."""
    return lambda module: monkeypatch.setattr(sentence_encoder, "MODULE", module)


@pytest.mark.parametrize("section", ["training", "inference"])
def test_a_package_that_is_missing_is_named_with_its_install_line(
    plan_of: Plan, project: Path, raw: Raw, section: str, package: Callable[[str], None]
) -> None:
    package("no_such_package")
    with pytest.raises(MachineError) as caught:
        plan_of(project, a=raw(nearest("model", section)))
    told = f'"a": {section}.icl_encoder needs the package sentence-transformers'
    assert str(caught.value).startswith(told)
    assert "pip install 'sft-grid[embeddings]'" in str(caught.value)
    assert caught.value.exit_code == 5


def test_an_encoder_without_effect_needs_no_package(
    plan_of: Plan, project: Path, raw: Raw, package: Callable[[str], None]
) -> None:
    package("no_such_package")
    unused = raw(nearest("./nowhere"), {"inference": {"icl_selection": "random"}})
    assert plan_of(project, a=unused, b=raw(nearest(None))).experiments[0].experiment.fingerprints.encoders == {}


@pytest.mark.parametrize(
    ("name", "told"), [("./nowhere", "no file or folder"), ("data", "no modules.json or config.json")]
)
def test_what_is_no_encoder_is_a_finding(
    plan_of: Plan, project: Path, raw: Raw, name: str, told: str, package: Callable[[str], None]
) -> None:
    package("no_such_package")
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=raw(nearest(name)))
    (line,) = caught.value.lines
    assert "inference.icl_encoder" in line
    assert told in line


def test_a_local_encoder_is_fingerprinted_and_a_hub_one_pinned(
    plan_of: Plan, project: Path, raw: Raw, package: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    package("json")
    monkeypatch.setattr(fingerprinting, "hub_commit", lambda name, revision: "a" * 40)
    plan = plan_of(project, a=raw(nearest("some/encoder"), nearest("model", "training")))
    found = plan.experiments[0].experiment.fingerprints
    assert found.encoders["inference"] == "commit:" + "a" * 40
    assert found.encoders["training"] == found.model
    assert found.revisions == {"inference.icl_encoder": "a" * 40}
    assert plan.pinned == {"model:some/encoder@": "a" * 40}


BASELINE = {"evaluation": {"baseline_encoder": "model"}}


def test_the_encoder_of_the_baselines_is_checked_and_in_their_key_alone(
    plan_of: Plan, project: Path, raw: Raw, package: Callable[[str], None]
) -> None:
    package("no_such_package")
    with pytest.raises(MachineError) as caught:
        plan_of(project, a=raw(BASELINE))
    assert str(caught.value).startswith('"a": evaluation.baseline_encoder needs the package sentence-transformers')
    package("json")
    plan = plan_of(project, a=raw(BASELINE), b=raw()).named()
    found = plan["a"].experiment.fingerprints
    assert found.encoders == {"evaluation": found.model}
    own, other = plan["a"].keys, plan["b"].keys
    assert own.baseline != other.baseline
    assert (own.trainings, own.infers, own.evaluate) == (other.trainings, other.infers, other.evaluate)


def test_the_encoder_of_the_baselines_on_the_hub_is_pinned(
    plan_of: Plan, project: Path, raw: Raw, package: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    package("json")
    monkeypatch.setattr(fingerprinting, "hub_commit", lambda name, revision: "a" * 40)
    plan = plan_of(project, a=raw({"evaluation": {"baseline_encoder": "some/encoder"}}))
    found = plan.experiments[0].experiment.fingerprints
    assert found.encoders == {"evaluation": "commit:" + "a" * 40}
    assert found.revisions == {"evaluation.baseline_encoder": "a" * 40}


def test_where_the_baselines_know_no_shots_their_encoder_is_not_needed(
    plan_of: Plan, project: Path, raw: Raw, zero_shot: dict[str, Any], package: Callable[[str], None]
) -> None:
    package("no_such_package")
    plan = plan_of(project, a=raw(zero_shot, BASELINE), b=raw(zero_shot)).named()
    assert plan["a"].experiment.fingerprints.encoders == {}
    assert plan["a"].keys.baseline == plan["b"].keys.baseline


def test_the_nearest_of_a_pool_may_be_any_of_its_rows_so_all_leaks_count(
    plan_of: Plan, project: Path, raw: Raw, zero_shot: dict[str, Any], rewrite: Callable[..., None]
) -> None:
    leak = {"id": "", "text": "train text 4 is bad", "label": "bad"}
    rewrite(project, "test", lambda rows: rows.__setitem__(0, leak))
    fixed = raw(zero_shot, {"inference": {"icl_examples": 1}})
    plan = plan_of(project, fixed=fixed, near=raw(zero_shot, nearest(None)))
    counts = {name: planned.data.n_leaked for name, planned in plan.named().items()}
    assert counts == {"fixed": 0, "near": 1}
