"""The command line as it may be printed."""

import pytest

from sft.terminal.command_line import given_secrets, shown_command

ENVIRONMENT = {"HF_TOKEN": "hf_canary4711", "HOME": "/home/me", "COPY": "hf_canary4711"}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--ext-str", "TOKEN=hf_canary4711"], '--ext-str TOKEN="$HF_TOKEN"'),
        (["--ext-str=t=hf_canary4711 x"], "--ext-str=t=\"$HF_TOKEN\"' x'"),
        (["--ext-str", "TOKEN=other-canary"], "--ext-str 'TOKEN=***'"),
        (["--tla-str", "apiKey=other-canary"], "--tla-str 'apiKey=***'"),
        (["--ext-code", 'password="other-canary"'], "--ext-code 'password=***'"),
        (["--tla-code=my_secret='other-canary'"], "'--tla-code=my_secret=***'"),
        (["--ext-str", "x=hf_Abcdef12"], "--ext-str 'x=***'"),
        (["--set", 'model.model_args.token="other-canary"'], "--set 'model.model_args.token=***'"),
        (["--set", "dataset.path=https://me:canary@host/x"], "--set 'dataset.path=***'"),
        (["https://me:canary@host/x"], "'https://***@host/x'"),
        (["--set", "inference.generation_args.max_new_tokens=20"], None),
        (["--set", "inference.label_scoring.end_token=false"], None),
        (["--ext-str", "tokenizer=/home/me/model", "--ext-str", "shots=16"], None),
        (["grid.jsonnet", "--only", "a"], None),
    ],
)
def test_secrets_are_named_by_their_variable_or_hidden(words: list[str], shown: str | None) -> None:
    assert shown_command(words, ENVIRONMENT) == (" ".join(words) if shown is None else shown)
    assert "canary" not in shown_command(words, ENVIRONMENT)


def test_what_was_given_as_a_secret_is_masked_wherever_it_comes_again() -> None:
    words = ["sft", "plan", "--ext-str", "TOKEN=other-canary", "--ext-str", "KEY=short", "--set", "lora.r=16"]
    assert given_secrets(words) == ("other-canary",)
