"""Names of models: local or hub, and which content."""

from pathlib import Path

import pytest

from sft.exceptions import MachineError, UserError
from sft.models import hashes
from sft.models.hashes import files_sha256
from sft.models.references import hub_commit, locate, model_fingerprint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_what_exists_beside_the_grid_is_local_and_anything_else_a_hub_id(tmp_path):
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert locate("org/model", tmp_path) == tmp_path / "org" / "model"
    assert locate(str(tmp_path / "org"), Path("/nowhere")) == tmp_path / "org"
    assert locate("Qwen/Qwen2.5-0.5B-Instruct", tmp_path) is None
    assert locate("gpt2", tmp_path) is None


@pytest.mark.parametrize("name", ["./model", "../model", "/no/model", "~/no-such-model", "a/b/c", "model.gguf", "a b"])
def test_a_name_that_can_only_be_a_path_must_exist(name, tmp_path):
    with pytest.raises(UserError, match=r"no file or folder .*, and it is no hub id") as told:
        locate(name, tmp_path)
    assert told.value.kind == "model"


def test_a_local_fingerprint_follows_content_and_names_and_not_the_place(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
        (tmp_path / place / "sub" / "weights").write_bytes(b"abc")
    first = model_fingerprint("one", tmp_path, None)
    assert first.startswith("sha256:")
    assert model_fingerprint("two", tmp_path, None) == first
    (tmp_path / "two" / ".git").mkdir()
    (tmp_path / "two" / ".git" / "HEAD").write_text("x")
    assert model_fingerprint("two", tmp_path, None) == first
    (tmp_path / "two" / "sub" / "weights").write_bytes(b"abd")
    assert model_fingerprint("two", tmp_path, None) != first
    (tmp_path / "one" / "config.json").rename(tmp_path / "one" / "config2.json")
    assert model_fingerprint("one", tmp_path, None) != first


def test_a_hub_fingerprint_is_the_commit(tmp_path):
    assert model_fingerprint("org/model", tmp_path, COMMIT) == f"commit:{COMMIT}"
    with pytest.raises(UserError, match="without a pinned commit"):
        model_fingerprint("org/model", tmp_path, None)


def test_the_hash_of_a_big_file_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "REMEMBERED_FROM_BYTES", 2)
    read = []
    monkeypatch.setattr(hashes, "_read_sha256", lambda path: read.append(path) or f"hash {len(read)}")
    file = tmp_path / "weights"
    file.write_bytes(b"12345")
    assert [files_sha256(file), files_sha256(file)] == ["hash 1", "hash 1"]
    file.write_bytes(b"123456")
    assert files_sha256(file) == "hash 2"
    small = tmp_path / "small"
    small.write_bytes(b"1")
    assert [files_sha256(small), files_sha256(small)] == ["hash 3", "hash 4"]


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(hashes, "REMEMBERED_FROM_BYTES", 2)
    (tmp_path / "weights").write_bytes(b"12345")
    assert len(files_sha256(tmp_path / "weights")) == 64


class Hub:
    """Stands for `huggingface_hub.HfApi`; answers with a commit or an error."""

    answer: object = COMMIT

    def model_info(self, name, revision, timeout):
        if isinstance(self.answer, Exception):
            raise self.answer
        return type("Info", (), {"sha": self.answer})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(Hub, "answer", COMMIT)
    return Hub


def test_the_commit_comes_from_the_hub_or_from_the_cache(hub, tmp_path):
    assert hub_commit("org/model") == COMMIT
    assert hub_commit("org/model", "f" * 40) == "f" * 40
    hub.answer = ConnectionError("no route")
    with pytest.raises(
        MachineError, match=r'model "org/model" not found locally and the hub does not answer\.'
    ) as told:
        hub_commit("org/model")
    assert told.value.kind == "network"
    repository = tmp_path / "models--org--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    with pytest.raises(MachineError):
        hub_commit("org/model")
    (repository / "snapshots" / ("a" * 40)).mkdir(parents=True)
    assert hub_commit("org/model") == "a" * 40


def test_offline_is_said_in_so_many_words(hub, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "is_offline_mode", lambda: True)
    hub.answer = huggingface_hub.errors.OfflineModeIsEnabled("offline")
    expected = r'model "org/nam" not found locally and the network is off \(HF_HUB_OFFLINE=1\)\.'
    with pytest.raises(MachineError, match=expected):
        hub_commit("org/nam")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("RepositoryNotFoundError", 'no model "org/model" open to you'),
        ("GatedRepoError", "is gated"),
        ("RevisionNotFoundError", "no such revision"),
    ],
)
def test_what_the_hub_refuses_is_the_users_to_change(kind, text, hub):
    from huggingface_hub import errors

    refusal = getattr(errors, kind)
    hub.answer = refusal.__new__(refusal)  # its constructor wants the whole HTTP exchange
    with pytest.raises(UserError, match=text) as told:
        hub_commit("org/model")
    assert told.value.kind == "model"
