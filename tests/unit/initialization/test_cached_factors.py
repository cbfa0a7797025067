"""Factors are computed once for the same weights, and kept ones have the bytes of computed ones."""

import errno
import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sft.adapters.attach import attach_adapter
from sft.initialization import cached_factors
from sft.initialization.cached_factors import factors_folder, factors_of, keep_in_bounds
from sft.initialization.initializers.milora import milora
from sft.initialization.initializers.pca import pca
from sft.initialization.initializers.pissa import pissa


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cached_factors, "KEPT_FROM_SIDE", 16)
    return tmp_path / "cache" / "sft" / "factors"


def linear(seed=0, out=48, inputs=64):
    torch.manual_seed(seed)
    return nn.Linear(inputs, out, bias=False)


def counted(initializer):
    """The initialiser, and how often it ran."""
    ran = []

    @functools.wraps(initializer)
    def counting(*arguments):
        ran.append(1)
        return initializer(*arguments)

    return counting, ran


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("initializer", [pca, pissa, milora])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_second_call_computes_nothing_and_gives_the_same_bytes(initializer, dtype, cache):
    counting, ran = counted(initializer)
    first, second = (factors_of(counting, linear(), 4, dtype) for _ in range(2))
    assert len(ran) == 1
    assert len(list(cache.iterdir())) == 1
    assert equal(first, second)
    assert equal(first, initializer(linear(), 4, dtype))
    assert {tensor.dtype for tensor in second.values()} == {dtype}


def test_whatever_decides_on_the_factors_decides_on_what_is_read(monkeypatch):
    counting, ran = counted(pissa)
    factors_of(counting, linear(), 4, torch.float32)
    factors_of(counting, linear(1), 4, torch.float32)
    factors_of(counting, linear(), 5, torch.float32)
    factors_of(counting, linear(), 4, torch.bfloat16)
    factors_of(counting, linear(0, 64, 48), 4, torch.float32)
    assert len(ran) == 5
    other, ran_other = counted(pca)
    factors_of(other, linear(), 4, torch.float32)
    assert len(ran_other) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    factors_of(counting, linear(), 4, torch.float32)
    monkeypatch.setattr(cached_factors, "_sources", lambda: "edited")
    factors_of(counting, linear(), 4, torch.float32)
    assert len(ran) == 7


def test_a_model_that_starts_from_kept_factors_has_the_bytes_of_one_that_computes(make_model, monkeypatch):
    options = {"r": 4, "init_lora_weights": "pissa"}
    first = attach_adapter(make_model("nf4"), "lora", options, Path(), seed=1)

    def computes(*_):
        raise AssertionError("the factors were computed again")

    monkeypatch.setattr("sft.initialization.initializers.pissa.top_singular", computes)
    second = attach_adapter(make_model("nf4"), "lora", options, Path(), seed=2)
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_stored_weights_are_read_once_where_nothing_is_kept(make_model, monkeypatch):
    layer = make_model("nf4").model.layers[0].self_attn.q_proj
    expected = pissa(layer, 4, torch.float32)
    seen = []
    watched = functools.wraps(pissa)(lambda given, *rest: seen.append(given) or pissa(given, *rest))
    assert equal(factors_of(watched, layer, 4, torch.float32), expected)
    assert [type(given) for given in seen] == [nn.Linear]


def test_own_code_and_what_is_not_marked_is_never_kept(cache):
    def own(layer, rank, dtype=torch.bfloat16):
        return pissa(layer, rank, dtype)

    own.deterministic = True
    unmarked = functools.wraps(pissa)(lambda *arguments: pissa(*arguments))
    del unmarked.deterministic
    for initializer in (own, unmarked):
        factors_of(initializer, linear(), 4, torch.float32)
    assert not cache.exists()


def test_small_matrices_are_computed(cache, monkeypatch):
    monkeypatch.setattr(cached_factors, "KEPT_FROM_SIDE", 49)
    factors_of(pissa, linear(), 4, torch.float32)
    assert not cache.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_entry_is_computed_anew_and_mended(damage, cache):
    first = factors_of(pissa, linear(), 4, torch.float32)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 64
    entry.write_bytes({"cut": whole[:-40], "flipped": bytes(flipped), "empty": b""}[damage])
    counting, ran = counted(pissa)
    assert equal(factors_of(counting, linear(), 4, torch.float32), first)
    assert len(ran) == 1
    assert entry.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for seed in (0, 1):
        assert equal(factors_of(pissa, linear(seed), 4, torch.float32), pissa(linear(seed), 4, torch.float32))
    keep_in_bounds()
    told = capsys.readouterr().err
    assert told.count("initial factors cannot be kept") == 1


def test_a_full_disk_is_told_and_leaves_nothing(cache, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert equal(factors_of(pissa, linear(), 4, torch.float32), pissa(linear(), 4, torch.float32))
    assert list(cache.iterdir()) == []
    assert "No space left on device" in capsys.readouterr().err


def test_the_longest_unused_are_removed(cache, monkeypatch):
    for seed in range(4):
        factors_of(pissa, linear(seed), 4, torch.float32)
        known = {entry: entry.stat().st_mtime for entry in cache.iterdir()}
        for entry in known:
            os.utime(entry, (known[entry] - 100, known[entry] - 100))
    entries = sorted(cache.iterdir(), key=lambda entry: entry.stat().st_mtime)
    factors_of(pissa, linear(0), 4, torch.float32)  # the oldest is used again
    monkeypatch.setattr(cached_factors, "MOST_BYTES", 2 * entries[0].stat().st_size)
    keep_in_bounds()
    assert set(cache.iterdir()) == {entries[0], entries[3]}
    assert factors_folder() == cache


def test_what_a_killed_process_left_half_written_is_removed_too(cache, monkeypatch):
    factors_of(pissa, linear(), 4, torch.float32)
    left = cache / ".tmp-of-a-killed-process"
    left.write_bytes(bytes(1000))
    os.utime(left, (1, 1))
    monkeypatch.setattr(cached_factors, "MOST_BYTES", 1000)
    keep_in_bounds()
    assert not left.exists()


RACE = """
import sys, torch
from sft.initialization import cached_factors
from sft.initialization.initializers.pissa import pissa
torch.manual_seed(0)
layer = torch.nn.Linear(192, 160, bias=False)
print("ready", flush=True)
sys.stdin.readline()
made = [cached_factors.factors_of(pissa, layer, rank, torch.float32) for rank in range(1, 30)]
print(sum(float(pair["lora_A"].double().sum() + pair["lora_B"].double().abs().sum()) for pair in made).hex())
"""


@pytest.mark.slow
def test_two_processes_at_once_keep_whole_entries(cache):
    command = [sys.executable, "-c", RACE]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    sums = {racer.communicate()[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(sums) == 1
    assert len(list(cache.iterdir())) == 29
    assert all(cached_factors._read(entry) is not None for entry in cache.iterdir())
