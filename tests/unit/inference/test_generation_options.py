import subprocess
import sys

import pytest

from sft.inference.options import check_generation_args, effective_generation_args, is_sampling


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"max_new_tokens": 5},
        {"do_sample": True, "temperature": 0.7, "top_p": 0.9},
        {"num_beams": 4, "length_penalty": 0.8, "early_stopping": True},
        {"do_sample": False, "temperature": 1.0, "top_k": 50},
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "num_return_sequences": 1},
        {"output_scores": False, "temperature": None},
    ],
)
def test_what_generate_takes_is_accepted(args: dict):
    assert check_generation_args(args) == []


@pytest.mark.parametrize(
    ("args", "key", "words"),
    [
        ({"max_new_token": 5}, "max_new_token", "did you mean max_new_tokens"),
        ({"transformers_version": "5"}, "transformers_version", "unknown key"),
        ({"max_length": 50}, "max_length", "max_new_tokens"),
        ({"num_return_sequences": 2}, "num_return_sequences", "must be 1"),
        ({"return_dict_in_generate": True}, "return_dict_in_generate", "only the generated text"),
        ({"penalty_alpha": 0.6}, "penalty_alpha", "hub"),
        ({"max_new_tokens": 0}, "max_new_tokens", "not 0"),
        ({"max_new_tokens": True}, "max_new_tokens", "not True"),
        ({"do_sample": "yes"}, "do_sample", "true or false"),
        ({"temperature": 0.7}, "temperature", "do_sample: true"),
        ({"length_penalty": 0.7}, "length_penalty", "num_beams"),
    ],
)
def test_what_is_wrong_is_told_with_the_next_step(args: dict, key: str, words: str):
    [(found, message)] = check_generation_args(args)
    assert found == key
    assert words in message


def test_all_findings_at_once():
    assert [key for key, _ in check_generation_args({"nope": 1, "max_length": 3, "top_p": 0.5})] == [
        "nope",
        "max_length",
        "top_p",
    ]


def test_sampling_is_what_do_sample_says():
    assert is_sampling({"do_sample": True})
    assert not is_sampling({"temperature": 0.7})


@pytest.mark.parametrize(
    ("args", "max_output_length", "tokens"),
    [({}, None, 128), ({}, 20, 20), ({"max_new_tokens": 7}, 20, 7), ({"max_new_tokens": None}, 20, 20)],
)
def test_new_tokens_as_written_else_the_output_length_else_128(args: dict, max_output_length: int | None, tokens: int):
    effective = effective_generation_args(args, max_output_length)
    assert effective == {"do_sample": False, "num_beams": 1, "max_new_tokens": tokens}


def test_nothing_heavy_is_imported():
    code = "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None; import sft.inference.options"
    subprocess.run([sys.executable, "-c", code], check=True)
