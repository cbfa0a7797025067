import pytest

from sft.runs.secrets_masking import mask, secret_values


def test_values_are_found_by_the_names_of_their_variables_the_longest_first() -> None:
    environment = {
        "HF_TOKEN": "abcdefgh",
        "OPENAI_API_KEY": "abcdefgh-longer",
        "Db_Password": "correct horse",
        "AWS_SECRET_ACCESS_KEY": "0123456789",
        "SHORT_TOKEN": "false",
        "HF_TOKEN_PATH": "/home/me/token",
        "TOKENIZERS_PARALLELISM": "false or true",
        "PATH": "/usr/bin:/bin",
    }
    assert secret_values(environment) == ("abcdefgh-longer", "correct horse", "0123456789", "abcdefgh")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key abcdefgh-longer, then abcdefgh", "key ***, then ***"),
        ("hf_ABCDEFGHIJKLMNOPQRSTUVWX refused", "hf_*** refused"),
        ("GET https://me:pass@hub.example/x", "GET https://***@hub.example/x"),
        ("nothing of it", "nothing of it"),
        ("column hf_text", "column hf_text"),
    ],
)
def test_secrets_are_masked_wherever_they_stand(text: str, shown: str) -> None:
    assert mask(text, ("abcdefgh-longer", "abcdefgh")) == shown
